"""Gold beads, which a denoised volume has no longer."""

from dataclasses import replace

import numpy as np
import pytest

from vitreous.benchmark.specimens import Purified, Specimen
from vitreous.core import Normalization
from vitreous.methods import Dual, DualConfig, PreparedVolume
from vitreous.methods.dual import standardized_density, without_gold
from vitreous.methods.dual.gold import has_gold
from vitreous.training import TrainingVolume

CLIPPED = Normalization(0.0, 1.0, -10.0, 10.0)
CENTRES = ((30, 30, 30), (32, 80, 120), (33, 130, 60), (5, 100, 195))  # the last one at two faces


def prepared_with(centres, *, height=-40.0, noise_share=0.9, spacing=10.0):
    """White noise, and balls far beyond it."""
    shape = (64, 160, 200)
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    grid = np.indices(shape)
    for centre in centres:
        away = ((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(0)
        data[away <= 25] = height
    volume = TrainingVolume(data, CLIPPED, voxel_spacing_angstrom=spacing)
    return PreparedVolume(volume, noise_share=noise_share)


def prediction_for(prepared):
    """Ice and its noise, and 50 where gold is."""
    values = np.random.default_rng(4).normal(1, 0.1, prepared.volume.data.shape).astype(np.float32)
    values[np.abs(prepared.volume.data) > 30] = 50.0
    return values


@pytest.mark.parametrize("spacing", [10.0, 5.0])
def test_the_result_has_ice_where_gold_is_and_is_untouched_elsewhere(spacing):
    """Found in the tomogram itself, or in a copy binned twice; the median's error is 0.001."""
    prepared = prepared_with(CENTRES, spacing=spacing)
    before = prediction_for(prepared)
    found = before.copy()
    without_gold(found, prepared, "dark")
    assert np.abs(found[prepared.volume.data < -30] - 1).max() < 0.01
    assert (found == before).mean() > 0.7


@pytest.mark.parametrize(
    "prepared",
    [
        prepared_with(()),
        prepared_with(CENTRES, height=40.0),  # of the other contrast
        prepared_with(CENTRES, noise_share=0.2),  # protein might stand out as far
    ],
)
def test_nothing_changes_where_what_stands_out_may_be_no_gold(prepared):
    found = prediction_for(prepared)
    before = found.copy()
    without_gold(found, prepared, "dark")
    np.testing.assert_array_equal(found, before)


def test_thin_volumes_are_left_alone():
    prepared = prepared_with(CENTRES)
    thin = replace(prepared, volume=replace(prepared.volume, data=prepared.volume.data[20:40]))
    found = prediction_for(thin)
    before = found.copy()
    without_gold(found, thin, "dark")
    np.testing.assert_array_equal(found, before)


@pytest.mark.parametrize(
    "specimen", [Specimen(0.1), Specimen(0.3, sheets=2, vesicles=1), Purified("ribosome", 4)]
)
def test_protein_and_membranes_of_any_density_are_no_gold(specimen):
    density = specimen.ground((64, 96, 96), 11).density
    assert not has_gold(standardized_density(-density, "density", 10.0))


@pytest.mark.parametrize("structure", ["ribosome", "rubisco"])
def test_gold_in_a_density_is_told_from_protein(structure):
    density = Purified(structure, 20, gold=3).ground((64, 128, 128), 11).density
    assert has_gold(standardized_density(density, "density", 10.0))


@pytest.mark.parametrize("gold", [0, 3])
def test_gold_stays_if_the_clean_domain_has_some(gold):
    prepared = prepared_with(CENTRES)
    density = Purified("rubisco", 6, gold=gold).ground((64, 64, 64), 11).density
    method = Dual(clean=[standardized_density(-density, "density", 10.0)]).adapted([prepared])
    found = prediction_for(prepared)
    told = method.cleared(found, prepared)
    assert method.config.gold is bool(gold)
    assert told == ({} if gold else {"gold beads that ice was put in the place of": "4"})
    assert (found[CENTRES[0]] == 50) is np.bool_(gold)


def test_models_that_say_nothing_of_gold_leave_it():
    """They were trained before there was a choice."""
    prepared = prepared_with(CENTRES)
    method = Dual(DualConfig(voxel_spacing_angstrom=10.0, protein="dark")).adapted([prepared])
    assert method.config.gold is None
    found = prediction_for(prepared)
    assert method.cleared(found, prepared) == {}
    assert found[CENTRES[0]] == 50
