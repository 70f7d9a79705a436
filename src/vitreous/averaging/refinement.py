"""Two halves of the particles, aligned and averaged apart from each other, round by round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import Tensor

from vitreous.averaging.alignment import Alignment, align
from vitreous.averaging.average import WedgeAverage
from vitreous.averaging.band import soft_sphere
from vitreous.averaging.config import SearchConfig
from vitreous.averaging.references import (
    GOLD_STANDARD,
    finest_passed,
    finest_shared,
    low_passed,
    next_references,
)
from vitreous.core import Progress, SilentProgress
from vitreous.metrics import MaskedFsc, fsc_resolution, masked_fsc

GLOBAL_ROUNDS = 2  # in which all orientations are searched
MASK_EDGE = 4.0  # voxels
LOWEST_SHELLS = 1.5  # of a box's Fourier voxels: what is coarser than this is the slope of the ice
AT_ONCE = 128  # particles in memory


class AverageConfig(BaseModel):
    """How particles are averaged; lengths in Å.

    Parameters
    ----------
    rounds
        Of alignment and averaging.
    low_pass_angstrom
        The finest detail of the template that is used; coarser than this the halves share one reference.
    angular_step_deg
        Of the first search, see `rotation_grid`.
    reach_deg
        How far from the orientation given a particle may be turned, in all rounds together; None: any way.
    shift_angstrom
        How far from its pick a particle may be, in all rounds together.
    symmetry
        Point group of the particle.
    diameter_angstrom
        Of the soft sphere in which references and FSC are looked at; None for what the box holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    rounds: PositiveInt = 4
    low_pass_angstrom: PositiveFloat = 60.0
    angular_step_deg: PositiveFloat = Field(15.0, le=90)
    reach_deg: PositiveFloat | None = None
    shift_angstrom: float = Field(40.0, ge=0)
    symmetry: str = "C1"
    diameter_angstrom: PositiveFloat | None = None


class ParticleSet(Protocol):
    """Particles that are cut out when they are needed."""

    @property
    def side(self) -> int:
        """Voxels along an edge, even."""

    @property
    def voxel_spacing_angstrom(self) -> float:
        """In Å."""

    def __len__(self) -> int:
        """How many there are."""

    def groups(self) -> Sequence[tuple[Tensor, Tensor]]:
        """Particles with one wedge: their numbers (n,), and what it passes (side, side, side // 2 + 1)."""

    def boxes(self, numbers: Tensor) -> Tensor:
        """(n, side, side, side) float32, protein bright."""


@dataclass(frozen=True, eq=False)
class Round:
    """What one round left.

    Parameters
    ----------
    number
        1 for the first.
    poses
        Of all particles.
    halves
        The half maps (2, side, side, side), as averaged: not masked, not filtered.
    average
        (side, side, side), of all particles.
    fsc
        Of the halves within the mask.
    resolution_angstrom
        Where the corrected FSC falls to 0.143.
    finest_used_angstrom
        The finest detail of the references that this round's alignment used.
    """

    number: int
    poses: Alignment
    halves: Tensor
    average: Tensor
    fsc: MaskedFsc
    resolution_angstrom: float
    finest_used_angstrom: float


def refine_halves(
    particles: ParticleSet,
    half: NDArray[np.int_],
    references: Tensor,
    start: Alignment,
    config: AverageConfig,
    *,
    done: Round | None = None,
    progress: Progress | None = None,
) -> Iterator[Round]:
    """Align and average two halves of some particles, neither of which ever sees the other's detail.

    Each half is aligned to its own reference: at first the template, low-passed; then its own average,
    weighted by the root of the FSC up to where that falls to 0.143. Only detail coarser than the low-pass is
    shared, so that the halves keep one orientation.

    Parameters
    ----------
    particles
        What is averaged.
    half
        (n,), 0 or 1: which half each particle belongs to.
    references
        (2, side, side, side) to begin with, protein bright.
    start
        Where each particle lies in its box as far as its pick says.
    config
        How.
    done
        The last round that was done before; it goes on with the next.
    progress
        Receives progress, and may stop.

    Yields
    ------
    Round
        After each round.

    Raises
    ------
    Interrupted
        If the user stopped.
    """
    progress = progress or SilentProgress()
    mask = particle_mask(particles, config)
    poses = start if done is None else done.poses
    for number in range(1 if done is None else done.number + 1, config.rounds + 1):
        resolution = config.low_pass_angstrom
        if done is not None:
            resolution = own_detail(done.resolution_angstrom, particles, config)
            references = next_references(
                done.halves,
                done.average,
                done.fsc.curve,
                particles.voxel_spacing_angstrom / config.low_pass_angstrom,
            )
        search = search_of_round(particles, number, resolution, config)
        used = low_passed(references, particles.voxel_spacing_angstrom / resolution) * mask
        poses, sums = one_round(particles, half, used, (start, poses), (search, config, number), progress)
        maps = torch.stack([each.volume() for each in sums])
        fsc = masked_fsc(maps[0].numpy(), maps[1].numpy(), mask.numpy())
        done = Round(
            number,
            poses,
            maps,
            sums[0].joined(sums[1]).volume(),
            fsc,
            fsc_resolution(fsc.curve, particles.voxel_spacing_angstrom, threshold=GOLD_STANDARD),
            resolution,
        )
        yield done


def one_round(
    particles: ParticleSet,
    half: NDArray[np.int_],
    references: Tensor,
    known: tuple[Alignment, Alignment],
    how: tuple[SearchConfig, AverageConfig, int],
    progress: Progress,
) -> tuple[Alignment, list[WedgeAverage]]:
    """Align all particles to their half's reference, and average the halves.

    What is known is how the picks lie, and how the round before left them. A search over all orientations
    begins at the pick again, so that it sees all that is allowed.
    """
    (picked, before), (search, config, number) = known, how
    begun = picked if search.reach_deg is None else before
    farthest, reach = config.shift_angstrom / particles.voxel_spacing_angstrom, config.reach_deg
    poses = Alignment(before.rotations.clone(), before.shifts_voxel.clone(), before.scores.clone())
    sums = [WedgeAverage(particles.side, config.symmetry) for _ in range(2)]
    progress.start(f"round {number} of {config.rounds}", len(particles))
    for numbers, wedge in particles.groups():
        for which in range(2):
            mine = numbers[torch.from_numpy(half[numbers.numpy()] == which)]
            for first in range(0, len(mine), AT_ONCE):
                block = mine[first : first + AT_ONCE]
                boxes = particles.boxes(block)
                found = align(
                    boxes,
                    references[which],
                    wedge,
                    search,
                    start=begun.select(block),
                    within=(picked.shifts_voxel[block], farthest),
                    turned_within=None if reach is None else (picked.rotations[block].double(), reach),
                    progress=Quiet(progress),
                )
                sums[which].add(boxes, found, wedge)
                poses.rotations[block], poses.shifts_voxel[block] = found.rotations, found.shifts_voxel
                poses.scores[block] = found.scores
                progress.advance(len(block), score=float(found.scores.mean()))
    return poses, sums


def evidence_beyond(particles: ParticleSet, config: AverageConfig) -> float:
    """Å beyond which halves that agree had nothing in common."""
    aligned = finest_passed(config.low_pass_angstrom)
    return finest_shared(aligned, particles.side, particles.voxel_spacing_angstrom)


def own_detail(resolution_angstrom: float, particles: ParticleSet, config: AverageConfig) -> float:
    """The finest detail that each half has by itself, in Å; the low-pass if that may be shared."""
    own = resolution_angstrom < evidence_beyond(particles, config)
    return resolution_angstrom if own else config.low_pass_angstrom


def search_of_round(
    particles: ParticleSet, number: int, resolution_angstrom: float, config: AverageConfig
) -> SearchConfig:
    """All orientations in the first rounds, then ever closer around what was found."""
    spacing = particles.voxel_spacing_angstrom
    high = min(spacing / resolution_angstrom, 0.5)
    low = min(LOWEST_SHELLS / particles.side, high / 2)
    common = {"band": (low, high), "symmetry": config.symmetry}
    if config.reach_deg is None and number <= GLOBAL_ROUNDS:
        return SearchConfig(
            angular_step_deg=config.angular_step_deg, shift_voxels=config.shift_angstrom / spacing, **common
        )
    halvings = number - (1 if config.reach_deg is not None else GLOBAL_ROUNDS)
    step = config.angular_step_deg / 2 ** (halvings + 1)
    reach = 2 * step if config.reach_deg is None else config.reach_deg / 2 ** (number - 1)
    shift = config.shift_angstrom / spacing / 2**halvings
    return SearchConfig(
        angular_step_deg=min(step, reach), reach_deg=reach, shift_voxels=shift, refinements=2, **common
    )


def particle_mask(particles: ParticleSet, config: AverageConfig) -> Tensor:
    """(side, side, side): a soft sphere around the particle."""
    largest = particles.side / 2 - MASK_EDGE - 1
    radius = largest
    if config.diameter_angstrom is not None:
        radius = min(config.diameter_angstrom / 2 / particles.voxel_spacing_angstrom, largest)
    return soft_sphere(particles.side, radius, MASK_EDGE)


@dataclass(frozen=True)
class Quiet(SilentProgress):
    """Shows nothing, but stops when asked."""

    outer: Progress = field(default_factory=SilentProgress)

    def should_stop(self) -> bool:
        """Whether the user asked to stop."""
        return self.outer.should_stop()


@dataclass(frozen=True, eq=False)
class BoxedParticles:
    """Particles that are in memory already, of one wedge.

    Parameters
    ----------
    values
        (n, side, side, side) float32, protein bright.
    wedge
        (side, side, side // 2 + 1): what their tomogram passes.
    voxel_spacing_angstrom
        In Å.
    """

    values: Tensor
    wedge: Tensor
    voxel_spacing_angstrom: float

    @property
    def side(self) -> int:
        """Voxels along an edge."""
        return int(self.values.shape[-1])

    def __len__(self) -> int:
        return len(self.values)

    def groups(self) -> Sequence[tuple[Tensor, Tensor]]:
        """All of them."""
        return [(torch.arange(len(self)), self.wedge)]

    def boxes(self, numbers: Tensor) -> Tensor:
        """Some of them."""
        return self.values[numbers]
