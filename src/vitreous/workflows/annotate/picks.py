"""From class probabilities to picks with a confidence, one STAR file for each structure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Poses
from vitreous.filters import gaussian
from vitreous.io import open_volume, read_relion_particles, write_relion5_particles
from vitreous.picking import Picks
from vitreous.picking.peaks import local_maxima, merged
from vitreous.workflows.annotate.network import probability_file
from vitreous.workflows.annotate.work import Work, file_name
from vitreous.workflows.denoise_files import plain_name

SMOOTHING = 0.25  # σ of the Gaussian that probabilities are averaged with, in diameters
APART = 0.75  # diameters between two picks at the least
LEAST_CONFIDENCE = 0.3

Array = NDArray[np.float32]


def pick(work: Work) -> dict[str, Any]:
    """Write the picks of each structure; their score is the mean probability around them."""
    spacing = work.subject.spacing_angstrom
    counts = {}
    for name, diameter in work.sizes.items():
        chance = np.asarray(open_volume(probability_file(work, name)).data, np.float32)
        found = maxima(chance, diameter, spacing)
        counts[name] = len(found)
        write_picks(work, name, found, np.tile(np.eye(3), (len(found), 1, 1)))
    return {"picks": counts}


def maxima(chance: Array, diameter_angstrom: float, spacing_angstrom: float) -> Picks:
    """Maxima of smoothed probabilities (z, y, x), the best of those closer than a particle is wide."""
    smooth = gaussian(chance, sigma=max(0.7, SMOOTHING * diameter_angstrom / spacing_angstrom))
    positions, scores = local_maxima(smooth)
    found = merged(Picks(positions * spacing_angstrom, scores), APART * diameter_angstrom)
    return found.select(found.scores >= LEAST_CONFIDENCE)


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


def star_file(work: Work, name: str) -> Any:
    """Where the picks of a structure are."""
    return work.place("picks", f"{file_name(name)}.star")
