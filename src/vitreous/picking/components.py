"""Connected components of a class in a volume that is read a few planes at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vitreous.core import Interrupted, Progress

PLANES = 32  # labelled at a time
Array = NDArray[np.float32]
Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Components:
    """Sets of voxels that touch by their faces.

    Parameters
    ----------
    voxels
        (n,) how many each has.
    sums
        (n,) of the scores in each.
    centres
        (n, 3), zyx, in voxels, weighted by score.
    """

    voxels: Real
    sums: Real
    centres: Real


def components_of(
    data: NDArray[Any], scores_of: Callable[[NDArray[Any]], Array], threshold: float, progress: Progress
) -> Components:
    """Connected components of the voxels that score at least a threshold.

    Each slab is labelled by itself; components that touch across the planes between slabs are then joined,
    so that the result does not depend on the slabs and only one of them lies in memory.

    Parameters
    ----------
    data
        (z, y, x), may be memory-mapped.
    scores_of
        From planes as they are stored to scores from 0 to 1.
    threshold
        Positive.
    progress
        Receives progress, and may stop.

    Raises
    ------
    Interrupted
        If the user stopped.
    """
    parts: list[Real] = []  # voxels, score, and score × z, y, x of the components of each slab
    pairs: list[NDArray[np.int64]] = []
    count, above = 0, np.zeros(data.shape[1:], np.int64)
    progress.start("components", math.ceil(data.shape[0] / PLANES))
    for first in range(0, data.shape[0], PLANES):
        if progress.should_stop():
            raise Interrupted
        scores = scores_of(data[first : first + PLANES])
        local, found = ndi.label(scores >= threshold)
        parts.append(measured(scores, local, found, first))
        labels = np.where(local[0] > 0, local[0] + count, 0)
        touching = (above > 0) & (labels > 0)
        pairs.append(np.unique(np.stack([above[touching], labels[touching]]), axis=1))
        above = np.where(local[-1] > 0, local[-1].astype(np.int64) + count, 0)
        count += found
        progress.advance()
    table = joined(np.concatenate(parts), np.concatenate(pairs, axis=1) - 1)
    return Components(table[:, 0], table[:, 1], table[:, 2:] / table[:, 1:2])


def measured(scores: Array, labels: NDArray[Any], count: int, first: int) -> Real:
    """(count, 5): voxels, score, and score × z, y and x of the components of one slab."""
    where = np.nonzero(labels)
    owner, weight = labels[where] - 1, scores[where].astype(np.float64)
    places = [axis + offset for axis, offset in zip(where, (first, 0, 0), strict=True)]
    columns = [None, weight, *(weight * place for place in places)]
    return np.stack([np.bincount(owner, column, count) for column in columns], axis=1)


def joined(table: Real, pairs: NDArray[np.int64]) -> Real:
    """Rows added up that pairs (2, m) of their indices connect."""
    links = coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), (len(table),) * 2)
    count, owner = connected_components(links, directed=False)
    total = np.zeros((count, table.shape[1]))
    np.add.at(total, owner, table)
    return total


def components_bytes(shape: tuple[int, ...]) -> int:
    """Peak memory of `components_of`, if a tenth of the voxels belong to components."""
    return 24 * PLANES * math.prod(shape[1:])
