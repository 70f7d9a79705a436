"""Which blocks of a volume a network sees, and which part of each result is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple


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

    A block reaches `margin` beyond its core, but not beyond the volume: there a network pads as it
    would if it saw the whole volume at once. All borders are multiples of `stride`, so that strided
    layers see the same phase in every block; only the last block of an axis may reach over the edge,
    by less than a stride.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    tile
        Longest side of a block, margins included; rounded up to a multiple of `stride`.
    margin
        Voxels around a core that the network needs to see.
    stride
        Block sides are multiples of it.

    Examples
    --------
    >>> [(t.start, t.shape, t.core[0]) for t in tiles_of((10,), tile=8, margin=2, stride=2)]
    [((0,), (6,), slice(0, 4, None)), ((2,), (8,), slice(4, 8, None)), ((6,), (4,), slice(8, 10, None))]
    """
    axes = [axis_spans(side, tile=tile, margin=margin, stride=stride) for side in shape]
    for spans in product(*axes):
        yield Tile(
            start=tuple(s.start for s in spans),
            shape=tuple(s.stop - s.start for s in spans),
            core=tuple(slice(s.core_start, s.core_stop) for s in spans),
            inner=tuple(slice(s.core_start - s.start, s.core_stop - s.start) for s in spans),
        )


class Span(NamedTuple):
    """One axis of a tile: block and core, in voxels of the volume."""

    start: int
    stop: int
    core_start: int
    core_stop: int


def axis_spans(side: int, *, tile: int, margin: int, stride: int) -> list[Span]:
    """Blocks along one axis; a single one where the axis fits into a tile."""
    margin = -(-margin // stride) * stride
    tile = max(-(-tile // stride) * stride, 2 * margin + stride)
    whole = -(-side // stride) * stride
    if whole <= tile:
        return [Span(0, whole, 0, side)]
    core = tile - 2 * margin
    return [
        Span(max(0, begin - margin), min(whole, begin + core + margin), begin, min(begin + core, side))
        for begin in range(0, side, core)
    ]
