"""Picks against the truth: which ones are right, precision, recall, F1, average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Matching = Literal["one-to-one", "any"]
MATCHINGS: tuple[Matching, ...] = get_args(Matching)
Real = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Matches:
    """Which picks are right and which true particles were found.

    Parameters
    ----------
    hits
        (picks,), in their order.
    found
        (true particles,).
    distances
        (n,), of every hit from the particle it was matched with, or from the nearest if any will do.
    """

    hits: Flags
    found: Flags
    distances: Real


def match_picks(picks: Real, truth: Real, distance: float, matching: Matching = "one-to-one") -> Matches:
    """Tell right picks from wrong ones.

    "one-to-one": a particle makes one pick right, and the other way round. Picks are taken in their order,
    the best first; each is a hit if it can be matched in addition to all hits before it, which may change
    partners for it but stay hits. So there are as many hits among the first n picks, for every n, as any
    assignment can give, the optimal one included; neither picks of low score nor the order of equally
    near neighbours change what is a hit further up, as average precision needs it.

    "any": a pick is a hit if any particle is near enough, a particle is found if any pick is. This is how
    the DUAL paper counts. Picks that are more than twice the distance apart come out the same either way,
    as no particle is near to two of them, if particles are that far apart too.

    Parameters
    ----------
    picks, truth
        Positions (n, 3) and (m, 3) in one unit.
    distance
        How far apart a pick and its particle may be, in that unit.
    matching
        The rule.

    Examples
    --------
    >>> twice = np.array([[0.0, 0, 1], [0, 0, 2]])
    >>> match_picks(twice, np.zeros((1, 3)), 5).hits, match_picks(twice, np.zeros((1, 3)), 5, "any").hits
    (array([ True, False]), array([ True,  True]))
    """
    lists = neighbours(picks, truth, distance)
    found = np.zeros(len(truth), bool)
    if matching == "any":
        for near in lists:
            found[near] = True
        hits = np.array([len(near) > 0 for near in lists], bool)
        nearest = np.array([near[0] for near in lists if len(near)], int)
        return Matches(hits, found, np.linalg.norm(truth[nearest] - picks[hits], axis=1))
    owner = np.full(len(truth), -1)
    for pick in range(len(lists)):
        place(pick, lists, owner, set())
    found = owner >= 0
    hits = np.isin(np.arange(len(picks)), owner)
    return Matches(hits, found, np.linalg.norm(truth[found] - picks[owner[found]], axis=1))


def neighbours(picks: Real, truth: Real, distance: float) -> list[NDArray[np.intp]]:
    """For every pick the particles within the distance, the nearest first."""
    if not len(truth):
        return [np.zeros(0, np.intp) for _ in picks]
    tree = cKDTree(truth)
    lists = []
    for pick in picks:
        near = np.array(sorted(tree.query_ball_point(pick, distance)), np.intp)
        lists.append(near[np.argsort(np.linalg.norm(truth[near] - pick, axis=1), kind="stable")])
    return lists


def place(pick: int, lists: list[NDArray[np.intp]], owner: NDArray[np.int_], tried: set[int]) -> bool:
    """Give a pick a particle, moving the owners of others where they have a second choice (Kuhn's method).

    `owner` says which pick has each particle, -1 for none, and is changed; `tried` are particles that
    cannot be had. Returns whether there was one.
    """
    for particle in map(int, lists[pick]):
        if particle not in tried:
            tried.add(particle)
            if owner[particle] < 0 or place(int(owner[particle]), lists, owner, tried):
                owner[particle] = pick
                return True
    return False


def detection_scores(hits: Flags, found: Flags) -> dict[str, float]:
    """Precision (share of picks that are hits), recall (share of particles found) and their harmonic mean.

    Each is 0 where it has nothing to count, as without picks.

    Examples
    --------
    >>> detection_scores(np.array([True, False]), np.array([True, False]))["f1"]
    0.5
    """
    precision = float(hits.mean()) if hits.size else 0.0
    recall = float(found.mean()) if found.size else 0.0
    total = precision + recall
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / total if total else 0.0}


def average_precision(hits: Flags, scores: Real, truths: int) -> float:
    """Area under precision against recall as picks are added by falling score, without interpolation.

    It is the sum of the precision at every hit, over the number of true particles; picks of equal score
    are added together.

    Examples
    --------
    >>> average_precision(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]), 2)
    0.8333333333333333
    """
    if not truths or not hits.size:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), hits.size - 1)
    counts = np.cumsum(hits[order])[ends]
    return float(np.sum(np.diff(counts, prepend=0) * counts / (ends + 1)) / truths)
