"""Maxima of a score map: found, placed between samples, merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Real = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Picks:
    """Where particles may be, the best first.

    Parameters
    ----------
    positions_angstrom
        (n, 3), zyx, in Å from the centre of the first voxel.
    scores
        (n,), falling; what they count in is the picker's to say.
    """

    positions_angstrom: Real
    scores: Real

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, keep: NDArray[np.intp] | Flags | slice) -> Picks:
        """Those that an index, flags or a slice name, in their order."""
        return Picks(self.positions_angstrom[keep], self.scores[keep])


@dataclass(frozen=True, eq=False)
class Picked:
    """What picking found.

    Parameters
    ----------
    picks
        The best ones above the threshold.
    candidates
        Scores of all maxima that were left after merging, above the threshold or not, falling.
    skewness
        Of the score map, clearly negative where the particles are of the other polarity; 0 where scores have
        no polarity.
    non_finite
        Voxels that are NaN or infinite.
    """

    picks: Picks
    candidates: Real
    skewness: float = 0.0
    non_finite: int = 0


def local_maxima(values: NDArray[np.float32]) -> tuple[Real, Real]:
    """Samples above all 26 neighbours, placed between samples by a parabola along each axis.

    A maximum on a face is no maximum: what is beyond the face is not known.

    Parameters
    ----------
    values
        (z, y, x), every side at least 3.

    Returns
    -------
    Positions (n, 3) in samples and values (n,), in no particular order.
    """
    inner = (slice(1, -1),) * 3
    highest = ndi.maximum_filter(values, size=3, mode="nearest")[inner]
    index = np.argwhere((values[inner] == highest) & (values[inner] > 0)) + 1
    peak = values[tuple(index.T)].astype(np.float64)
    positions, heights = index.astype(np.float64), peak.copy()
    for axis in range(3):
        before, after = (
            values[tuple((index + step * np.eye(3, dtype=int)[axis]).T)].astype(np.float64)
            for step in (-1, 1)
        )
        curvature = before - 2 * peak + after
        slope = 0.5 * (after - before)
        shift = np.divide(-slope, curvature, out=np.zeros_like(peak), where=curvature < 0)
        positions[:, axis] += np.clip(shift, -0.5, 0.5)
        heights -= 0.5 * np.divide(slope**2, curvature, out=np.zeros_like(peak), where=curvature < 0)
    return positions, heights


def merged(picks: Picks, min_distance_angstrom: float) -> Picks:
    """The best of all that are closer than a distance; the next best of the rest, and so on.

    Examples
    --------
    >>> three = Picks(np.array([[0.0, 0, 0], [0, 0, 8], [0, 0, 16]]), np.array([2.0, 3.0, 1.0]))
    >>> merged(three, 10.0).scores
    array([3.])
    """
    order = np.argsort(-picks.scores, kind="stable")
    ranked = picks.select(order)
    tree = cKDTree(ranked.positions_angstrom) if len(ranked) else None
    kept = np.ones(len(ranked), bool)
    for rank, position in enumerate(ranked.positions_angstrom):
        if kept[rank] and tree is not None:
            near = np.array(tree.query_ball_point(position, min_distance_angstrom), int)
            kept[near[near > rank]] = False
    return ranked.select(kept)


def robust_spread(values: NDArray[np.float32]) -> float:
    """Deviation of the bulk of some values, from the median of their distances from the median.

    Examples
    --------
    >>> round(robust_spread(np.array([-1, 0, 1, 1000], np.float32)), 2)
    1.48
    """
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
