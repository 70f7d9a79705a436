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
