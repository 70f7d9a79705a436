"""The picks of one tomogram, read from a file that may hold those of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitreous.core import InputError
from vitreous.io import read_particles, read_relion_particles
from vitreous.io.names import files_called, own_name
from vitreous.io.particles import SUFFIXES
from vitreous.io.relion import read_particle_tomograms
from vitreous.picking import Picks, merged
from vitreous.workflows.annotate.subject import Subject
from vitreous.workflows.average.picks import check_any, check_pixel, in_pixels, inside, triple
from vitreous.workflows.judge.request import JudgeRequest


@dataclass(frozen=True, eq=False)
class Given:
    """Picks that can be judged.

    Parameters
    ----------
    picks
        The best first, if they have scores.
    notes
        What was left out, sentences.
    doubts
        Why they may not lie where they are taken to lie, sentences.
    """

    picks: Picks
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def given_picks(request: JudgeRequest, subject: Subject, closest_angstrom: float) -> Given:
    """The picks that lie in the tomogram, none closer to a better one than a distance.

    What was picked twice would count as two witnesses.

    Raises
    ------
    InputError
        If they cannot be read, none is of this tomogram, or none lies in it.
    """
    path, tomogram = request.picks, request.asked.input
    volume, spacing = subject.volume, subject.volume.mean_spacing_angstrom or 0.0
    pixel = request.coordinate_pixel_angstrom
    if path.suffix.lower() in SUFFIXES["relion5"]:
        name, doubts = name_of(request, read_particle_tomograms(path))
        table = read_relion_particles(
            path,
            sizes_angstrom={name: triple(volume, spacing)},
            coordinate_pixel_angstrom=pixel,
            tomogram=name,
        )
        check_pixel(pixel, path, in_pixels=in_pixels(table))
        poses, scores, told = table.poses, table.scores, table.notes
    else:
        check_pixel(pixel, path, in_pixels=False)
        read = read_particles(
            path,
            voxel_spacing_angstrom=request.asked.voxel_size_angstrom,
            tomogram_spacing_angstrom=spacing,
        )
        name, doubts = name_of(request, list(read.poses))
        poses, scores, told = read.poses, read.scores, read.notes
    check_any(path, {name: poses[name]} if name in poses else {})
    positions, there = poses[name].positions_angstrom, inside(poses[name], volume, spacing)
    if not there.any():
        remedy = "check that they belong together, and --voxel-size"
        raise InputError(f"no pick lies in {tomogram}", path=path, remedy=remedy)
    ranks = -np.arange(len(positions), dtype=float)  # the first of the file is the best, if none has a score
    picks = Picks(positions, scores.get(name, ranks)).select(there)
    apart = merged(picks, closest_angstrom)
    notes = [
        f"{count} picks {why} and were left out."
        for count, why in (
            (int((~there).sum()), "lie outside the tomogram"),
            (len(picks) - len(apart), f"are within {closest_angstrom:.0f} Å of better ones"),
        )
        if count
    ]
    return Given(apart, tuple(notes), (*told, *doubts))


def name_of(request: JudgeRequest, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What a file of picks calls the tomogram, and what is doubtful about that.

    Raises
    ------
    InputError
        If it cannot be told.
    """
    file, listed = request.asked.input, ", ".join(name or "without name" for name in names)
    if request.tomogram_name is not None:
        if request.tomogram_name not in names:
            text = f"holds no picks in a tomogram {request.tomogram_name}, but in {listed}"
            raise InputError(text, path=request.picks, remedy="correct --tomogram-name")
        return request.tomogram_name, ()
    fitting = [name for name in names if not name or files_called(name, [file])]
    fitting = fitting or [name for name in names if is_half_of(own_name(file), name)]
    if len(fitting) == 1:
        return fitting[0], ()
    if len(names) == 1:
        return names[0], (f"The picks are in a tomogram {names[0]}, and {file.name} was taken to be it.",)
    if not names:
        raise InputError("holds no picks", path=request.picks, remedy="give picks of this tomogram")
    text = f"holds picks in {listed}, and which of them is {file.name} cannot be told"
    raise InputError(text, path=request.picks, remedy="add --tomogram-name NAME")


def is_half_of(half: str, name: str) -> bool:
    """Whether a file may be called after a tomogram, with a word more, as halves are.

    Examples
    --------
    >>> is_half_of("TS_01_EVN", "TS_01"), is_half_of("TS_10_EVN", "TS_1")
    (True, False)
    """
    return half.startswith(name) and not half[len(name) : len(name) + 1].isalnum()
