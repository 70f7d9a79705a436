"""Picks of any program, as tables of RELION: aligned ones are written with all that was said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Poses, Volume
from vitreous.io import Particles, RelionParticles, read_particles, read_relion_particles
from vitreous.io.names import files_called, own_name, tomogram_name
from vitreous.io.particles import SUFFIXES
from vitreous.io.relion import CENTERED, read_particle_tomograms
from vitreous.io.relion_writer import common_columns, size_table, tables_of, text_columns
from vitreous.workflows.average.request import AverageRequest

ASSUMED_PIXEL = (
    "The picks do not say the pixel of the tilt series, and aligned.star takes it to be the tomogram's voxel "
    "of {:.4g} Å: if it is another, write it into rlnTomoTiltSeriesPixelSize of that file's optics."
)


def read_picks(
    request: AverageRequest, volumes: Mapping[Path, Volume], spacing_angstrom: float
) -> tuple[RelionParticles, dict[str, Volume]]:
    """Picks of a file, and the tomograms by the names that it has for them.

    Raises
    ------
    InputError
        If the file cannot be read, holds no picks, or some in a tomogram that is not given.
    """
    path = request.picks
    if path.suffix.lower() in SUFFIXES["relion5"]:
        named = named_as_in(path, read_particle_tomograms(path), volumes)
        sizes = {name: triple(volume, spacing_angstrom) for name, volume in named.items()}
        pixel = request.settings.coordinate_pixel_angstrom
        table = read_relion_particles(path, sizes_angstrom=sizes, coordinate_pixel_angstrom=pixel)
        check_pixel(pixel, path, in_pixels=in_pixels(table))
        check_any(path, table.poses)
        return table, named
    check_pixel(request.settings.coordinate_pixel_angstrom, path, in_pixels=False)
    particles = read_particles(
        path,
        voxel_spacing_angstrom=request.voxel_size_angstrom,
        tomogram_spacing_angstrom=spacing_angstrom,
    )
    check_any(path, particles.poses)
    named = named_as_in(path, list(particles.poses), volumes)
    if list(named) == [""]:  # a table of poses knows no tomogram
        name = tomogram_name(next(iter(volumes)))
        named = {name: named[""]}
        particles = Particles({name: particles.poses[""]}, notes=particles.notes)
    return as_relion(particles, named, spacing_angstrom), named


def in_pixels(table: RelionParticles) -> bool:
    """Whether a file of RELION counts in pixels."""
    return not any(CENTERED[0] in one for one in table.tables.values())


def check_pixel(pixel_angstrom: float | None, path: Path, *, in_pixels: bool) -> None:
    """Raise InputError for a pixel of coordinates that has nothing to say."""
    if pixel_angstrom is not None and not in_pixels:
        text = "--coordinate-pixel goes with picks in pixels, as RELION 4 has them"
        raise InputError(text, path=path, remedy="leave it out")


def check_any(path: Path, poses: Mapping[str, Poses]) -> None:
    """Raise InputError if there are no picks."""
    if not sum(len(one) for one in poses.values()):
        raise InputError("holds no picks", path=path, remedy="give picks of these tomograms")


def as_relion(
    particles: Particles, volumes: Mapping[str, Volume], spacing_angstrom: float
) -> RelionParticles:
    """Picks of another program as a particles file of RELION would say the same."""
    parts = list(particles.poses.values())
    everything = Poses(
        np.concatenate([one.rotations for one in parts]),
        np.concatenate([one.positions_angstrom for one in parts]),
        tuple(name for one in parts for name in one.names),
        np.concatenate([one.instances for one in parts]),
    )
    known = [particles.scores[name] for name in particles.poses if name in particles.scores]
    ends = np.cumsum([len(one) for one in parts])
    rows = {
        name: np.arange(end - len(one), end)
        for (name, one), end in zip(particles.poses.items(), ends, strict=True)
    }
    columns = {
        "rlnTomoName": tuple(name for name, index in rows.items() for _ in index),
        **text_columns(CENTERED, np.zeros((len(everything), 3))),  # each pose that is written has its own
        **common_columns(everything, np.concatenate(known) if len(known) == len(parts) else None),
    }
    shapes = {name: volume.shape for name, volume in volumes.items()}
    tables = tables_of(columns, size_table(shapes, spacing_angstrom), spacing_angstrom)
    notes = (*particles.notes, ASSUMED_PIXEL.format(spacing_angstrom))
    return RelionParticles(particles.poses, rows, tables, notes, particles.scores)


def named_as_in(path: Path, names: Sequence[str], volumes: Mapping[Path, Volume]) -> dict[str, Volume]:
    """The tomograms by the names that a file has for them; a single one may be called otherwise.

    Raises
    ------
    InputError
        If the file holds picks in a tomogram that is not given, or that several may be.
    """
    if len(volumes) == len(names) == 1:
        return {names[0]: next(iter(volumes.values()))}
    return {name: volumes[file_called(path, name, list(volumes))] for name in names}


def file_called(path: Path, name: str, files: Sequence[Path]) -> Path:
    """The tomogram that picks of a file call `name`; InputError unless it is one."""
    found = files_called(name, files)
    if len(found) == 1:
        return found[0]
    if found:
        text = f"the tomogram {name} could be {' or '.join(file.name for file in found)}"
        raise InputError(text, path=path, remedy="rename one of them as the picks have it")
    given = ", ".join(own_name(file) for file in files)
    text = f"holds picks in a tomogram {name or 'without name'}, and those given are {given}"
    raise InputError(text, path=path, remedy="give that tomogram too")


def inside(poses: Poses, volume: Volume, spacing: float) -> NDArray[np.bool_]:
    """Which poses (n,) lie in a tomogram."""
    extent = spacing * (np.array(volume.shape) - 1)
    there: NDArray[np.bool_] = np.all(
        (poses.positions_angstrom >= 0) & (poses.positions_angstrom <= extent), axis=1
    )
    return there


def triple(volume: Volume, spacing: float) -> tuple[float, float, float]:
    """Sides of a tomogram in Å."""
    z, y, x = volume.shape
    return z * spacing, y * spacing, x * spacing
