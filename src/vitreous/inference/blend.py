"""Overlapping blocks blended with a Hann window, for networks whose result depends on the whole block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Interrupted, Progress
from vitreous.inference.tiles import Tile

Array = NDArray[np.float32]


def blend_tiles(
    shape: Sequence[int],
    tile: int,
    block_of: Callable[[Tile], Tensor],
    progress: Progress,
    *,
    equal_variance: bool = False,
) -> Array:
    """Put a volume together from blocks that overlap by half, each weighted with a Hann window.

    Parameters
    ----------
    shape
        (z, y, x) of the volume, of any size.
    tile
        Side of the cubic blocks, even; those at the borders reach over the volume's edge.
    block_of
        The block (z, y, x) of a tile.
    progress
        Told of every block; polled for a wish to stop.
    equal_variance
        Divide by the root of the summed squared weights, not by the summed weights: blocks of
        independent noise then keep their variance everywhere, where a mean would make them weaker
        between two centres than in one.

    Raises
    ------
    Interrupted
        If the user asked to stop.
    """
    half = tile // 2
    # The window of a block's middle voxels, so that it is nowhere zero.
    window = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(tile) + 0.5) / tile)).astype(np.float32)
    starts = [range(-half, side, half) for side in shape]
    result = np.zeros(tuple(shape), np.float32)
    weights = [np.zeros(side, np.float32) for side in shape]
    for axis, side in enumerate(shape):
        for start in starts[axis]:
            inside = slice(max(start, 0), min(start + tile, side))
            part = window[inside.start - start : inside.stop - start]
            weights[axis][inside] += np.square(part) if equal_variance else part
    progress.start("blocks", prod(len(axis) for axis in starts))
    for corner in product(*starts):
        if progress.should_stop():
            raise Interrupted
        core = tuple(slice(max(s, 0), min(s + tile, n)) for s, n in zip(corner, shape, strict=True))
        inner = tuple(slice(c.start - s, c.stop - s) for c, s in zip(core, corner, strict=True))
        block = block_of(Tile(tuple(corner), (tile,) * 3, core, inner))
        result[core] += block[inner].float().cpu().numpy() * separable([window[cut] for cut in inner])
        progress.advance()
    for axis, weight in enumerate(weights):
        scale = 1 / (np.sqrt(weight) if equal_variance else weight)
        result *= scale.reshape([-1 if a == axis else 1 for a in range(3)])
    return result


def separable(factors: Sequence[Array]) -> Array:
    """Outer product of three windows, (z, y, x)."""
    z, y, x = factors
    return z[:, None, None] * y[None, :, None] * x[None, None, :]
