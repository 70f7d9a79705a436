"""Fourier binning of whole volumes and its inverse, block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import Normalization, read_block
from vitreous.fourier import resample
from vitreous.inference.tiles import tiles_of

CORE = 48  # coarse voxels written by one block
MARGIN = 16  # coarse voxels around it, where the wrap-around of the transform stays

Array = NDArray[np.float32]


def bin_volume(data: NDArray[Any], normalization: Normalization, factor: int) -> Array:
    """Standardized volume on a grid `factor` times coarser, free of aliasing; (z, y, x) float32.

    Coarse sample i lies at fine sample i·factor; sides are rounded up.
    """
    shape = coarse_shape(data.shape, factor)

    def read(start: Sequence[int], block: Sequence[int]) -> Array:
        fine = read_block(data, [s * factor for s in start], [n * factor for n in block])
        return _resampled(normalization.apply(fine), block)

    return _by_blocks(shape, read, scale=1, shape=shape)


def unbin_volume(coarse: Array, factor: int, shape: Sequence[int]) -> Array:
    """Band-limited interpolation of a binned volume back to `shape`; inverse of `bin_volume` below its Nyquist."""

    def read(start: Sequence[int], block: Sequence[int]) -> Array:
        return _resampled(read_block(coarse, start, block), [n * factor for n in block])

    return _by_blocks(coarse.shape, read, scale=factor, shape=shape)


def coarse_shape(shape: Sequence[int], factor: int) -> tuple[int, ...]:
    """Sides of a volume after binning.

    Examples
    --------
    >>> coarse_shape((7, 8, 9), 2)
    (4, 4, 5)
    """
    return tuple(-(-side // factor) for side in shape)


def _by_blocks(
    coarse: Sequence[int],
    read: Callable[[Sequence[int], Sequence[int]], Array],
    *,
    scale: int,
    shape: Sequence[int],
) -> Array:
    """Put together `read(start, block)` over blocks of the coarse grid, each `scale` times as fine."""
    result = np.empty(tuple(shape), np.float32)
    for tile in tiles_of(coarse, tile=CORE + 2 * MARGIN, margin=MARGIN, stride=2):
        block = read(tile.start, tile.shape)
        target = tuple(
            slice(core.start * scale, min(core.stop * scale, side))
            for core, side in zip(tile.core, shape, strict=True)
        )
        offset = [inner.start * scale for inner in tile.inner]
        cut = tuple(slice(o, o + t.stop - t.start) for o, t in zip(offset, target, strict=True))
        result[target] = block[cut]
    return result


def _resampled(block: Array, shape: Sequence[int]) -> Array:
    resampled: Array = resample(torch.from_numpy(block), shape).numpy()
    return resampled
