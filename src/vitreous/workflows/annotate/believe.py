"""Averages of half sets, and the judgement of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.averaging import WedgeAverage, close_pairs, finest_shared, groups_of, halves_of_groups
from vitreous.averaging.band import soft_sphere
from vitreous.core import Volume, as_spacing
from vitreous.evidence import FEWEST_ELSEWHERE, DetailEvidence, detail_beyond, judge_class
from vitreous.io import write_volume
from vitreous.metrics import fourier_shell_correlation, fsc_resolution, masked_fsc
from vitreous.picking import Picks
from vitreous.workflows.annotate.alignment import MOST_JUDGED, SEARCHED_ANGSTROM, scored
from vitreous.workflows.annotate.boxes import boxes_for
from vitreous.workflows.annotate.network import hardly_trained
from vitreous.workflows.annotate.picks import read_picks
from vitreous.workflows.annotate.request import file_name
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.run_directory import plain

FINEST_ANGSTROM = 30.0  # the CTF changes its sign beyond it
MASK_EDGE_ANGSTROM = 40.0
FEWEST_FOR_HALVES = 4
CLOSEST = 0.5  # diameters: two places no farther apart may be one particle that was picked twice
JUDGE_SEED, DETAIL_SEED, DRAWN_SEED = 5, 7, 8

Array = NDArray[np.float32]


def average(work: Work) -> dict[str, Any]:
    """Write half maps of each structure, aligned to it at no finer than 60 Å."""
    seed = work.request.settings.seed
    searched, copies = work.subject.split(seed)[0], work.subject.for_averages(seed)
    return {
        "averages": {
            name: halves_of(work, name, some_of(work, read_picks(work, name)), searched, copies)
            for name in work.sizes
        }
    }


def halves_of(
    work: Work, name: str, picks: Picks, searched: Array, copies: tuple[Array, Array]
) -> dict[str, Any]:
    """Average picks of one structure in two halves, and say how far these agree.

    Poses come from the copy that was searched, so that the noise of the other one, whose average is compared
    with the structure, had no part in them. Averages have finer voxels than the search where the tomogram
    has: what is to be evidence lies beyond the detail that is aligned by. `searched`: the copy that is
    aligned; `copies`: what is averaged, as `Subject.for_averages` gives it.
    """
    if len(picks) < FEWEST_FOR_HALVES:
        return {"particles": len(picks)}
    seed = work.request.settings.seed
    coarse = boxes_for(work, work.templates[name])
    seen = coarse.cut(searched, picks.positions_angstrom)
    turned = coarse.aligned(seen, work.templates[name].density, SEARCHED_ANGSTROM)
    template, places = work.averaged_templates[name], coarse.found(picks.positions_angstrom, turned)
    boxes = boxes_for(work, template, work.subject.averaging_spacing_angstrom)
    shown, hidden = (boxes.cut(data, places) for data in copies)
    poses = boxes.centred(places, turned)
    made, unseen = (WedgeAverage(boxes.side), WedgeAverage(boxes.side)), WedgeAverage(boxes.side)
    which = halves_apart(places, CLOSEST * work.sizes[name])
    if min(np.bincount(which, minlength=2)) < FEWEST_FOR_HALVES // 2:
        return {"particles": len(picks)}
    for index, half in enumerate(which):
        one = torch.tensor([index])
        made[half].add(shown[one], poses.select(one), boxes.passed)
        unseen.add(hidden[one], poses.select(one), boxes.passed)
    edge = MASK_EDGE_ANGSTROM / boxes.spacing_angstrom
    radius = min(0.5 * work.sizes[name] / boxes.spacing_angstrom, boxes.side / 2 - edge - 1)
    mask = soft_sphere(boxes.side, radius, edge).numpy()
    spacing = as_spacing(boxes.spacing_angstrom)
    volumes = [half.volume().numpy() for half in made]
    for number, volume in enumerate(volumes, 1):
        path = work.place("averages", f"{file_name(name)}_half{number}.mrc")
        write_volume(path, Volume(volume, spacing), overwrite=True, label="vitreous annotate: half map")
    curve = masked_fsc(volumes[0], volumes[1], mask, seed=seed).curve
    evidence_beyond = finest_shared(SEARCHED_ANGSTROM, boxes.side, boxes.spacing_angstrom)
    average, structure = unseen.volume().numpy(), boxes.fitted(template.density).numpy()
    against = fourier_shell_correlation(average * mask, structure * mask)
    detail = detail_beyond(
        average,
        structure,
        mask,
        boxes.spacing_angstrom,
        (evidence_beyond, FINEST_ANGSTROM),
        np.random.default_rng([DETAIL_SEED, seed, 1 + list(work.sizes).index(name)]),
    )
    return {
        "particles": len(picks),
        "fsc": [curve[0].tolist(), curve[1].tolist()],
        "resolution_angstrom": plain(fsc_resolution(curve, boxes.spacing_angstrom, threshold=0.143)),
        "structure_fsc": against[1].tolist(),
        "structure_resolution_angstrom": plain(fsc_resolution(against, boxes.spacing_angstrom)),
        "evidence_beyond_angstrom": round(evidence_beyond, 1),
        "detail": None if detail is None else asdict(detail),
        "tilts": polar_angles(poses.rotations.numpy()),
    }


def halves_apart(places_angstrom: NDArray[np.float64], closest_angstrom: float) -> NDArray[np.int_]:
    """(n,), 0 or 1: which half each particle belongs to; what may be one particle is in one half."""
    count = len(places_angstrom)
    return halves_of_groups(
        groups_of(count, close_pairs(places_angstrom, np.zeros(count, int), closest_angstrom))
    )


def judge(work: Work) -> dict[str, Any]:
    """Say of each structure whether it was found, and why."""
    copies = work.subject.split(work.request.settings.seed)
    found: dict[str, Any] = {}
    work.progress.start("judging", len(work.sizes))
    for name in work.sizes:
        averages, everything = work.facts["average"]["averages"][name], read_picks(work, name)
        one = judged(
            work,
            name,
            some_of(work, everything),
            everything,
            averages,
            copies,
            doubts_of(work.facts, name),
            len(work.sizes),
            recorded=(work.subject.working,),
        )
        found[name] = {**one, "said": in_brief(one)}
        work.progress.advance()
    return {"structures": found}


def judged(
    work: Work,
    name: str,
    looked: Picks,
    everything: Picks,
    averages: Mapping[str, Any],
    copies: tuple[Array, Array],
    doubts: Sequence[str],
    structures: int,
    *,
    recorded: Sequence[Array],
) -> dict[str, Any]:
    """The verdict on one structure, in plain values.

    Parameters
    ----------
    work
        The tomogram and all structures that are compared.
    name
        Of the structure.
    looked
        Those of its picks that are looked at.
    everything
        All its picks, which random places keep away from.
    averages
        What `halves_of` found of those that are looked at.
    copies
        The tomogram that was searched, and what judges.
    doubts
        Why picks may be missing, sentences.
    structures
        How many are judged in this tomogram.
    recorded
        Volumes like the copies: random places lie where each of them was recorded.
    """
    rng = np.random.default_rng([JUDGE_SEED, work.request.settings.seed, 1 + list(work.sizes).index(name)])
    positions = looked.positions_angstrom
    known = scored(work, name, positions, everything.positions_angstrom, copies, recorded, rng)
    detail = averages.get("detail")
    told = DetailEvidence(**{**detail, "band_angstrom": tuple(detail["band_angstrom"])}) if detail else None
    verdict = judge_class(known.scores, structures=structures, detail=told, doubts=doubts)
    return {
        **asdict(verdict),
        "all_picks": len(everything),
        "share better than its mirror image": known.better_than_mirror,
        "also": known.also,
    }


def in_brief(found: Mapping[str, Any]) -> str:
    """A verdict in a few words.

    Examples
    --------
    >>> in_brief({"outcome": "found", "all_picks": 200, "picks": 80})
    'found (200 picks, 80 looked at)'
    """
    looked, everything = found["picks"], found["all_picks"]
    some = "" if looked == everything else f", {looked} looked at"
    return f"{found['outcome']} ({everything} picks{some})"


def doubts_of(stages: Mapping[str, Any], name: str) -> list[str]:
    """Why particles of a structure may have been missed, as sentences: then nothing is said to be absent."""
    doubts = hardly_trained(stages["train"]["steps"])
    if stages["pick"]["places"][name] < FEWEST_ELSEWHERE:
        doubts.append("There was no room for random places to compare candidates with: none was picked.")
    return doubts


def some_of(work: Work, picks: Picks) -> Picks:
    """Those of the picks of a structure that are looked at: at most eighty, drawn from all."""
    rng = np.random.default_rng([DRAWN_SEED, work.request.settings.seed])
    return picks.select(np.sort(rng.permutation(len(picks))[:MOST_JUDGED]))


def polar_angles(rotations: NDArray[np.float64]) -> list[float]:
    """Angle between each particle's z axis, as its structure has it, and the beam in degrees, 0 to 90."""
    cosines = np.abs(rotations[:, 0, 0]).clip(0, 1)
    angles: list[float] = np.rad2deg(np.arccos(cosines)).round(1).tolist()
    return angles
