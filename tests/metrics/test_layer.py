"""The specimen's layer: thickness, place and slopes; none where there is none."""

import numpy as np
import pytest

from vitreous.metrics import measure_layer

SHAPE, SPACING = (60, 128, 128), 10.0


def specimen(seed, low, high, slopes=(0.0, 0.0), contrast=1.5, count=500):
    """Small balls between two planes, in noise; slopes in voxels per voxel along y and x."""
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=SHAPE).astype(np.float32)
    z, y, x = np.meshgrid(*map(np.arange, (7, 7, 7)), indexing="ij")
    ball = ((z - 3) ** 2 + (y - 3) ** 2 + (x - 3) ** 2 <= 9).astype(np.float32)
    for _ in range(count):
        cy, cx = rng.uniform(4, np.array(SHAPE[1:]) - 4)
        rise = slopes[0] * (cy - SHAPE[1] / 2) + slopes[1] * (cx - SHAPE[2] / 2)
        cz = rng.uniform(low + 3, high - 3) + rise
        place = tuple(slice(max(0, int(c) - 3), int(c) + 4) for c in (cz, cy, cx))
        part = volume[place]
        part -= contrast * ball[-part.shape[0] :, : part.shape[1], : part.shape[2]]
    return volume


@pytest.mark.parametrize(("low", "high"), [(15, 45), (22, 38), (10, 35)])
def test_thickness_and_place(low, high):
    layer = measure_layer(specimen(0, low, high), SPACING)
    # The band blurs faces by σ = 30 Å each; thin layers come out too thick, within twice what is stated.
    assert layer.uncertainty_angstrom < 90
    assert abs(layer.thickness_angstrom - (high - low) * SPACING) < 1.5 * layer.uncertainty_angstrom
    np.testing.assert_allclose(np.mean(layer.faces_angstrom), (low + high) / 2 * SPACING, atol=20)
    assert np.abs(layer.slopes_deg).max() < 2


@pytest.mark.parametrize("slopes", [(0.1, 0.0), (0.0, -0.14), (0.05, 0.08)])
def test_slopes(slopes):
    layer = measure_layer(specimen(1, 22, 38, slopes), SPACING)
    np.testing.assert_allclose(layer.slopes_deg, np.rad2deg(np.arctan(slopes)), atol=1.6)
    # Not made level, the profile would be wider by the rise from one end to the other.
    level = measure_layer(specimen(1, 22, 38), SPACING)
    assert layer.thickness_angstrom == pytest.approx(level.thickness_angstrom, abs=25)


def test_what_shows_no_faces_is_none():
    assert measure_layer(specimen(2, -3, 63, count=900), SPACING) is None
    assert measure_layer(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32), SPACING) is None
    assert measure_layer(np.zeros(SHAPE, np.float32), SPACING) is None
    assert measure_layer(np.ones((8, 40, 40), np.float32), SPACING) is None
