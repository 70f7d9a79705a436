"""From a grid of all orientations to the best one: coarse, then with ever smaller steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vitreous.averaging.band import shift_phases
from vitreous.averaging.comparison import Comparison, as_reals, shift_lattice
from vitreous.averaging.config import MOST_CANDIDATES, SearchConfig
from vitreous.core import Interrupted, Progress
from vitreous.fourier.rotations import nearby_rotations, rotation_grid
from vitreous.inference.device import cpu_multiplies_bfloat16

CHUNK_BYTES = 100_000_000  # of the largest arrays
ROTATIONS_AT_ONCE = 512
PASSES = 2  # with each step
SAMPLES = 2  # shifts in a wavelength of the highest frequency, at first

Sphere = tuple[Tensor, float]  # (n, 3) centres, one for each particle, and their radius, in voxels
Cone = tuple[Tensor, float]  # (n, 3, 3) rotations, likewise, and the largest angle from them, in degrees


@dataclass(frozen=True, eq=False)
class Candidates:
    """m poses for each of n particles: rotations (n, m, 3, 3), shifts (n, m, 3) in voxels, scores (n, m)."""

    rotations: Tensor
    shifts: Tensor
    scores: Tensor

    def best(self) -> Candidates:
        """The best one of each particle."""
        first = self.scores.argmax(1)
        rows = torch.arange(len(first))
        return Candidates(
            self.rotations[rows, first][:, None],
            self.shifts[rows, first][:, None],
            self.scores.amax(1)[:, None],
        )


@dataclass(frozen=True, eq=False)
class Limits:
    """How far a pose may be from where it is thought to be.

    Parameters
    ----------
    spheres
        Shifts must lie in all of them.
    cones
        Rotations must lie in all of them; none where all orientations are searched.
    """

    spheres: Sequence[Sphere]
    cones: Sequence[Cone] = ()

    def away(self, block: slice, shifts: Tensor) -> Tensor:
        """Which of (n, m, s, 3) shifts go too far: (n, m, s)."""
        outside = torch.zeros(shifts.shape[:-1], dtype=torch.bool)
        for centres, radius in self.spheres:
            outside |= (shifts - centres[block][:, None, None]).norm(dim=-1) > radius + 1e-6
        return outside

    def crossed(self, block: slice, rotations: Tensor, shifts: Tensor) -> Tensor:
        """Which of (n, m, r, 3, 3) rotations with (n, m, s, 3) shifts go too far: (n, m, r, s)."""
        crossed = self.away(block, shifts)[:, :, None]
        for middles, reach_deg in self.cones:
            traces = torch.einsum("nmrij,nij->nmr", rotations, middles[block])
            turned = traces < 1 + 2 * math.cos(math.radians(min(reach_deg, 180.0))) - 1e-6
            crossed = torch.logical_or(crossed, turned[..., None])
        return crossed


def search_everywhere(
    compared: Comparison,
    search: SearchConfig,
    centres: Tensor,
    progress: Progress,
    limits: Limits | None = None,
) -> Candidates:
    """The best orientations of a whole grid for each particle, some steps apart from each other.

    All shifts of all particles of a block are one matrix, and so are some hundred turned templates; their
    product holds every score, in bfloat16 where the processor multiplies it: what stays is scored anew.
    """
    dtype = torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32
    grid = rotation_grid(search.angular_step_deg, symmetry=search.symmetry)
    shifts = shift_lattice(first_shift(compared, search), search.shift_voxels)
    turns = [slice(first, first + ROTATIONS_AT_ONCE) for first in range(0, len(grid), ROTATIONS_AT_ONCE)]
    blocks = blocks_of(len(compared), len(shifts) * (8 * len(compared.band) + 4 * ROTATIONS_AT_ONCE))
    progress.start("all orientations", len(blocks) * len(turns))
    found, phases = [], shift_phases(shifts, compared.band)
    for block in blocks:
        places = centres[block][:, None] + shifts
        away = None if limits is None else limits.away(block, places[:, None])[:, 0]
        rows = as_reals(compared.moved(block, centres[block][:, None]) * phases).flatten(0, 1).to(dtype)
        highest, where = [], []
        for part in turns:
            stop_if_asked(progress)
            templates = as_reals(compared.templates(grid[part])).to(dtype)
            scores = (rows @ templates.T).float().reshape(len(places), len(shifts), -1)
            if away is not None:
                scores[away] = -math.inf
            best = scores.max(1)
            highest.append(best.values)
            where.append(best.indices)
            progress.advance()
        top = torch.cat(highest, 1).topk(min(MOST_CANDIDATES, len(grid)), 1)
        kept = apart(grid[top.indices], 1.5 * search.angular_step_deg, search.candidates)
        index = top.indices.gather(1, kept)
        shift = torch.cat(where, 1).gather(1, index)
        chosen = places.gather(1, shift[:, :, None].expand(-1, -1, 3))
        found.append(Candidates(grid[index], chosen, top.values.gather(1, kept)))
    return joined(found)


def search_around(
    compared: Comparison, search: SearchConfig, start: Candidates, limits: Limits, progress: Progress
) -> Candidates:
    """The best orientation within reach of each particle's own."""
    assert search.reach_deg is not None
    turns = nearby_rotations(search.angular_step_deg, search.reach_deg)
    shifts = shift_lattice(first_shift(compared, search), search.shift_voxels)
    progress.start("orientations nearby", len(compared))
    return improved(compared, start, (turns, shifts), limits, progress)


def refined(
    compared: Comparison, found: Candidates, search: SearchConfig, limits: Limits, progress: Progress
) -> Candidates:
    """Halve the steps around the candidates again and again; from the second time on only the best stays."""
    step, shift_step = search.angular_step_deg / 2, first_shift(compared, search) / 2
    progress.start("refinement", search.refinements * PASSES * len(compared))
    for number in range(search.refinements):
        shifts = shift_lattice(shift_step, math.sqrt(2) * shift_step if search.shift_voxels else 0.0)
        around = (nearby_rotations(step, 2 * step), shifts)
        for _ in range(PASSES):
            found = improved(compared, found, around, limits, progress)
        if number == 0:
            found = found.best()
        step, shift_step = step / 2, shift_step / 2
    return found.best()


def improved(
    compared: Comparison,
    found: Candidates,
    around: tuple[Tensor, Tensor],
    limits: Limits,
    progress: Progress,
) -> Candidates:
    """Each candidate replaced by the best of the rotations and shifts around it, scored anew.

    Parameters
    ----------
    compared
        Particles and template.
    found
        Where to look.
    around
        Rotations (r, 3, 3), which act after the candidate's, and shifts (s, 3), which are added to its own.
    limits
        What is too far away.
    progress
        Advances by particles.
    """
    turns, shifts = around
    waves = as_reals(shift_phases(shifts, compared.band).conj())
    each = found.scores.shape[1] * len(turns)
    results = []
    for block in blocks_of(len(compared), 40 * each * len(compared.band)):
        stop_if_asked(progress)
        rotations = turns @ found.rotations[block][:, :, None]
        people, number = rotations.shape[:2]
        templates = compared.templates(rotations.reshape(-1, 3, 3)).reshape(people, number, len(turns), -1)
        particles = compared.moved(block, found.shifts[block])
        scores = as_reals(particles[:, :, None] * templates.conj()) @ waves.T
        places = found.shifts[block][:, :, None] + shifts
        crossed = limits.crossed(block, rotations, places).expand(scores.shape).clone()
        crossed[:, :, 0, 0] = False  # where it is already
        scores = scores.masked_fill(crossed, -math.inf).flatten(2)
        best = scores.max(2)
        turn, shift = best.indices // len(shifts), best.indices % len(shifts)
        chosen = rotations.gather(2, turn[..., None, None, None].expand(-1, -1, 1, 3, 3))[:, :, 0]
        moved = places.gather(2, shift[..., None, None].expand(-1, -1, 1, 3))[:, :, 0]
        results.append(Candidates(chosen, moved, best.values))
        progress.advance(people)
    return joined(results)


def apart(ranked: Tensor, least_deg: float, count: int) -> Tensor:
    """Which `count` of (n, r, 3, 3) rotations, the best first, are not close to a better one chosen.

    Where too few are left, the best of the others make up for them. Returns (n, count) indices.
    """
    people, number = ranked.shape[:2]
    traces = torch.einsum("naij,nbij->nab", ranked, ranked)
    close = traces > 1 + 2 * math.cos(math.radians(least_deg))
    place = torch.arange(number).expand(people, number)
    rank, free = place + number, torch.ones(people, number, dtype=torch.bool)
    for turn in range(min(count, number)):
        first = torch.where(free, place, number).amin(1)
        rows = (first < number).nonzero()[:, 0]
        rank[rows, first[rows]] = turn
        free[rows] &= ~close[rows, first[rows]]
    return rank.argsort(1)[:, :count]


def first_shift(compared: Comparison, search: SearchConfig) -> float:
    """Voxels between shifts at first."""
    highest = float(compared.band.frequencies.norm(dim=1).max())
    return min(1 / (2 * SAMPLES * highest), max(search.shift_voxels, 1e-3))


def blocks_of(count: int, bytes_each: int) -> list[slice]:
    """Runs of particles that take no more than `CHUNK_BYTES` together, though at least one at a time."""
    group = max(1, CHUNK_BYTES // bytes_each)
    return [slice(first, min(first + group, count)) for first in range(0, count, group)]


def joined(parts: list[Candidates]) -> Candidates:
    """Candidates of successive blocks of particles."""
    return Candidates(
        torch.cat([p.rotations for p in parts]),
        torch.cat([p.shifts for p in parts]),
        torch.cat([p.scores for p in parts]),
    )


def stop_if_asked(progress: Progress) -> None:
    """Raise Interrupted if the user wants to stop."""
    if progress.should_stop():
        raise Interrupted
