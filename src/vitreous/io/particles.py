"""Particle files of all programs: the format is told by the suffix, or named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.poses import Poses
from vitreous.io.copick import read_copick_picks, write_copick_picks
from vitreous.io.dynamo import read_dynamo_table, write_dynamo_table
from vitreous.io.pose_table import read_scored_poses, write_pose_table
from vitreous.io.relion import Size, read_relion_particles
from vitreous.io.relion_writer import write_relion4_particles, write_relion5_particles

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "relion5": (".star",),
    "relion4": (".star",),
    "dynamo": (".tbl",),
    "copick": (".json",),
    "poses": (".csv", ".tsv"),
}
Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Particles:
    """Particles by the name of their tomogram, "" where it has none.

    Parameters
    ----------
    poses
        In the order of the file.
    scores
        (n,) of those that have some.
    notes
        What had to be concluded or assumed, as sentences for people.
    """

    poses: Mapping[str, Poses]
    scores: Mapping[str, Real] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def particle_format(path: str | Path, name: str | None = None) -> str:
    """The format of a particle file by its suffix; a name decides where there are several.

    Raises
    ------
    InputError
        If the suffix is that of none, or the name is none or goes with another suffix.

    Examples
    --------
    >>> particle_format("a.star"), particle_format("a.star", "relion4"), particle_format("a.tbl")
    ('relion5', 'relion4', 'dynamo')
    """
    suffix = Path(path).suffix.lower()
    fitting = [kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes]
    if name is not None and name not in SUFFIXES:
        raise InputError(f"--format {name} is unknown", remedy=f"use {', '.join(SUFFIXES)}")
    if name is not None and name not in fitting:
        remedy = f"name the file {' or '.join(SUFFIXES[name])}"
        raise InputError(f"is no name for a file of format {name}", path=path, remedy=remedy)
    if not fitting:
        known = ", ".join(dict.fromkeys(s for suffixes in SUFFIXES.values() for s in suffixes))
        raise InputError("is of no type of particle file", path=path, remedy=f"name it {known}")
    return name or fitting[0]


def write_particles(
    path: str | Path,
    poses: Poses,
    *,
    tomogram_name: str,
    shape: Sequence[int],
    voxel_spacing_angstrom: float,
    tilt_series_pixel_angstrom: float | None = None,
    scores: Real | None = None,
    kind: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the particles of one tomogram in the format that the suffix or `kind` says.

    Parameters
    ----------
    path
        The output.
    poses
        What to write.
    tomogram_name
        The tomogram's; in Dynamo its number, if it is one, or 1.
    shape
        (z, y, x) of the tomogram.
    voxel_spacing_angstrom
        Of the tomogram, in Å.
    tilt_series_pixel_angstrom
        Of the unbinned tilt series, in Å, for RELION; None if the tomogram's voxels are as large.
    scores
        (n,), of picks.
    kind
        A name of SUFFIXES.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        See `particle_format` and the writers.
    """
    chosen = particle_format(path, kind)
    if chosen == "dynamo":
        number = int(tomogram_name) if tomogram_name.isdecimal() and int(tomogram_name) < 2**31 else 1
        return write_dynamo_table(
            path,
            poses,
            voxel_spacing_angstrom=voxel_spacing_angstrom,
            tomogram=number,
            scores=scores,
            overwrite=overwrite,
        )
    if chosen == "copick":
        return write_copick_picks(
            path,
            poses,
            run_name=tomogram_name,
            voxel_spacing_angstrom=voxel_spacing_angstrom,
            scores=scores,
            overwrite=overwrite,
        )
    if chosen == "poses":
        return write_pose_table(path, poses, scores=scores, overwrite=overwrite)
    write = write_relion4_particles if chosen == "relion4" else write_relion5_particles
    return write(
        path,
        poses,
        tomogram_name=tomogram_name,
        shape=shape,
        voxel_spacing_angstrom=voxel_spacing_angstrom,
        tilt_series_pixel_angstrom=tilt_series_pixel_angstrom,
        scores=scores,
        overwrite=overwrite,
    )


def read_particles(
    path: str | Path,
    *,
    sizes_angstrom: Mapping[str, Size] | None = None,
    voxel_spacing_angstrom: float | None = None,
    tomogram_spacing_angstrom: float | None = None,
) -> Particles:
    """Particles of a file of any of the formats.

    Parameters
    ----------
    path
        The file.
    sizes_angstrom
        Sides (z, y, x) of the tomograms by name, in Å, for files of RELION.
    voxel_spacing_angstrom
        Of the coordinates, in Å, for files of Dynamo and RELION 4 that do not say it.
    tomogram_spacing_angstrom
        Of the tomogram, in Å, where it is known; see `read_dynamo_table`.

    Raises
    ------
    InputError
        See `particle_format` and the readers.
    """
    chosen = particle_format(path)
    if chosen == "poses":
        poses, scores = read_scored_poses(path)
        return Particles({"": poses}, {} if scores is None else {"": scores})
    if chosen == "copick":
        picks = read_copick_picks(path)
        notes = () if picks.oriented else ("the file says that its orientations are not to be trusted",)
        return Particles({picks.run_name: picks.poses}, {picks.run_name: picks.scores}, notes)
    if chosen == "dynamo":
        table = read_dynamo_table(
            path,
            voxel_spacing_angstrom=voxel_spacing_angstrom,
            tomogram_spacing_angstrom=tomogram_spacing_angstrom,
        )
        rows = {str(n): np.flatnonzero(table.tomograms == n) for n in np.unique(table.tomograms)}
        return Particles(
            {name: table.poses.select(index) for name, index in rows.items()},
            {name: table.scores[index] for name, index in rows.items()},
            table.notes,
        )
    found = read_relion_particles(
        path, sizes_angstrom=sizes_angstrom, coordinate_pixel_angstrom=voxel_spacing_angstrom
    )
    return Particles(found.poses, found.scores, found.notes)
