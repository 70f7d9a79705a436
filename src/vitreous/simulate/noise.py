"""Noise as it reaches a tomogram: white, or restricted to the measured wedge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.fourier import measured_region

Array = NDArray[np.float32]


def white_noise(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Independent standard normal voxels."""
    return rng.standard_normal(tuple(shape), dtype=np.float32)


def wedge_filtered(volume: Array, tilt_range_deg: tuple[float, float]) -> Array:
    """The volume (z, y, x) with the missing wedge of the signed tilt range set to zero."""
    mask = measured_region(volume.shape, tilt_range_deg, half=True)
    transform = torch.fft.rfftn(torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32)))
    filtered: Array = torch.fft.irfftn(transform * mask, s=volume.shape).numpy()
    return filtered
