"""From class probabilities to picks with a confidence, one STAR file for each structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Poses
from vitreous.io import open_volume, read_relion_particles, write_relion5_particles
from vitreous.picking import LabelConfig, Picks, pick_labels
from vitreous.workflows.annotate.network import probability_file
from vitreous.workflows.annotate.work import Work, file_name
from vitreous.workflows.denoise_files import plain_name

LEAST_CONFIDENCE = 0.4


def pick(work: Work) -> dict[str, Any]:
    """Write the picks of each structure; their score is the confidence of `pick_labels`."""
    spacing = work.subject.spacing_angstrom
    counts = {}
    for name, diameter in work.sizes.items():
        chance = np.asarray(open_volume(probability_file(work, name)).data, np.float32)
        config = LabelConfig(diameter_angstrom=diameter, threshold=LEAST_CONFIDENCE)
        found = pick_labels(chance, (spacing,) * 3, config, progress=work.progress).picks
        counts[name] = len(found)
        write_picks(work, name, found, np.tile(np.eye(3), (len(found), 1, 1)))
    return {"picks": counts}


def write_picks(work: Work, name: str, picks: Picks, rotations: NDArray[np.float64]) -> None:
    """Write the STAR file of one structure."""
    write_relion5_particles(
        star_file(work, name),
        Poses(rotations, picks.positions_angstrom, (name,) * len(picks)),
        tomogram_name=plain_name(work.request.input),
        shape=work.subject.volume.shape,
        voxel_spacing_angstrom=work.subject.volume.mean_spacing_angstrom or 0.0,
        scores=picks.scores,
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
