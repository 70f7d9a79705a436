"""The tomogram that judges, which picking has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError
from vitreous.io import open_volume
from vitreous.workflows.annotate.subject import Subject, open_subject
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.average.particles import SAME
from vitreous.workflows.judge.independence import Likeness, likeness_of

MOST_SHARED = (
    0.15  # of noise: independent ones had 0.07 at the most, a fifth of the same noise 0.18 at the least
)
SEEN_CLEARLY, LEAST_LIKE = 0.3, 0.5  # an expected correlation, and the share of it that is asked for

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Copies:
    """What is aligned and what judges.

    Parameters
    ----------
    searched, judged
        In the voxels of the search.
    averaged
        Both in the voxels that particles are averaged in.
    recorded
        In which random places have to lie where something was recorded.
    """

    searched: Array
    judged: Array
    averaged: tuple[Array, Array]
    recorded: tuple[Array, ...]


def copies_of(work: Work, unseen: Subject | None) -> Copies:
    """The tomogram and the unseen one; or the tomogram's own noise split in two, as annotating does."""
    subject, seed = work.subject, work.request.settings.seed
    if unseen is None:
        return Copies(*subject.split(seed), subject.for_averages(seed), (subject.working,))
    pair = subject.working, unseen.working
    return Copies(*pair, (subject.finer(), unseen.finer()), pair)


def check_header(path: Path, work: Work, digests: Mapping[str, str]) -> None:
    """Raise InputError if a tomogram is the first one, or has another shape or voxel spacing.

    `digests`: SHA-256 of both files, by path.
    """
    first, remedy = work.request.input, "give a tomogram of the same voxels"
    if digests[str(first)] == digests[str(path)]:
        text = "--unseen is the very tomogram that the picks were found in"
        raise InputError(text, path=path, remedy="give the other half, or leave it out")
    volume = open_volume(path, voxel_spacing_angstrom=work.request.voxel_size_angstrom)
    if volume.shape != work.subject.volume.shape:
        sides = " × ".join(map(str, volume.shape))
        raise InputError(f"has {sides} voxels, other than {first}", path=path, remedy=remedy)
    spacings = volume.mean_spacing_angstrom, work.subject.volume.mean_spacing_angstrom
    if None not in spacings and abs((spacings[0] or 0) / (spacings[1] or 1) - 1) > SAME:
        raise InputError(f"has voxels of another size than {first}", path=path, remedy=remedy)


def open_unseen(path: Path, work: Work) -> Subject:
    """A tomogram of the same specimen under independent noise, made ready as the first one was.

    Raises
    ------
    InputError
        If it cannot be used, shows another specimen or the same in another contrast, or the noise of the
        first.
    """
    subject, asked = work.subject, work.request
    settings = replace(
        asked.settings, binning=subject.prepared.binning, tilt_range_deg=subject.style.tilt_range_deg
    )
    other = open_subject(replace(asked, input=path, settings=settings), [])
    if other.bright != subject.bright:  # of two halves one may be too noisy to tell
        other = replace(other, bright=subject.bright, working=-other.working)
    check_alike(likeness_of(subject, other), path, asked.input)
    return other


def check_alike(found: Likeness, path: Path, first: Path) -> None:
    """Raise InputError unless two tomograms show one specimen under independent noises."""
    seen = f"(correlation {found.specimen:.2f} where {found.expected:.2f} is expected)"
    if found.expected > SEEN_CLEARLY and found.specimen < LEAST_LIKE * found.expected:
        if found.specimen < -LEAST_LIKE * found.expected:
            text, remedy = "has the contrast turned over", "give it as the first one is"
        else:
            text, remedy = "does not show the same specimen", "give the other half, or leave it out"
        raise InputError(f"{text}, compared with {first} {seen}", path=path, remedy=remedy)
    if found.noise > MOST_SHARED:
        text = f"shares its noise with {first} (correlation of the noises {found.noise:.2f})"
        raise InputError(text, path=path, remedy="give the other half, or leave it out")
