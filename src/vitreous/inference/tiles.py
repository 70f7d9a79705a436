"""Which blocks of a volume a network sees, and which part of each result is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Tile:
    """One block of a volume.

    `start` and `shape` are of what the network reads (it may reach over the volume's edge), `core` is
    the part of the volume it writes, `inner` the same part within the block.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    core: tuple[slice, ...]
    inner: tuple[slice, ...]


def tiles_of(shape: Sequence[int], *, tile: int, margin: int, stride: int) -> Iterator[Tile]:
    """Cover a volume with blocks whose cores meet without overlap.

    Block starts are multiples of `stride` away from -`margin` rounded up, so that strided layers
    see the same phase in every block as they would in the whole volume.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    tile
        Side of a block, margins included; rounded up to a multiple of `stride`. Axes that need less get less.
    margin
        Voxels around a core that the network needs to see.
    stride
        Block sides are multiples of it.

    Examples
    --------
    >>> [(t.start, t.core[0]) for t in tiles_of((10,), tile=12, margin=2, stride=4)]
    [((-4,), slice(0, 4, None)), ((0,), slice(4, 8, None)), ((4,), slice(8, 10, None))]
    """
    margin = -(-margin // stride) * stride
    tile = max(-(-tile // stride) * stride, 2 * margin + stride)
    axes = []
    for side in shape:
        block = min(tile, -(-side // stride) * stride + 2 * margin)
        core = block - 2 * margin
        axes.append([(begin, min(begin + core, side), block) for begin in range(0, side, core)])
    for spans in product(*axes):
        yield Tile(
            start=tuple(begin - margin for begin, _, _ in spans),
            shape=tuple(block for _, _, block in spans),
            core=tuple(slice(begin, end) for begin, end, _ in spans),
            inner=tuple(slice(margin, margin + end - begin) for begin, end, _ in spans),
        )
