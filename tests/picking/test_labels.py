"""Picks from labels and probabilities: touching particles, slabs, bounded memory, confidence, bad values."""

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from vitreous.core import Interrupted, SilentProgress
from vitreous.picking import LabelConfig, class_diameter, components, pick_labels

SPACING = (10.0, 10.0, 10.0)
GRID = np.stack(np.meshgrid(*[np.arange(64)] * 3, indexing="ij"), -1)


def balls(centres, radius, shape=(64, 64, 64)):
    """Voxels in balls; lengths in voxels."""
    grid = GRID[tuple(slice(n) for n in shape)]
    return np.any([np.linalg.norm(grid - c, axis=-1) <= radius for c in centres], axis=0)


@pytest.mark.parametrize("spacing", [(10.0, 10.0, 10.0), (7.0, 7.0, 7.0), (20.0, 10.0, 10.0)])
@pytest.mark.parametrize("clustering", ["mean-shift", "components"])
def test_balls_are_found_at_their_centres(spacing, clustering):
    centres = [(15, 15, 15), (15, 45, 20.5), (48.3, 30, 50)]
    picked = pick_labels(
        balls(centres, 7).astype(np.int8) * 3, spacing, LabelConfig(clustering=clustering), label=3
    )
    assert len(picked.picks) == 3
    distances = cKDTree(picked.picks.positions_angstrom).query(np.array(centres) * spacing)[0]
    # The kernel is round in Å, balls in uneven voxels are not: a quarter of the coarsest voxel.
    assert distances.max() < 0.25 * max(spacing)
    assert picked.picks.scores.min() > 0.85


def test_touching_particles_are_parted_by_mean_shift_and_not_by_components():
    centres = [(30, 30, 15), (30, 30, 29), (30, 30, 43)]
    volume = balls(centres, 7)
    assert ndi.label(volume)[1] == 1
    parted = pick_labels(volume, SPACING, LabelConfig(diameter_angstrom=140), label=1).picks
    distances = cKDTree(parted.positions_angstrom).query(np.array(centres) * 10)[0]
    assert len(parted) == 3
    assert distances.max() < 10  # Å: neighbours pull the outer ones inwards by less than a voxel
    config = LabelConfig(diameter_angstrom=140, clustering="components")
    assert len(pick_labels(volume, SPACING, config, label=1).picks) == 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.floats(0.05, 0.6))
@settings(max_examples=30, deadline=None)
def test_components_do_not_depend_on_slabs(seed, planes, density):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.5, 1, (17, 9, 8)).astype(np.float32) * (rng.random((17, 9, 8)) < density)
    labels, count = ndi.label(scores >= 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(components, "PLANES", planes)
        found = components.components_of(scores, lambda block: block, 0.5, SilentProgress())
    index = np.arange(1, count + 1)
    expected = np.column_stack(
        [
            *(ndi.sum(values, labels, index) for values in (scores > 0, scores)),
            np.array(ndi.center_of_mass(scores, labels, index)).reshape(count, 3),
        ]
    )
    got = np.column_stack([found.voxels, found.sums, found.centres])
    np.testing.assert_allclose(np.sort(got, axis=0), np.sort(expected, axis=0), rtol=1e-5, atol=1e-5)


def test_slabs_that_were_not_joined_would_be_too_many():
    volume = balls([(32, 30, 30)], 10)
    slabs = sum(
        ndi.label(volume[first : first + components.PLANES])[1] for first in range(0, 64, components.PLANES)
    )
    found = components.components_of(volume, lambda block: block.astype(np.float32), 0.5, SilentProgress())
    assert (slabs, len(found.voxels)) == (2, 1)


@pytest.mark.parametrize("clustering", ["mean-shift", "components"])
def test_confidence_is_the_share_of_a_particle_that_the_map_is_sure_of(clustering):
    config = LabelConfig(diameter_angstrom=150, clustering=clustering, threshold=0.0)
    whole = balls([(30, 30, 30)], 7.5).astype(np.float32)
    half = whole * (GRID[..., 0] < 30)
    scores = [pick_labels(v, SPACING, config).picks.scores[0] for v in (whole, 0.6 * whole, half)]
    smoothed = [ndi.gaussian_filter(volume, 7.5 / 2).max() for volume in (half, whole)]
    # A half ball's mode moves into it, where the kernel holds more than half of what a full ball gives.
    part = half.sum() / whole.sum() if clustering == "components" else smoothed[0] / smoothed[1]
    np.testing.assert_allclose(scores, [1.0, 0.6, part], atol=0.02)
    speck = pick_labels(balls([(30, 30, 30)], 2), SPACING, LabelConfig(diameter_angstrom=150), label=1)
    assert len(speck.picks) == 0
    assert 0 < speck.candidates[0] < 0.1


def test_a_noisy_map_still_shows_its_particles():
    rng = np.random.default_rng(0)
    centres = [(z, y, x) for z in (16, 48) for y in (16, 48) for x in (16, 48)]
    chance = np.where(balls(centres, 7), 0.6, 0.1)
    volume = (rng.random(chance.shape) < chance).astype(np.uint8)
    found = pick_labels(volume, SPACING, LabelConfig(diameter_angstrom=140), label=1).picks
    assert len(found) == 8
    # Components find the same particles only where noise leaves them in one piece apart from the rest.
    assert cKDTree(found.positions_angstrom).query(np.array(centres) * 10)[0].max() < 10


def test_particles_cut_by_a_face_are_found_with_less_confidence():
    volume = balls([(0, 30, 30), (40, 30, 30)], 7)
    found = pick_labels(volume, SPACING, LabelConfig(diameter_angstrom=140), label=1).picks
    assert len(found) == 2
    assert found.positions_angstrom[1, 0] < 30
    assert found.scores[1] < 0.75


def test_the_diameter_is_that_of_the_typical_component():
    volume = balls([(16, 16, 16), (16, 48, 48), (48, 16, 40)], 8)
    volume[::9, ::9, 60:] = True  # specks
    diameter = class_diameter(volume, SPACING, 0.5, label=1)
    assert diameter == pytest.approx(160, rel=0.05)
    assert class_diameter(volume, SPACING, 0.5, label=2) is None
    assert len(pick_labels(volume, SPACING, LabelConfig(), label=1).picks) == 3
    assert len(pick_labels(volume, SPACING, LabelConfig(), label=2).candidates) == 0


def test_masks_counts_and_distances_act_and_nan_is_nothing():
    centres = [(16, 16, 16), (16, 48, 48), (48, 16, 40)]
    volume = balls(centres, 7).astype(np.float32)
    volume[0, 0, 0], volume[60:] = np.nan, np.inf
    volume[60:] = np.nan
    mask = GRID[..., 0] < 32
    assert len(pick_labels(volume, SPACING, LabelConfig(), mask=mask).picks) == 2
    assert len(pick_labels(volume, SPACING, LabelConfig(count=1)).picks) == 1
    assert len(pick_labels(volume, SPACING, LabelConfig(min_distance_angstrom=5000)).picks) == 1


def test_it_can_be_stopped_and_reads_slabs_only():
    class Lazy:
        """Refuses to be read whole."""

        shape = (64, 64, 64)

        def __getitem__(self, planes):
            assert planes.stop - planes.start <= components.PLANES
            return balls([(30, 30, 30)], 7)[planes]

    class Stop(SilentProgress):
        def should_stop(self):
            return True

    assert len(pick_labels(Lazy(), SPACING, LabelConfig(), label=1).picks) == 1
    for diameter in (None, 140):
        with pytest.raises(Interrupted):
            pick_labels(Lazy(), SPACING, LabelConfig(diameter_angstrom=diameter), label=1, progress=Stop())
