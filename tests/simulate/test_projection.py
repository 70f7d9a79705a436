"""Projection and back-projection: adjoint, geometry, and what a reconstruction recovers."""

import numpy as np
import pytest

from vitreous.simulate import TiltGeometry
from vitreous.simulate.projection import ramp_weights

TILTS = range(-60, 61, 6)


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize(("depth", "width", "tilts"), [(20, 33, TILTS), (31, 24, [-70.5, 3.0, 12.0])])
def test_back_projection_is_the_transpose_of_projection(depth, width, tilts):
    geometry = TiltGeometry(depth, width, tilts)
    volume, series = noise((depth, 5, width)), noise((len(tilts), 5, width), 1)
    forward = np.vdot(geometry.project(volume).astype(np.float64), series)
    backward = np.vdot(volume, geometry.back_project(series).astype(np.float64))
    scale = np.linalg.norm(volume) * np.linalg.norm(series)
    assert abs(forward - backward) / scale < 1e-5
    shifted = np.vdot(volume, np.roll(geometry.back_project(series), 1, axis=0))
    assert abs(forward - shifted) / scale > 1e-3


def test_projection_at_zero_tilt_is_the_sum_along_z():
    volume = noise((15, 4, 18))
    np.testing.assert_allclose(TiltGeometry(15, 18, [0.0]).project(volume)[0], volume.sum(0), atol=1e-5)


def test_projection_at_ninety_degrees_is_the_sum_along_x():
    volume = noise((18, 4, 18))
    np.testing.assert_allclose(TiltGeometry(18, 18, [90.0]).project(volume)[0], volume.sum(2).T, atol=1e-5)


@pytest.mark.parametrize("tilt", [-40.0, 25.0])
def test_a_point_falls_where_the_docstring_says(tilt):
    volume = np.zeros((41, 3, 61), np.float32)
    volume[32, 1, 25] = 1  # z = +12, x = -5 from the centre
    image = TiltGeometry(41, 61, [tilt]).project(volume)[0]
    expected = -5 * np.cos(np.deg2rad(tilt)) + 12 * np.sin(np.deg2rad(tilt))
    centroid = (image[1] * (np.arange(61) - 30)).sum() / image[1].sum()
    assert centroid == pytest.approx(expected, abs=1e-4)
    assert image.sum() == pytest.approx(1, abs=1e-6)
    assert image[[0, 2]].max() == 0  # slices along the tilt axis do not mix


def test_projection_is_linear_and_keeps_mass_inside_the_field():
    geometry = TiltGeometry(16, 48, TILTS)
    volume = np.zeros((16, 3, 48), np.float32)
    volume[4:12, :, 18:30] = np.abs(noise((8, 3, 12)))
    sums = geometry.project(volume).sum((1, 2))
    np.testing.assert_allclose(sums, volume.sum(), rtol=1e-5)
    np.testing.assert_allclose(geometry.project(3 * volume), 3 * geometry.project(volume), rtol=1e-5)


def test_reconstruction_recovers_the_volume():
    z, y, x = np.ogrid[:32, :8, :48]
    volume = sum(
        np.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 8)
        for a, b, c in [(10, 3, 15), (20, 5, 30), (16, 2, 38)]
    ).astype(np.float32)
    geometry = TiltGeometry(32, 48, range(-60, 61, 3))
    series = geometry.project(volume)
    right = np.corrcoef(geometry.reconstruct(series).ravel(), volume.ravel())[0, 1]
    unweighted = np.corrcoef(geometry.back_project(series).ravel(), volume.ravel())[0, 1]
    mirrored = np.corrcoef(geometry.reconstruct(series[::-1]).ravel(), volume.ravel())[0, 1]
    assert right > 0.8  # the missing wedge keeps it from 1
    assert unweighted < right - 0.1
    assert mirrored < right - 0.2


def test_ramp_is_the_frequency_and_a_quarter_step_at_dc():
    np.testing.assert_allclose(ramp_weights(256)[1:], np.arange(1, 129) / 256)
    assert ramp_weights(256)[0] == 0.25 / 256
    assert ramp_weights(256, "hamming")[-1] == pytest.approx(0.08 * 0.5)


def test_reconstruction_multiplies_a_wave_by_its_frequency():
    """One image at tilt 0, weight 1: every plane of the volume is the filtered image."""
    n = np.arange(256)
    for bins in (8, 32, 64):
        wave = np.cos(2 * np.pi * bins / 256 * n).astype(np.float32)[None, None]
        plane = TiltGeometry(1, 256, [0.0]).reconstruct(wave)
        middle = slice(96, 160)
        gain = (plane * wave)[..., middle].sum() / (wave**2)[..., middle].sum()
        assert gain == pytest.approx(bins / 256, rel=0.03)


def test_reconstruction_leaves_its_input_and_its_shape():
    series = noise((3, 4, 17))
    before = series.copy()
    assert TiltGeometry(5, 17, [-3, 0, 3]).reconstruct(series).shape == (5, 4, 17)
    np.testing.assert_array_equal(series, before)
