"""Which half each pick belongs to, and whether the halves stay apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreous.averaging import Alignment, close_pairs, groups_of, halves_of_groups
from vitreous.core import InputError
from vitreous.io import SUBSET
from vitreous.workflows.average.particles import Opened, TomogramParticles
from vitreous.workflows.average.plan import LEAST_PARTICLES
from vitreous.workflows.average.request import AverageRequest

CLOSEST = 0.5  # of a particle's diameter: the centres of two particles are hardly nearer to each other
NUMBERS = {"1": 0, "2": 1}  # halves as RELION counts them


@dataclass(frozen=True, eq=False)
class Halves:
    """How the particles are halved.

    Parameters
    ----------
    which
        (n,), 0 or 1: which half each particle belongs to.
    closest_angstrom
        Particles no farther apart than this may be one that was picked twice.
    from_file
        Whether the file of picks says which.
    notes
        What is to be known of them, as sentences.
    """

    which: NDArray[np.int_]
    closest_angstrom: float
    from_file: bool
    notes: tuple[str, ...] = ()


def halves_of(request: AverageRequest, particles: TomogramParticles, diameter_angstrom: float) -> Halves:
    """Halves as the file of picks has them, or else two that have no particle in common.

    Raises
    ------
    InputError
        If a half would have too few particles for an average.
    """
    closest = CLOSEST * diameter_angstrom
    given, notes = halves_in_file(particles.opened)
    if given is not None:
        halves = Halves(given, closest, True)
        remedy = f"give picks of both halves, or take the column {SUBSET} out"
    else:
        places = particles.positions_angstrom(particles.start())
        groups = groups_of(len(particles), close_pairs(places, particles.owner, closest))
        which = halves_of_groups(groups)
        halves = Halves(which, closest, False, (*notes, *told_crowd(groups, which, closest)))
        remedy = f"give a smaller --diameter, or halves as {SUBSET} in the picks; see what lies so close"
    fewest = int(np.bincount(halves.which, minlength=2).min())
    if fewest < LEAST_PARTICLES // 2:
        reason = "as given" if halves.from_file else f"if picks within {closest:.0f} Å stay together"
        text = f"{fewest} of {len(particles)} particles are left to one half, {reason}"
        raise InputError(text, path=request.picks, remedy=remedy)
    return halves


def halves_in_file(opened: Opened) -> tuple[NDArray[np.int_] | None, list[str]]:
    """Halves (n,) that the file of picks has, None unless it has one for each; and what to say of that."""
    column = next((table.text(SUBSET) for table in opened.table.tables.values() if SUBSET in table), None)
    if column is None:
        return None, []
    rows = np.concatenate([one.rows for one in opened.tomograms])
    numbers = [NUMBERS.get(column[row]) for row in rows]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None, [f"{SUBSET} is not 1 or 2 for every pick: the halves are new ones."]
    return np.array(known), []


def told_crowd(groups: NDArray[np.int_], which: NDArray[np.int_], closest_angstrom: float) -> list[str]:
    """How many picks are kept together, as a sentence; none if there are none."""
    crowded = int((np.bincount(groups)[groups] > 1).sum())
    if not crowded:
        return []
    first, second = np.bincount(which, minlength=2)
    return [
        f"{crowded} picks lie no farther than {closest_angstrom:.0f} Å, half the particle's diameter, from "
        f"another one. What is so close together is in one half ({first} and {second} particles)."
    ]


def shared_doubts(halves: Halves, particles: TomogramParticles, poses: Alignment) -> list[str]:
    """Whether particles of different halves may be one and the same after all, as sentences."""
    pairs = close_pairs(particles.positions_angstrom(poses), particles.owner, halves.closest_angstrom)
    across = pairs[halves.which[pairs[:, 0]] != halves.which[pairs[:, 1]]]
    if not len(across):
        return []
    return [
        f"{len(np.unique(across))} particles of different halves lie no farther than "
        f"{halves.closest_angstrom:.0f} Å from each other, half the particle's diameter: where they are one "
        "and the same, the halves share noise and agree further than they should. Leave one of each out."
    ]
