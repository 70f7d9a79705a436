"""Overlapping blocks blended with a Hann window, for networks whose result depends on the whole block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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
    result = np.empty(tuple(shape), np.float32)
    for planes, slab in blended_slabs(shape, tile, block_of, progress, equal_variance=equal_variance):
        result[planes] = slab
    return result


def blended_slabs(
    shape: Sequence[int],
    tile: int,
    block_of: Callable[[Tile], Tensor],
    progress: Progress,
    *,
    equal_variance: bool = False,
    first_plane: int = 0,
) -> Iterator[tuple[slice, Array]]:
    """The same volume in slabs of half a tile along z, so that it need not lie in memory whole.

    Blocks may have channels in front, (…, z, y, x), and slabs then have them too.

    Parameters
    ----------
    first_plane
        Where to begin, as the start of a slab that was given before; what lies before it is not computed.

    Yields
    ------
    The planes of a slab, and its voxels.
    """
    half, window = tile // 2, hann(tile)
    starts = [range(-half, side, half) for side in shape]
    layers = [z for z in starts[0] if z + half >= first_plane]
    scales = [1 / total_weight(side, window, equal_variance=equal_variance) for side in shape]
    blocks = len(starts[1]) * len(starts[2])
    progress.start("blocks", len(starts[0]) * blocks, (len(starts[0]) - len(layers)) * blocks)
    above: Array | None = None  # what the layer before left in the planes that both cover
    for z in layers:
        corners = [(z, y, x) for y in starts[1] for x in starts[2]]
        layer = weighted_layer(shape, tile, corners, block_of, progress)
        if above is not None:
            layer[..., :half, :, :] += above
        above = layer[..., half:, :, :]
        planes = slice(max(z, 0), min(z + half, shape[0]))
        if z >= first_plane and planes.stop > planes.start:
            slab = layer[..., planes.start - z : planes.stop - z, :, :].copy()
            for axis, scale in enumerate((scales[0][planes], *scales[1:])):
                slab *= scale.reshape([-1 if a == axis else 1 for a in range(3)])
            yield planes, slab


def weighted_layer(
    shape: Sequence[int],
    tile: int,
    corners: Sequence[tuple[int, int, int]],
    block_of: Callable[[Tile], Tensor],
    progress: Progress,
) -> Array:
    """Sum of the weighted blocks that begin in one plane, (…, tile, y, x)."""
    window = hann(tile)
    layer: Array | None = None
    for corner in corners:
        if progress.should_stop():
            raise Interrupted
        core = tuple(slice(max(s, 0), min(s + tile, n)) for s, n in zip(corner, shape, strict=True))
        inner = tuple(slice(c.start - s, c.stop - s) for c, s in zip(core, corner, strict=True))
        block = block_of(Tile(corner, (tile,) * 3, core, inner))
        z, y, x = inner
        values = block[..., z, y, x].float().cpu().numpy() * separable([window[cut] for cut in inner])
        if layer is None:
            layer = np.zeros((*values.shape[:-3], tile, *shape[1:]), np.float32)
        layer[..., z, core[1], core[2]] += values
        progress.advance()
    assert layer is not None
    return layer


def hann(tile: int) -> Array:
    """Window of a block's middle voxels, so that it is nowhere zero."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(tile) + 0.5) / tile)).astype(np.float32)


def total_weight(side: int, window: Array, *, equal_variance: bool) -> Array:
    """What the weights of all blocks over a voxel come to along an axis, (side,)."""
    tile = len(window)
    weights = np.zeros(side, np.float32)
    for start in range(-(tile // 2), side, tile // 2):
        inside = slice(max(start, 0), min(start + tile, side))
        part = window[inside.start - start : inside.stop - start]
        weights[inside] += np.square(part) if equal_variance else part
    return np.sqrt(weights) if equal_variance else weights


def separable(factors: Sequence[Array]) -> Array:
    """Outer product of three windows, (z, y, x)."""
    z, y, x = factors
    return z[:, None, None] * y[None, :, None] * x[None, None, :]
