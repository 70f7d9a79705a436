"""Gold beads, which a denoised volume has no longer."""

import numpy as np
import pytest

from vitreous.core import Normalization
from vitreous.methods import Dual, PreparedVolume
from vitreous.methods.dual import standardized_density
from vitreous.methods.dual.gold import bead_places, without_gold
from vitreous.training import TrainingVolume

CLIPPED = Normalization(0.0, 1.0, -10.0, 10.0)
CENTRES = ((30, 30, 30), (32, 80, 120), (33, 130, 60))


def volume_with(centres, shape=(64, 200, 200), radius=5.0, height=-40.0, seed=0):
    """White noise, and balls far beyond it."""
    data = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    grid = np.indices(shape)
    for centre in centres:
        away = ((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(0)
        data[away <= radius**2] = height
    return TrainingVolume(data, CLIPPED, voxel_spacing_angstrom=10.0)


def test_every_bead_is_found_with_its_halo_and_noise_has_none():
    volume = volume_with(CENTRES)
    places = list(bead_places(volume))
    assert len(places) == len(CENTRES)
    for start, share in places:
        box = tuple(slice(first, first + n) for first, n in zip(start, share.shape, strict=True))
        dark = volume.data[box] < -30
        assert dark.sum() > 400  # the ball of 515 voxels, not cut
        assert (share[dark] == 1).all()
        assert share[0].max() < 0.2
    assert list(bead_places(volume_with(()))) == []


def test_the_result_has_ice_where_gold_is_and_is_untouched_elsewhere():
    """Across the faces of the blocks that are looked through, too: there is a bead on either."""
    volume = volume_with([*CENTRES, (32, 100, 160)])
    before = np.random.default_rng(4).normal(1, 0.1, volume.data.shape).astype(np.float32)
    prediction = before.copy()
    prediction[volume.data < -30] = 50.0
    without_gold(prediction, volume)
    assert np.abs(prediction[volume.data < -30] - 1).max() < 0.01  # the median; its error is 0.001
    assert (prediction == before).mean() > 0.8
    none = before.copy()
    without_gold(none, volume_with(()))
    np.testing.assert_array_equal(none, before)


@pytest.mark.parametrize("has_gold", [True, False])
def test_gold_stays_if_the_clean_domain_has_some(has_gold):
    """Balls of protein in ice without noise, and gold that is five times as dense."""
    volume = volume_with(CENTRES)
    density = np.where(volume.data < -30, np.float32(-5), np.float32(0))
    if has_gold:
        density[volume_with([(32, 160, 160)]).data < -30] = -25
    method = Dual(clean=[standardized_density(density, "density", 10.0)])
    adapted = method.adapted([PreparedVolume(volume)])
    assert adapted.config.gold is has_gold
    found, _ = adapted.calibrated(CLIPPED.apply(volume.data), volume, 1.0)
    assert (found[CENTRES[0]] < -9) is np.bool_(has_gold)
    assert has_gold or abs(found[CENTRES[0]]) < 0.1
