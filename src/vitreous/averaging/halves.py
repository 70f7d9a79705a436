"""Two halves of some particles that have no particle in common, even if it was picked twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


def starting_halves(count: int) -> NDArray[np.int_]:
    """Which half each of some particles belongs to: the even ones to one, the odd ones to the other."""
    return halves_of_groups(np.arange(count))


def close_pairs(
    positions_angstrom: NDArray[np.float64], owner: NDArray[np.int_], distance_angstrom: float
) -> NDArray[np.intp]:
    """Pairs (m, 2) of particles of one tomogram that lie no farther apart than some distance.

    Parameters
    ----------
    positions_angstrom
        (n, 3), in Å, in their tomograms.
    owner
        (n,), the number of each one's tomogram.
    distance_angstrom
        In Å.
    """
    found = [np.zeros((0, 2), np.intp)]
    for tomogram in np.unique(owner):
        mine = np.flatnonzero(owner == tomogram)
        pairs = cKDTree(positions_angstrom[mine]).query_pairs(distance_angstrom, output_type="ndarray")
        found.append(mine[pairs])
    return np.concatenate(found)


def groups_of(count: int, pairs: NDArray[np.intp]) -> NDArray[np.int_]:
    """(count,): the first particle of each one's group, if those of (m, 2) pairs belong together.

    Examples
    --------
    >>> groups_of(5, np.array([[3, 1], [3, 4]])).tolist()
    [0, 1, 2, 1, 1]
    """
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    labels = connected_components(links, directed=False)[1]
    first = np.unique(labels, return_index=True)[1]
    groups: NDArray[np.int_] = first[labels]
    return groups


def halves_of_groups(groups: NDArray[np.int_]) -> NDArray[np.int_]:
    """(n,), 0 or 1: which half each particle belongs to, if groups as of `groups_of` are not parted.

    Each group goes to the half that has fewer particles, the largest first; single ones then even out what
    is left, one to the first half, one to the second.

    Examples
    --------
    >>> halves_of_groups(np.array([0, 1, 2, 1, 1])).tolist()
    [1, 0, 1, 0, 0]
    """
    sizes = np.bincount(groups)
    held, half = [0, 0], np.zeros(len(sizes), int)
    for group in np.argsort(-sizes, kind="stable"):
        half[group] = int(held[1] < held[0])
        held[half[group]] += sizes[group]
    return half[groups]
