"""What a simulation will take in time, memory and disk, said before anything is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from vitreous.core import InputError
from vitreous.inference import available_memory, parse_memory
from vitreous.inference.memory import BASE_BYTES, GIGABYTE
from vitreous.simulate import reconstruction_bytes
from vitreous.workflows.simulate.files import BYTES_PER_VOXEL
from vitreous.workflows.simulate.measured_noise import WRAP
from vitreous.workflows.simulate.spec import DEFAULT_ITERATIONS, SimulationSpec

# Seconds on one core of a common server; measured with the presets.
PER_STRUCTURE = 0.8
PER_PLACEMENT = 0.012
PER_TILTED_VOXEL = 5e-9  # imaging
PER_BACK_PROJECTED_VOXEL = 2.5e-9
PER_WRITTEN_BYTE = 4e-9
PER_DRAWN_VOXEL = 1e-7  # noise like that of a tomogram, both halves
BYTES_PER_DRAWN_VOXEL = 24
TYPICAL_PARTICLE_VOXELS = 2000  # of a complex of 500 kDa at 10 Å
TYPICAL_SPACING = 10.0


@dataclass(frozen=True)
class Estimate:
    """For all tomograms together, but one at a time.

    Parameters
    ----------
    seconds
        Time.
    memory_bytes
        Peak memory.
    disk_bytes
        Size of all outputs.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int


def estimate(spec: SimulationSpec, tomograms: int) -> Estimate:
    """Time, memory and disk for so many tomograms.

    Examples
    --------
    >>> estimate(SimulationSpec(), 1).disk_bytes < 100_000_000
    True
    """
    voxels = math.prod(spec.box.shape)
    tilts = len(spec.tilts.acquisition_order())
    image = spec.box.shape[1] * spec.box.shape[2]
    disk = BYTES_PER_VOXEL * voxels + 4 * 2 * tilts * image + 4 * tilts * image
    passes = 3 if spec.imaging.halves == "frames" else 4
    if spec.imaging.noise_like is not None:
        passes = 1
    work = 2 * (spec.reconstruction.iterations or DEFAULT_ITERATIONS)
    work = passes * (1 if spec.reconstruction.method == "wbp" else work)
    seconds = (
        PER_PLACEMENT * placements(spec)
        + (PER_TILTED_VOXEL + work * PER_BACK_PROJECTED_VOXEL) * tilts * voxels
        + PER_WRITTEN_BYTE * disk
        + PER_DRAWN_VOXEL * drawn_voxels(spec)
    )
    return Estimate(
        PER_STRUCTURE * len(spec.particles) + tomograms * seconds,
        memory_bytes(spec, tilts),
        tomograms * disk,
    )


def placements(spec: SimulationSpec) -> float:
    """About how many instances will be placed."""
    beside = spec.vesicles.count + spec.sheets.count + spec.gold.count + sum(f.count for f in spec.filaments)
    if spec.packing.occupancy is None:
        return beside + sum(particles.count or 0 for particles in spec.particles)
    room = spec.box.slab_planes * spec.box.shape[1] * spec.box.shape[2]
    one = TYPICAL_PARTICLE_VOXELS * (TYPICAL_SPACING / spec.box.voxel_spacing_angstrom) ** 3
    return beside + spec.packing.occupancy * room / max(one, 1)


def drawn_voxels(spec: SimulationSpec) -> int:
    """Voxels of each half for which noise is drawn, if it is like that of a tomogram."""
    drawn = spec.imaging.noise_like is not None
    return math.prod(side + WRAP for side in spec.box.shape) if drawn else 0


def memory_bytes(spec: SimulationSpec, tilts: int) -> int:
    """Peak memory: the grand model with its labels, the images, and the tomograms while they are made."""
    depth, height, width = spec.box.shape
    voxels, images = depth * height * width, tilts * height * width
    model, series = 9 * voxels, 5 * 4 * images
    imaging = 4 * voxels  # the specimen once more, as columns
    # Three volumes stand while the next one is made.
    reconstructing = 3 * 4 * voxels + reconstruction_bytes((tilts, height, width), depth)
    writing = (4 * 4 + 2) * voxels
    drawing = BYTES_PER_DRAWN_VOXEL * drawn_voxels(spec)
    return BASE_BYTES + model + series + max(imaging, drawing, reconstructing, writing)


def check_memory(spec: SimulationSpec, needed: int, max_memory: str | None) -> None:
    """Refuse what does not fit into memory.

    Raises
    ------
    InputError
        If it does not, or `max_memory` is no size.
    """
    limit = available_memory(torch.device("cpu"))
    if max_memory is not None:
        limit = min(limit, parse_memory(max_memory))
    if needed > limit:
        raise InputError(
            f"a tomogram of {' × '.join(map(str, spec.box.shape))} voxels needs {needed / GIGABYTE:.1f} GB "
            f"and {limit / GIGABYTE:.1f} GB may be used",
            remedy="raise --max-memory, or make [box] smaller",
        )


def words_for_time(seconds: float) -> str:
    """A rough time for people.

    Examples
    --------
    >>> words_for_time(7), words_for_time(100), words_for_time(4000)
    ('10 s', '2 min', '1.2 h')
    """
    if seconds < 60:
        return f"{math.ceil(seconds / 10) * 10} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 3600 else f"{math.ceil(seconds / 360) / 10:g} h"
