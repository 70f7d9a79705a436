"""Candidates of all classes, aligned to every structure: each is what it fits best, or nothing.

A network sees roughly what is there and confuses what looks alike at its voxels; alignment knows the
structures in all orientations, and what each of them scores by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vitreous.evidence import FEWEST_ELSEWHERE, against_chance
from vitreous.picking import Picks
from vitreous.workflows.annotate.alignment import random_places, room_for
from vitreous.workflows.annotate.boxes import THOROUGH, Boxes, boxes_for
from vitreous.workflows.annotate.decoys import decoys_of
from vitreous.workflows.annotate.work import Work

LEAST_DEVIATIONS = 3.0  # above what the structure scores at random places
LEAST_SHARE = 0.4  # of what the best tenth of a structure's picks score: its particles are all alike
COMPARED = 40  # random places whose scores are a structure's chance
CONFIRM_SEED = 6

Array = NDArray[np.float32]
Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Confirmed:
    """Picks of one structure, with scores in deviations from what it has at random places.

    Parameters
    ----------
    picks
        The best first, or as the candidates were.
    rotations
        (n, 3, 3), particle → tomogram.
    places
        How many random places there were. Of fewer than `FEWEST_ELSEWHERE` scores are correlations instead,
        which confirm nothing.
    """

    picks: Picks
    rotations: Real
    places: int = COMPARED

    def select(self, keep: NDArray[np.intp] | NDArray[np.bool_]) -> Confirmed:
        """Those that an index or flags name."""
        return Confirmed(self.picks.select(keep), self.rotations[keep], self.places)


def confirmed(work: Work, candidates: Real, searched: Array) -> dict[str, Confirmed]:
    """The candidates, positions (n, 3) in Å, that are particles of each structure, the best first.

    A candidate goes to the structure that it fits best, in deviations from chance, if these are three at
    least and no decoy fits better, and not far fewer than what the structure's best have. Of two that are
    nearer to each other than half of the larger one's diameter the better stays.
    """
    rng = np.random.default_rng([CONFIRM_SEED, work.request.settings.seed])
    fits = {name: fit(work, name, candidates, searched, rng) for name in work.sizes}
    best = np.max([one.picks.scores for one in fits.values()], axis=0) if len(candidates) else np.zeros(0)
    found: dict[str, Confirmed] = {}
    for name, one in fits.items():
        own = one.select((one.picks.scores >= best) & (one.picks.scores >= LEAST_DEVIATIONS))
        rivals = rival_scores(work, name, own.picks.positions_angstrom, candidates, searched, rng)
        right = own.select(own.picks.scores > rivals)
        found[name] = right.select(of_one_kind(right.picks.scores))
        work.progress.advance()
    return apart(found, work)


def of_one_kind(scores: Real) -> NDArray[np.bool_]:
    """Which scores (n,) are not far below the best tenth.

    Examples
    --------
    >>> of_one_kind(np.array([16.2, 15.5, 14.2, 5.0])).tolist()
    [True, True, True, False]
    """
    return scores >= LEAST_SHARE * np.quantile(scores, 0.9) if len(scores) else np.zeros(0, bool)


def fit(work: Work, name: str, candidates: Real, searched: Array, rng: np.random.Generator) -> Confirmed:
    """How well each candidate fits one structure, where exactly and how turned; in the candidates' order."""
    template = work.templates[name]
    boxes = boxes_for(work, template)
    aligned = boxes.aligned_at(searched, candidates, template.density, search=THOROUGH)
    elsewhere = chance_places(work, boxes, candidates, rng)
    chance = boxes.aligned_at(searched, elsewhere, template.density, search=THOROUGH)
    scores = against_chance(aligned.scores.numpy(), chance.scores.numpy())
    picks = Picks(boxes.found(candidates, aligned), scores)
    return Confirmed(picks, aligned.rotations.numpy(), len(elsewhere))


def chance_places(work: Work, boxes: Boxes, candidates: Real, rng: np.random.Generator) -> Real:
    """Where no candidate is, (n, 3) in Å; anywhere if they leave no room, where chance looks too good."""
    spacing, room = boxes.spacing_angstrom, room_for(work.subject.working, boxes.side)
    places = random_places(room, spacing, candidates, boxes.side * spacing / 3, rng, COMPARED)
    if len(places) < FEWEST_ELSEWHERE:
        places = random_places(room, spacing, candidates[:0], 0.0, rng, COMPARED)
    return places


def rival_scores(
    work: Work, name: str, positions: Real, candidates: Real, searched: Array, rng: np.random.Generator
) -> Real:
    """The highest score that any decoy of a structure has at each of its picks, (n,).

    Searched for as thoroughly as the structure was, and compared with the same kind of chance.
    """
    highest = np.full(len(positions), -np.inf)
    if not len(positions):
        return highest
    boxes = boxes_for(work, work.templates[name])
    elsewhere = chance_places(work, boxes, candidates, rng)
    for other, density in decoys_of(work, name, boxes, rng).densities.items():
        if other in work.templates:  # which was asked for, and is compared with already
            continue
        here, chance = (
            boxes.aligned_at(searched, places, density, search=THOROUGH).scores.numpy()
            for places in (positions, elsewhere)
        )
        highest = np.maximum(highest, against_chance(here, chance))
    return highest


def apart(found: dict[str, Confirmed], work: Work) -> dict[str, Confirmed]:
    """The picks without those that stand in a better one, of whatever structure; the best first."""
    names = [name for name, one in found.items() for _ in range(len(one.picks))]
    if not names:
        return found
    positions = np.concatenate([one.picks.positions_angstrom for one in found.values()])
    scores = np.concatenate([one.picks.scores for one in found.values()])
    radii = np.array([0.5 * work.sizes[name] for name in names])
    tree, kept = cKDTree(positions), np.ones(len(names), bool)
    for index in np.argsort(-scores, kind="stable"):
        if kept[index]:
            for other in tree.query_ball_point(positions[index], 2 * radii.max()):
                limit = max(radii[index], radii[other])
                if other != index and np.linalg.norm(positions[other] - positions[index]) < limit:
                    kept[other] = kept[other] and scores[other] > scores[index]
    first, result = 0, {}
    for name, one in found.items():
        mine = np.flatnonzero(kept[first : first + len(one.picks)])
        result[name] = one.select(mine[np.argsort(-one.picks.scores[mine], kind="stable")])
        first += len(one.picks)
    return result
