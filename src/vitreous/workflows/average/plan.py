"""What an average takes: the size of its boxes, and memory."""

from __future__ import annotations

import math

import torch

from vitreous.core import InputError
from vitreous.inference import available_memory, parse_memory
from vitreous.inference.memory import GIGABYTE
from vitreous.workflows.average.particles import Opened, TomogramParticles
from vitreous.workflows.average.request import AverageRequest
from vitreous.workflows.search_template import SearchTemplate

BASE_BYTES = 600_000_000  # Python, torch, the libraries and the search
MARGIN = 1.25  # of the box over the particle
BYTES_PER_VOXEL = 4 * 200  # of the boxes in memory at a time, their transforms and copies
LEAST_PARTICLES = 4


def box_side(request: AverageRequest, opened: Opened, template: SearchTemplate | None) -> int:
    """Voxels along the edge of a subtomogram; InputError if it is larger than a tomogram."""
    diameter = diameter_of(request, template)
    side = request.settings.box_voxels
    if side is None:
        if diameter is None:
            text = "the size of the particle is not known"
            raise InputError(text, remedy="give --template, --diameter or --box")
        side = 2 * math.ceil((MARGIN * diameter / opened.spacing_angstrom + 6) / 2)
    for one in opened.tomograms:
        if side > max(one.volume.shape[1:]) or side > 2 * one.volume.shape[0]:
            raise InputError(
                f"a box of {side} voxels is larger than the tomogram {one.volume.shape} (z, y, x)",
                path=one.volume.path,
                remedy="give a smaller --box",
            )
    edge = side * opened.spacing_angstrom
    for option, length in (
        ("--low-pass", request.settings.low_pass_angstrom),
        ("--shift", request.settings.shift_angstrom),
    ):
        if length > edge:
            text = f"{option} {length:g} is more than the box of {edge:.0f} Å holds"
            raise InputError(text, path=request.picks, remedy=f"give a smaller {option}, or a larger --box")
    if template is not None:
        template.box(side)
    if opened.count < LEAST_PARTICLES:
        text = f"{opened.count} particles are too few for two halves"
        raise InputError(text, path=request.picks, remedy=f"give {LEAST_PARTICLES} at least")
    return side


def diameter_of(request: AverageRequest, template: SearchTemplate | None) -> float | None:
    """Of the particle in Å, as given or as the template has it."""
    if request.settings.diameter_angstrom is not None or template is None:
        return request.settings.diameter_angstrom
    return template.diameter_angstrom


def averaged_diameter(
    request: AverageRequest, template: SearchTemplate | None, particles: TomogramParticles
) -> float:
    """Of the particle in Å or, if that is not known, of what the mask leaves of a box."""
    return diameter_of(request, template) or (particles.side - 10) * particles.voxel_spacing_angstrom


def check_memory(request: AverageRequest, side: int) -> str:
    """How much memory it takes, in words; raises InputError if there is not enough."""
    needed = BASE_BYTES + BYTES_PER_VOXEL * side**3
    limit = available_memory(torch.device("cpu"))
    if request.settings.max_memory is not None:
        limit = min(limit, parse_memory(request.settings.max_memory))
    if needed > limit:
        raise InputError(
            f"averaging needs {needed / GIGABYTE:.1f} GB and {limit / GIGABYTE:.1f} GB may be used",
            path=request.picks,
            remedy="raise --max-memory, or give a smaller --box",
        )
    return f"up to {needed / GIGABYTE:.1f} GB of memory"
