"""Gold and cut-out places: counted, measured, and not seen where there are none."""

import numpy as np
import pytest

from vitreous.metrics import find_outliers

SHAPE = (40, 80, 80)
GRID = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
CENTRES = ((20, 20, 20), (12, 60, 30), (30, 40, 65))


def within(centre, radius):
    return np.linalg.norm(GRID - centre, axis=-1) < radius


@pytest.mark.parametrize("sign", [-1, 1])
def test_beads_are_counted_with_their_sign_and_size(sign):
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for centre in CENTRES:
        volume += sign * (20 * within(centre, 4) - 10 * (within(centre, 8) & ~within(centre, 4)))
    found = find_outliers(volume, 10.0)
    assert (found.beads, found.polarity) == (3, "bright" if sign > 0 else "dark")
    assert found.diameter_angstrom == pytest.approx(80, rel=0.2)
    assert all(found.mask[centre] for centre in CENTRES)
    assert found.mask.mean() < 0.1


def test_noise_and_protein_are_no_gold():
    volume = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    for centre in CENTRES:
        volume -= 2 * within(centre, 8)
    found = find_outliers(volume, 10.0)
    assert (found.beads, found.polarity, found.diameter_angstrom, found.erased) == (0, "", None, 0)
    assert not found.mask.any()


def test_protein_that_stands_far_out_of_little_noise_is_no_gold():
    """Lumps of many strengths, the densest 16 deviations out; what has four times that is gold."""
    volume = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    lumps = [(z, y, x) for z in (10, 30) for y in (10, 30, 50, 70) for x in (10, 30, 50, 70)]
    for index, centre in enumerate(lumps):
        volume -= (1 + index / 2) * within(centre, 4)
    assert volume[within(lumps[-1], 3)].mean() < -15
    assert find_outliers(volume, 10.0).beads == 0
    volume[within((20, 40, 40), 4)] = -64
    assert find_outliers(volume, 10.0).beads > 0


def test_padding_says_nothing_of_noise():
    """More than half of the volume, one value or no numbers: the specimen beside it is no gold, gold is."""
    for value in (0.0, -2.0, np.nan):
        volume = np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)
        volume[:, :, 30:] = value
        found = find_outliers(volume, 10.0)
        assert found.beads == 0
        assert not found.gold.any()
        volume[within(CENTRES[0], 4)] = -40
        assert find_outliers(volume, 10.0).beads == 1


def test_what_is_large_or_flat_is_no_gold():
    """An edge of a film, a membrane and an ice crystal, all 20 deviations out."""
    quiet = np.random.default_rng(6).normal(size=(60, 80, 80)).astype(np.float32)
    for place in (np.s_[:, :, :20], np.s_[:, 40:43], np.s_[10:50, 20:60, 20:60]):
        volume = quiet.copy()
        volume[place] -= 20
        assert find_outliers(volume, 10.0).beads == 0
        volume[28:34, 70:76, 70:76] = -90
        assert find_outliers(volume, 10.0).beads == 1


@pytest.mark.parametrize("height", [41.0, 400.0, 1e4, np.inf])
def test_a_hot_voxel_is_no_gold_and_hides_none(height):
    volume = np.random.default_rng(7).normal(size=SHAPE).astype(np.float32)
    volume[5, 5, 5] = height
    assert find_outliers(volume, 10.0).beads == 0
    for centre in CENTRES:
        volume[within(centre, 4)] = -40
    found = find_outliers(volume, 10.0)
    assert (found.beads, found.polarity) == (3, "dark")
    assert not found.gold[5, 5, 5]


def test_where_nothing_varies_nothing_is_found():
    volume = np.zeros(SHAPE, np.float32)
    volume[within(CENTRES[0], 5)] = -3
    assert find_outliers(volume, 10.0).beads == 0
    assert find_outliers(np.full(SHAPE, 2.0, np.float32), 10.0).beads == 0


def test_places_without_noise_are_found_and_padding_is_not_counted():
    volume = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    for centre in CENTRES[:2]:
        volume[within(centre, 6)] = 0.1
    found = find_outliers(volume, 10.0)
    assert found.erased == 2
    assert found.mask[20, 20, 20]
    volume[:, :, 60:] = 0
    assert find_outliers(volume, 10.0).erased == 0
    assert find_outliers(volume, 10.0).silent_share > 0.15
