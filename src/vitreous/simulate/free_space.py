"""Where a shape still fits: every free position at once, by FFT correlation, region by region."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Index = tuple[int, int, int]


def overlap_counts(region: Mask, footprint: Mask) -> NDArray[np.int64]:
    """How many voxels of the footprint meet occupied ones, wherever it lies inside the region.

    Parameters
    ----------
    region
        (z, y, x); True is occupied.
    footprint
        (z, y, x), no larger than the region along any axis.

    Returns
    -------
    Counts at each corner of the footprint, of shape region - footprint + 1. Exact: the rounding error of
    the transforms in float32 stays far below one half, as both inputs are zeros and ones.

    Examples
    --------
    >>> row = np.array([[[True, False, False, True, False]]])
    >>> overlap_counts(row, np.array([[[True, True]]])).ravel().tolist()
    [1, 0, 1, 1]
    """
    # The correlation is circular, but the corners that are kept never reach around the edge.
    shape = [scipy.fft.next_fast_len(side, real=True) for side in region.shape]
    product_ = scipy.fft.rfftn(region.astype(np.float32), shape)
    product_ *= scipy.fft.rfftn(footprint.astype(np.float32), shape).conj()
    counts = scipy.fft.irfftn(product_, shape)
    valid = tuple(slice(0, r - f + 1) for r, f in zip(region.shape, footprint.shape, strict=True))
    return np.asarray(np.rint(counts[valid]), np.int64)


def find_free(
    occupied: Mask,
    footprint: Mask,
    rng: np.random.Generator,
    *,
    overhang: Sequence[int] = (0, 0, 0),
    tolerance_voxels: int = 0,
) -> Index | None:
    """Draw a position where the footprint meets at most `tolerance_voxels` occupied voxels.

    The volume is divided into regions. They are visited in random order, each tested completely, until one
    has free positions; one of them is drawn uniformly. None means that every position was tested.

    Parameters
    ----------
    occupied
        (z, y, x); True is occupied.
    footprint
        (z, y, x).
    rng
        Draws the order of the regions and the position.
    overhang
        Voxels per axis by which the footprint may leave the volume on either side; there all is free.
    tolerance_voxels
        Voxels of overlap that are allowed.

    Returns
    -------
    The corner (z, y, x) of the footprint in the volume, or None.
    """
    corners = [
        size - side + 2 * over + 1
        for size, side, over in zip(occupied.shape, footprint.shape, overhang, strict=True)
    ]
    if min(corners) < 1:
        return None
    parts = [_split(count, _stride(side)) for count, side in zip(corners, footprint.shape, strict=True)]
    tiles = list(product(*parts))
    for choice in rng.permutation(len(tiles)):
        starts = tuple(start - over for (start, _), over in zip(tiles[choice], overhang, strict=True))
        sides = tuple(n + f - 1 for (_, n), f in zip(tiles[choice], footprint.shape, strict=True))
        counts = overlap_counts(_read(occupied, starts, sides), footprint)
        free = np.flatnonzero(counts <= tolerance_voxels)
        if free.size:
            found = np.unravel_index(free[rng.integers(free.size)], counts.shape)
            z, y, x = (int(f) + start for f, start in zip(found, starts, strict=True))
            return z, y, x
    return None


def _stride(side: int) -> int:
    """Positions per region along an axis: enough to use most of a transform, few enough to stay fast."""
    return max(2 * side, 48) if side < 100 else 100


def _split(count: int, stride: int) -> list[tuple[int, int]]:
    """`count` positions in nearly equal runs (start, length) of at most `stride`."""
    edges = np.linspace(0, count, -(-count // stride) + 1).round().astype(int)
    return [(int(a), int(b - a)) for a, b in pairwise(edges)]


def _read(occupied: Mask, starts: Sequence[int], sides: Sequence[int]) -> Mask:
    """A block of the volume, free where it leaves the volume."""
    block = np.zeros(tuple(sides), bool)
    source = tuple(
        slice(max(0, s), max(0, min(n, s + side)))
        for s, side, n in zip(starts, sides, occupied.shape, strict=True)
    )
    target = tuple(
        slice(cut.start - s, cut.start - s + max(0, cut.stop - cut.start))
        for cut, s in zip(source, starts, strict=True)
    )
    block[target] = occupied[source]
    return block
