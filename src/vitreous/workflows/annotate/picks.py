"""From class probabilities to picks with orientations, one STAR file for each structure, and labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vitreous.core import Poses
from vitreous.io import (
    open_volume,
    read_relion_particles,
    write_copick_segmentation,
    write_particles,
    write_volume,
)
from vitreous.io.copick import SESSION, USER, copick_name
from vitreous.io.names import tomogram_name
from vitreous.picking import LabelConfig, Picks, pick_labels
from vitreous.workflows.annotate.confirm import Confirmed, confirmed
from vitreous.workflows.annotate.labels import label_volume
from vitreous.workflows.annotate.network import probability_file
from vitreous.workflows.annotate.request import file_name
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.pick.files import ASSUMED_PIXEL

LEAST_CONFIDENCE = 0.15  # of candidates: what is none of them, alignment tells
FORMATS = {".star": "relion5", ".relion4.star": "relion4", ".tbl": "dynamo"}  # of `picks`, by suffix
MERGED = 0.3  # diameters of the smallest structure: closer candidates are one


def pick(work: Work) -> dict[str, Any]:
    """Write the picks of each structure, and labels; a score says how far an alignment is above chance."""
    pixel = work.request.settings.tilt_series_pixel_angstrom
    candidates = candidates_of(work)
    searched, _ = work.subject.split(work.request.settings.seed)
    work.progress.start("comparing candidates with structures", len(work.sizes))
    found = confirmed(work, candidates, searched)
    for name, one in found.items():
        write_picks(work, name, one.picks, one.rotations)
    write_labels(work, found)
    return {
        "candidates": len(candidates),
        "picks": {name: len(one.picks) for name, one in found.items()},
        "places": {name: one.places for name, one in found.items()},
        "warnings": [] if pixel else [ASSUMED_PIXEL["relion5"].format(work.spacing_angstrom)],
    }


def candidates_of(work: Work) -> NDArray[np.float64]:
    """Places (n, 3) in Å where the network sees a particle of any class, the surest first."""
    spacing = work.subject.spacing_angstrom
    places, confidences = [np.zeros((0, 3))], [np.zeros(0)]
    for name, diameter in work.sizes.items():
        chance = np.asarray(open_volume(probability_file(work, name)).data, np.float32)
        config = LabelConfig(diameter_angstrom=diameter, threshold=LEAST_CONFIDENCE)
        found = pick_labels(chance, (spacing,) * 3, config, progress=work.progress).picks
        places.append(found.positions_angstrom)
        confidences.append(found.scores)
    order = np.argsort(-np.concatenate(confidences), kind="stable")
    everywhere = np.concatenate(places)[order]
    near = cKDTree(everywhere).query_ball_point(everywhere, MERGED * min(work.sizes.values()))
    kept = np.ones(len(everywhere), bool)
    for index, others in enumerate(near):
        if kept[index]:
            kept[[other for other in others if other > index]] = False
    result: NDArray[np.float64] = everywhere[kept]
    return result


def write_labels(work: Work, found: Mapping[str, Confirmed]) -> None:
    """Write the label volume, voxel for voxel like the tomogram, as MRC and as copick has it."""
    named = "vitreous annotate: " + ", ".join(f"{i} {name}" for i, name in enumerate(work.names, 1))
    labels = work.subject.volume.with_data(label_volume(work, found).view(np.int8))
    write_volume(work.place("labels.mrc"), labels, overwrite=True, label=named[:79])
    run = tomogram_name(work.request.input)
    write_copick_segmentation(work.place("copick"), labels, run_name=run, name="annotation", overwrite=True)


def write_picks(work: Work, name: str, picks: Picks, rotations: NDArray[np.float64]) -> None:
    """Write the picks of one structure for RELION, Dynamo and copick."""
    files = {work.place("picks", file_name(name) + suffix): kind for suffix, kind in FORMATS.items()}
    folder = work.place("copick", "ExperimentRuns", tomogram_name(work.request.input), "Picks")
    files[folder / f"{USER}_{SESSION}_{copick_name(name)}.json"] = "copick"
    for path, kind in files.items():
        write_particles(
            path,
            Poses(rotations, picks.positions_angstrom, (name,) * len(picks)),
            tomogram_name=tomogram_name(work.request.input),
            shape=work.subject.volume.shape,
            voxel_spacing_angstrom=work.spacing_angstrom,
            tilt_series_pixel_angstrom=work.request.settings.tilt_series_pixel_angstrom,
            scores=picks.scores,
            kind=kind,
            overwrite=True,
        )


def read_picks(work: Work, name: str) -> Picks:
    """The picks of one structure."""
    particles = read_relion_particles(star_file(work, name))
    poses, scores = list(particles.poses.values()), list(particles.scores.values())
    if not poses:
        return Picks(np.zeros((0, 3)), np.zeros(0))
    return Picks(poses[0].positions_angstrom, scores[0])


def star_file(work: Work, name: str) -> Path:
    """Where the picks of a structure are."""
    return work.place("picks", f"{file_name(name)}.star")
