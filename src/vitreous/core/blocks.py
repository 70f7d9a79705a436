"""Reading blocks that may reach over the edge of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_block(data: NDArray[Any], start: Sequence[int], shape: Sequence[int]) -> NDArray[np.float32]:
    """A float32 copy of `data[start : start + shape]`, reflected where the block leaves the volume.

    Only the voxels needed are read, so `data` may be memory-mapped. The reflection repeats as often
    as needed, so that a block may be many times larger than the volume.

    Parameters
    ----------
    data
        Array of any rank.
    start
        First index along each axis; may be negative or beyond the end.
    shape
        Side lengths of the block.

    Examples
    --------
    >>> read_block(np.arange(4), (-2,), (8,)).astype(int).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    indices = [reflected_indices(s, n, side) for s, n, side in zip(start, shape, data.shape, strict=True)]
    lows = [int(i.min()) for i in indices]
    window = data[tuple(slice(low, int(i.max()) + 1) for low, i in zip(lows, indices, strict=True))]
    block = np.asarray(window, dtype=np.float32)
    for axis, (low, index) in enumerate(zip(lows, indices, strict=True)):
        if not np.array_equal(index - low, np.arange(block.shape[axis])):
            block = block.take(index - low, axis=axis)
    return np.array(block, dtype=np.float32, copy=block.base is not None or block is window)


def reflected_indices(start: int, count: int, side: int) -> NDArray[np.intp]:
    """Indices start … start + count - 1 folded back into 0 … side - 1, edges not repeated."""
    period = max(1, 2 * (side - 1))
    folded = np.arange(start, start + count) % period
    return np.where(folded < side, folded, period - folded).astype(np.intp)


def inside_mask(start: Sequence[int], shape: Sequence[int], volume_shape: Sequence[int]) -> NDArray[np.bool_]:
    """Which voxels of a block lie inside the volume (the others are reflections)."""
    mask = np.ones((), dtype=bool)
    for axis, (s, n, side) in enumerate(zip(start, shape, volume_shape, strict=True)):
        index = np.arange(s, s + n)
        inside = (index >= 0) & (index < side)
        mask = mask & inside.reshape([-1 if i == axis else 1 for i in range(len(tuple(shape)))])
    return np.broadcast_to(mask, tuple(shape))
