"""Fourier binning: aliasing, round trip, odd sides."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization
from vitreous.fourier import resample
from vitreous.inference import bin_volume, unbin_volume
from vitreous.inference.binning import coarse_shape

PLAIN = Normalization(0.0, 1.0, -np.inf, np.inf)


def smooth_volume(shape, seed=0):
    """Nothing above a sixth of a cycle per voxel."""
    rng = np.random.default_rng(seed)
    even = tuple(n + n % 2 for n in shape)
    few = tuple(max(2, n // 6 // 2 * 2) for n in even)
    coarse = torch.from_numpy(rng.normal(size=few).astype(np.float32))
    return resample(coarse, even).numpy()[tuple(slice(0, n) for n in shape)]


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("shape", [(48, 60, 54), (51, 64, 47)])
def test_what_lies_below_the_new_nyquist_survives(factor, shape):
    volume = smooth_volume(shape)
    coarse = bin_volume(volume, PLAIN, factor)
    assert coarse.shape == coarse_shape(shape, factor)
    restored = unbin_volume(coarse, factor, shape)
    assert restored.shape == shape
    # Reflection makes kinks at the faces, which ring a little: 12 voxels inside 5 % (rms) is left of it.
    error = (restored - volume)[(slice(12, -12),) * 3]
    assert np.sqrt(np.square(error).mean()) < 0.05 * volume.std()


def test_what_lies_above_is_gone_not_folded_back():
    z = np.arange(64, dtype=np.float32)
    wave = np.cos(2 * np.pi * 0.4 * z)[:, None, None] * np.ones((1, 16, 16), np.float32)
    coarse = bin_volume(wave, PLAIN, 2)
    assert np.abs(coarse[8:-8]).max() < 0.05
    assert np.abs(wave[::2][8:-8]).max() > 0.9  # what taking every other sample would fold back


def test_blocks_join_without_seams():
    shape = (24, 24, 250)  # the coarse side of 125 takes three blocks
    volume = smooth_volume(shape)
    coarse = bin_volume(volume, PLAIN, 2)
    np.testing.assert_allclose(
        coarse[4:-4, 4:-4, 8:-8], volume[8:-8:2, 8:-8:2, 16:-16:2], atol=0.1 * volume.std()
    )
