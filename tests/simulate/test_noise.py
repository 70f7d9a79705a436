"""Simulated noise: variance, geometry."""

import numpy as np
import pytest

from vitreous.fourier import measured_region
from vitreous.simulate import wedge_filtered, white_noise

SHAPE = (40, 24, 48)


def test_white_noise_has_unit_variance_at_every_frequency():
    noise = white_noise((64, 64, 64), np.random.default_rng(0)).astype(np.float64)
    assert noise.dtype == np.float64
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / noise.size)
    power = np.abs(np.fft.fftn(noise)) ** 2 / noise.size
    for block in (power[:8, :8, :8], power[28:36, 28:36, 28:36]):  # each power: mean 1, deviation about 1
        assert abs(block.mean() - 1) < 4 * np.sqrt(2 / block.size)


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
