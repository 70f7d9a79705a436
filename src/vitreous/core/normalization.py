"""Standardizing a tomogram: clip outliers such as gold, then zero mean and unit deviation."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLIP_QUANTILE = 0.995
CLIP_FACTOR = 4.0
MANY_CLIPPED = 0.01
SLAB_VOXELS = 2**24


@dataclass(frozen=True)
class Normalization:
    """Constants that map a volume's grey values to standardized ones and back.

    Voxels outside [`low`, `high`] are clipped and non-finite ones become `mean`, in that order,
    before (v - mean) / deviation.
    """

    mean: float
    deviation: float
    low: float
    high: float

    def apply(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """Standardized float32 copy of a block."""
        values = np.clip(np.asarray(block, dtype=np.float32), self.low, self.high)
        standardized = (values - np.float32(self.mean)) / np.float32(self.deviation)
        finite: NDArray[np.float32] = np.nan_to_num(standardized, copy=False, nan=0.0)
        return finite

    def invert(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Grey values of a standardized block."""
        return block * np.float32(self.deviation) + np.float32(self.mean)

    def to_json(self) -> dict[str, float]:
        """The four constants by name."""
        return asdict(self)


AS_IS = Normalization(0.0, 1.0, -math.inf, math.inf)  # of what is standardized already


@dataclass(frozen=True)
class VoxelStatistics:
    """What one pass over a volume's grey values gave."""

    normalization: Normalization
    clipped_share: float
    non_finite: int

    def doubts(self) -> tuple[str, ...]:
        """What is odd about the voxels, as sentences for people; empty when nothing is."""
        odd = []
        if self.non_finite:
            odd.append(f"{self.non_finite} voxels are NaN or infinite; they were taken as the mean.")
        if self.clipped_share > MANY_CLIPPED:
            odd.append(f"{self.clipped_share:.1%} of the voxels lie far outside the rest and were clipped.")
        return tuple(odd)


def measure_voxels(data: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> VoxelStatistics:
    """Robust clipping limits, then mean and deviation of the clipped voxels, slab by slab.

    The limits lie four times as far from the median as the 0.5 % quantiles, ten standard deviations
    for a normal distribution: they catch gold and hot voxels and leave signal alone.

    Parameters
    ----------
    data
        (z, y, x), real, may be memory-mapped.
    mask
        Optional specimen mask of the same shape; only voxels inside count.

    Raises
    ------
    ValueError
        If no voxel is finite, or all finite voxels are equal.
    """
    sample = _sample(data, mask)
    if sample.size == 0:
        raise ValueError("it holds no finite voxel")
    low_q, median, high_q = np.quantile(sample, [1 - CLIP_QUANTILE, 0.5, CLIP_QUANTILE])
    low = float(median - CLIP_FACTOR * (median - low_q))
    high = float(median + CLIP_FACTOR * (high_q - median))
    if high <= low:  # nearly all voxels are equal: nothing can be said about outliers
        low, high = float(sample.min()), float(sample.max())
    count, clipped, non_finite, total, squares = 0, 0, 0, 0.0, 0.0
    for slab, slab_mask in _slabs(data, mask):
        non_finite += int((~np.isfinite(slab)).sum())
        values = slab[np.isfinite(slab) & slab_mask].astype(np.float64)
        clipped += int(((values < low) | (values > high)).sum())
        values = np.clip(values, low, high) - median
        count, total, squares = count + values.size, total + values.sum(), squares + np.square(values).sum()
    mean = total / count
    variance = max(squares / count - mean**2, 0.0)
    if variance <= (1e-6 * max(abs(low), abs(high), 1e-30)) ** 2:
        raise ValueError(f"all its voxels are equal ({median:g}), so there is nothing to see")
    normalization = Normalization(float(mean + median), float(np.sqrt(variance)), low, high)
    return VoxelStatistics(normalization, clipped / count, non_finite)


def _slabs(data: NDArray[Any], mask: NDArray[np.bool_] | None) -> Any:
    thickness = max(1, SLAB_VOXELS // max(1, int(np.prod(data.shape[1:]))))
    for start in range(0, data.shape[0], thickness):
        cut = slice(start, start + thickness)
        yield np.asarray(data[cut]), (True if mask is None else np.asarray(mask[cut], dtype=bool))


def _sample(
    data: NDArray[Any], mask: NDArray[np.bool_] | None, wanted: int = 2_000_000
) -> NDArray[np.float64]:
    """Finite voxels on a regular grid, about `wanted` of them."""
    step = max(1, int((data.size / wanted) ** (1 / 3)))
    grid = np.asarray(data[::step, ::step, ::step], dtype=np.float64)
    keep = np.isfinite(grid)
    if mask is not None:
        keep &= np.asarray(mask[::step, ::step, ::step], dtype=bool)
    return grid[keep]
