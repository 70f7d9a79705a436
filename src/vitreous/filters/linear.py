"""The simplest filters, from scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage as ndi
from numpy.typing import NDArray

Array = NDArray[np.float32]


def gaussian(volume: NDArray[Any], *, sigma: float) -> Array:
    """Gaussian smoothing of any rank; `sigma` in voxels, edges reflected.

    Examples
    --------
    >>> bool(np.allclose(gaussian(np.ones((4, 4, 4)), sigma=1.0), 1))
    True
    """
    smoothed: Array = ndi.gaussian_filter(np.asarray(volume, np.float32), sigma, mode="reflect")
    return smoothed


def median(volume: NDArray[Any], *, size: int = 3) -> Array:
    """Median over a cube of `size` voxels, any rank, edges reflected."""
    filtered: Array = ndi.median_filter(np.asarray(volume, np.float32), size=size, mode="reflect")
    return filtered


def lowpass(volume: NDArray[Any], *, cutoff: float, edge: float = 0.02) -> Array:
    """Low-pass with a cosine edge, any rank.

    Parameters
    ----------
    volume
        Real array; it is mirrored before the transform, so that opposite faces do not mix.
    cutoff
        Frequency in cycles/voxel at which half the amplitude is left.
    edge
        Width of the cosine edge in cycles/voxel.
    """
    values = np.asarray(volume, np.float32)
    pads = [min(n, 16) for n in values.shape]
    padded = np.pad(values, [(p, p) for p in pads], mode="symmetric")
    squares = np.zeros((), np.float32)
    for axis, side in enumerate(padded.shape):
        f = scipy.fft.rfftfreq(side) if axis == padded.ndim - 1 else scipy.fft.fftfreq(side)
        broadcast = [-1 if i == axis else 1 for i in range(padded.ndim)]
        squares = squares + (f**2).astype(np.float32).reshape(broadcast)
    ramp = np.clip((np.sqrt(squares) - cutoff) / edge + 0.5, 0, 1)
    transfer = 0.5 * (1 + np.cos(np.pi * ramp))
    filtered = scipy.fft.irfftn(scipy.fft.rfftn(padded) * transfer, s=padded.shape)
    cut = tuple(slice(p, p + n) for p, n in zip(pads, values.shape, strict=True))
    return np.ascontiguousarray(filtered[cut], dtype=np.float32)
