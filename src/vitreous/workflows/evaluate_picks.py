"""Picks against the truth, between files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Poses
from vitreous.io import read_particles, read_shrec21, read_tomogram_sizes
from vitreous.io.names import usual_name
from vitreous.io.relion import Size
from vitreous.io.shrec import LOCATIONS
from vitreous.metrics import MATCHINGS, Matching, average_precision, detection_scores, match_picks

DISTANCE_ANGSTROM = 80.0
PARTICLES, TOMOGRAMS = "particles.star", "tomograms.star"


@dataclass(frozen=True, eq=False)
class Located:
    """Particles of one tomogram; scores of picks that have them."""

    poses: Poses
    scores: NDArray[np.float64] | None = None


Pairs = Sequence[tuple[Located, Located]]


def evaluate_picks(
    picks: Path,
    truth: Path,
    *,
    distance_angstrom: float = DISTANCE_ANGSTROM,
    matching: str = "one-to-one",
    structure: str | None = None,
    tomograms: Path | None = None,
    voxel_size_angstrom: float | None = None,
) -> dict[str, Any]:
    """Precision, recall and F1 of picks, and their average precision if they have scores.

    Where picks have names that the truth has too, the same of each structure is under `classes`.

    Parameters
    ----------
    picks, truth
        Files of RELION (.star), Dynamo (.tbl) or copick (.json); tables of poses (.csv, .tsv); a folder, or
        its `particle_locations.txt`, in the layout of SHREC 2021; a folder of a simulated tomogram.
    distance_angstrom
        How far from the true position a pick may be.
    matching
        See `metrics.match_picks`.
    structure
        Only particles of this name count as true.
    tomograms
        A `tomograms.star` with sizes, for RELION 5 files that lie elsewhere than it.
    voxel_size_angstrom
        In Å, for files that count in voxels and do not say how large they are.

    Raises
    ------
    InputError
        If a file cannot be read, holds no particle of the structure, or the two are of other tomograms.
    """
    if not 0 < distance_angstrom < np.inf:
        raise InputError("--distance must be a positive number of Å")
    if matching not in MATCHINGS:
        raise InputError(f"--matching {matching} is unknown", remedy=f"use {' or '.join(MATCHINGS)}")
    rule: Matching = "any" if matching == "any" else "one-to-one"
    true = {
        name: of_structure(one, structure)
        for name, one in read_located(truth, tomograms, voxel_size_angstrom).items()
    }
    if not sum(len(one.poses) for one in true.values()):
        what = "particle" if structure is None else f"particle called {structure}"
        raise InputError(f"holds no {what}", path=truth, remedy="name another file, or another --structure")
    pairs = paired(read_located(picks, tomograms, voxel_size_angstrom), true, picks)
    facts = scored(pairs, distance_angstrom, rule)
    each = classes_of(pairs) if structure is None else {}
    if each:
        facts["classes"] = {name: scored(one, distance_angstrom, rule) for name, one in each.items()}
    return {**facts, "distance_angstrom": distance_angstrom, "matching": rule}


def scored(pairs: Pairs, distance_angstrom: float, rule: Matching) -> dict[str, Any]:
    """Counts, precision, recall, F1 and, of picks with scores, average precision."""
    hits, found, distances, scores = [], [], [], []
    for one, other in pairs:
        ranked = in_order(one)
        matches = match_picks(
            ranked.poses.positions_angstrom, other.poses.positions_angstrom, distance_angstrom, rule
        )
        hits.append(matches.hits)
        found.append(matches.found)
        distances.append(matches.distances)
        scores.append(ranked.scores)
    right, seen, gaps = np.concatenate(hits), np.concatenate(found), np.concatenate(distances)
    facts: dict[str, Any] = detection_scores(right, seen)
    known = [values for values in scores if values is not None]
    if len(known) == len(scores):
        facts["average_precision"] = average_precision(right, np.concatenate(known), seen.size)
    return {
        **facts,
        "picks": int(right.size),
        "truth": int(seen.size),
        "hits": int(right.sum()),
        "found": int(seen.sum()),
        "mean_distance_angstrom": float(gaps.mean()) if gaps.size else None,
    }


def classes_of(pairs: Pairs) -> dict[str, list[tuple[Located, Located]]]:
    """The same for every structure that picks or truth name; none where they share no name.

    Picks of a method that knows no structures are all called the same, and are of no class.
    """
    picked, true = ({name for pair in pairs for name in pair[side].poses.names} for side in (0, 1))
    if not picked & true or len(picked | true) < 2:
        return {}
    return {
        name: [(of_structure(one, name), of_structure(other, name)) for one, other in pairs]
        for name in sorted(picked | true)
    }


def read_located(path: Path, tomograms: Path | None, voxel_size_angstrom: float | None) -> dict[str, Located]:
    """Particles of a file or folder by the name of their tomogram; "" where it has none."""
    if path.is_dir() and (path / PARTICLES).is_file():
        path = path / PARTICLES
    if path.is_dir() or path.name == LOCATIONS:
        folder = path if path.is_dir() else path.parent
        return {"": Located(read_shrec21(folder, voxel_spacing_angstrom=voxel_size_angstrom).poses)}
    particles = read_particles(
        path, sizes_angstrom=sizes_for(path, tomograms), voxel_spacing_angstrom=voxel_size_angstrom
    )
    return {name: Located(poses, particles.scores.get(name)) for name, poses in particles.poses.items()}


def sizes_for(path: Path, tomograms: Path | None) -> dict[str, Size] | None:
    """Sizes of tomograms in Å for picks of RELION: those asked for, or else what lies beside the picks."""
    if path.suffix.lower() != ".star":
        return None
    if tomograms is not None:
        return read_tomogram_sizes(tomograms)
    try:
        return read_tomogram_sizes(path.with_name(TOMOGRAMS))
    except InputError:  # there is none, or none with sizes: picks that need them say so
        return None


def of_structure(one: Located, structure: str | None) -> Located:
    """Those particles that have a name, all for None."""
    if structure is None:
        return one
    keep = np.array([name == structure for name in one.poses.names], bool)
    return Located(one.poses.select(keep), None if one.scores is None else one.scores[keep])


def paired(
    picks: Mapping[str, Located], truth: Mapping[str, Located], file: Path
) -> list[tuple[Located, Located]]:
    """Picks and truth of every tomogram; where there is one of each, their names do not matter.

    A tomogram without picks is one in which nothing was found.
    """
    if len(picks) == len(truth) == 1:
        return [(next(iter(picks.values())), next(iter(truth.values())))]
    if not picks.keys() <= truth.keys():
        picks, truth = as_usual(picks), as_usual(truth)
    strange = [name for name in picks if name not in truth]
    if strange:
        text = f"holds picks in a tomogram {strange[0] or 'without name'}, of which no truth is given"
        raise InputError(text, path=file, remedy="give files of the same tomograms")
    nothing = Located(Poses(np.zeros((0, 3, 3)), np.zeros((0, 3)), ()), np.zeros(0))
    return [(picks.get(name, nothing), one) for name, one in truth.items()]


def as_usual(located: Mapping[str, Located]) -> Mapping[str, Located]:
    """The same under names without what programs add to them, where these tell all tomograms apart."""
    usual = {usual_name(name): one for name, one in located.items()}
    return usual if len(usual) == len(located) else located


def in_order(one: Located) -> Located:
    """The best first, where there are scores."""
    if one.scores is None:
        return one
    order = np.argsort(-one.scores, kind="stable")
    return Located(one.poses.select(order), one.scores[order])
