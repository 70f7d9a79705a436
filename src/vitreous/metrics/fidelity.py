"""How near a volume is to its reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity


def psnr(volume: NDArray[Any], reference: NDArray[Any], *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB for an explicit `data_range`.

    Raises
    ------
    ValueError
        If `data_range` is not positive, as that of a constant reference.

    Examples
    --------
    >>> psnr(np.full(8, 0.1), np.zeros(8), data_range=1.0)
    20.0
    """
    _check_range(data_range)
    error = float(np.mean((np.asarray(volume, np.float64) - np.asarray(reference, np.float64)) ** 2))
    return float("inf") if error == 0 else round(float(10 * np.log10(data_range**2 / error)), 10)


def ssim(volume: NDArray[Any], reference: NDArray[Any], *, data_range: float) -> float:
    """Structural similarity with a 7³ window, for an explicit `data_range`; ValueError as `psnr`."""
    _check_range(data_range)
    a, b = np.asarray(volume, np.float32), np.asarray(reference, np.float32)
    return float(structural_similarity(a, b, data_range=data_range, win_size=7))


def correlation(volume: NDArray[Any], reference: NDArray[Any]) -> float:
    """Pearson correlation of all voxels; NaN if either volume is constant."""
    a, b = np.ravel(volume), np.ravel(reference)
    if a.min() == a.max() or b.min() == b.max():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def inside_outside_contrast(volume: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """Mean inside a mask minus mean outside it."""
    values = np.asarray(volume, np.float64)
    return float(values[mask].mean() - values[~mask].mean())


def _check_range(data_range: float) -> None:
    if not data_range > 0:
        raise ValueError(f"a data range of {data_range:g} is not positive: is the reference constant?")
