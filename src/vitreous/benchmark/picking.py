"""How well particles are picked in what a denoiser leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreous.benchmark.cases import Case, CaseKind, make_case
from vitreous.benchmark.contestants import training_cases
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record
from vitreous.benchmark.standardized import TOPAZ_WIDTHS, denoised_or_topaz
from vitreous.core import InputError, Poses, Progress
from vitreous.methods.dual import Dual, without_gold
from vitreous.metrics import average_precision, detection_scores, match_picks
from vitreous.picking import DogConfig, pick_blobs
from vitreous.workflows.denoise import Source, standardized

PICKS_PER_PARTICLE = 500 / 407  # the paper's 500 picks; precision over recall says how many were true
DISTANCE_ANGSTROM = 80.0
GOLD_OUT = "noisy, gold out"  # what DUAL does to gold, and nothing else


def measure_picks(kind: CaseKind, seed: int, method: str, progress: Progress) -> Record:
    """Denoise a case, pick its particles by their size, and compare with where they are.

    Raises
    ------
    InputError
        If the case does not know where its particles are.
    """
    case = make_case(kind, seed)
    if case.ground.poses is None:
        raise InputError("clean volumes do not say where particles are", remedy="leave out --data")
    if method in TOPAZ_WIDTHS:
        training_cases(kind)  # what they take to be made is no cost of the method
    with measured_cost() as cost:
        if method == GOLD_OUT:
            result = gold_out(case)
        else:
            result = denoised_or_topaz(kind, case, seed, method, progress)
    return {**picking_scores(result, case.ground.poses, case.ground.spacing_angstrom), **cost}


def gold_out(case: Case) -> NDArray[np.float32]:
    """The case itself with nothing but its gold replaced, as DUAL does it."""
    volume, _ = standardized(Source(case.volume), needs_target=False)
    result = case.noisy.copy()
    without_gold(result, Dual().prepare(volume), "dark")
    return result


def picking_scores(volume: NDArray[np.float32], truth: Poses, spacing_angstrom: float) -> dict[str, float]:
    """Scores of a fixed number of picks for each particle; the average precision is that of all maxima."""
    config = DogConfig(count=10 * len(truth), threshold=0)
    picks = pick_blobs(volume, (spacing_angstrom,) * 3, config).picks
    count = round(PICKS_PER_PARTICLE * len(truth))
    where = truth.positions_angstrom
    best = match_picks(picks.positions_angstrom[:count], where, DISTANCE_ANGSTROM)
    every = match_picks(picks.positions_angstrom, where, DISTANCE_ANGSTROM)
    return {
        **detection_scores(best.hits, best.found),
        "average_precision": average_precision(every.hits, picks.scores, len(truth)),
        **({"distance_angstrom": float(best.distances.mean())} if best.distances.size else {}),
    }
