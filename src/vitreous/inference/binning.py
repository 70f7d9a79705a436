"""Fourier binning of whole volumes and its inverse, block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import Normalization, read_block
from vitreous.fourier import resample

CORE = 48  # coarse voxels written by one block
ROLLOFF = 0.3  # of the kept band; where binning is chosen there is no signal up there
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
    """Band-limited interpolation of a binned volume back to `shape`, (z, y, x) float32."""

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
    for corner in product(*(range(0, side, CORE) for side in coarse)):
        # Every block has its full margin, over the volume's edge too, where it is a reflection.
        cores = [min(CORE, side - begin) for begin, side in zip(corner, coarse, strict=True)]
        even = [core + core % 2 + 2 * MARGIN for core in cores]
        block = read([begin - MARGIN for begin in corner], even)
        target = tuple(
            slice(begin * scale, min((begin + core) * scale, side))
            for begin, core, side in zip(corner, cores, shape, strict=True)
        )
        result[target] = block[
            tuple(slice(MARGIN * scale, MARGIN * scale + t.stop - t.start) for t in target)
        ]
    return result


def _resampled(block: Array, shape: Sequence[int]) -> Array:
    resampled: Array = resample(torch.from_numpy(block), shape, rolloff=ROLLOFF).numpy()
    return resampled
