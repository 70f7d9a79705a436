"""Simulated noise: variance, geometry, seeds."""

import numpy as np
import pytest

from vitreous.fourier import measured_region
from vitreous.simulate import reconstructed_noise, wedge_filtered, white_noise

SHAPE = (40, 24, 48)
TILTS = range(-60, 61, 3)


def test_white_noise_has_unit_variance_at_every_frequency():
    noise = white_noise((64, 64, 64), np.random.default_rng(0)).astype(np.float64)
    assert noise.dtype == np.float64
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / noise.size)
    power = np.abs(np.fft.fftn(noise)) ** 2 / noise.size
    for block in (power[:8, :8, :8], power[28:36, 28:36, 28:36]):  # each power: mean 1, deviation about 1
        assert abs(block.mean() - 1) < 4 * np.sqrt(2 / block.size)


def test_reconstructed_noise_has_unit_variance_and_its_seed():
    first, again, other = (reconstructed_noise(SHAPE, TILTS, np.random.default_rng(s)) for s in (0, 0, 1))
    assert first.shape == SHAPE
    assert first.dtype == np.float32
    assert first.std() == pytest.approx(1, abs=1e-5)
    assert first.tobytes() == again.tobytes()
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


def test_reconstructed_noise_lies_in_the_measured_region_and_grows_with_frequency():
    noise = reconstructed_noise((64, 48, 64), TILTS, np.random.default_rng(0))
    power = np.abs(np.fft.fftn(noise)) ** 2
    measured = measured_region(noise.shape, (-60, 60)).numpy()
    kz, ky, kx = (np.abs(np.fft.fftfreq(n)) for n in noise.shape)
    across = np.hypot(kz[:, None, None], kx[None, None, :]) + 0 * ky[None, :, None]
    band = (across > 0.1) & (across < 0.4)
    assert power[band & ~measured].mean() < 0.08 * power[band & measured].mean()
    low, high = (across > 0.03) & (across < 0.08), (across > 0.2) & (across < 0.3)
    ratio = power[low & measured].mean() / power[high & measured].mean()
    assert 0.1 < ratio < 0.5  # white noise would give 1


def test_wedge_filtered_keeps_exactly_the_measured_region():
    volume = white_noise(SHAPE, np.random.default_rng(0))
    filtered = wedge_filtered(volume, (-50, 70))
    mask = measured_region(SHAPE, (-50, 70)).numpy()
    before, after = np.fft.fftn(volume), np.fft.fftn(filtered)
    scale = np.abs(before).max()
    assert np.abs(after - before)[mask].max() < 1e-5 * scale
    assert np.abs(after[~mask]).max() < 1e-5 * scale
    assert filtered.var() == pytest.approx(mask.mean(), rel=0.02)
    np.testing.assert_allclose(wedge_filtered(filtered, (-50, 70)), filtered, atol=1e-5)  # a projection
