"""Particles in RELION's STAR files of versions 4 and 5, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core.poses import Poses
from vitreous.io.euler import to_zyz
from vitreous.io.relion import ANGLES, CENTERED, COORDINATE, INSTANCE, NAME, ORIGIN, PIXEL, SCORE
from vitreous.io.star import StarTable, write_star

VERSION_4, VERSION_5 = "version 30001", "version 50001"  # RELION 4 writes that of 3


def write_relion5_particles(
    path: str | Path,
    poses: Poses,
    *,
    tomogram_name: str,
    shape: Sequence[int],
    voxel_spacing_angstrom: float,
    scores: NDArray[np.float64] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the particles of one tomogram for RELION 5.

    Coordinates are in Å from the tomogram's centre, (index - side / 2) × spacing; angles are rot, tilt
    and psi of `from_zyz`. `rlnClassNumber` counts the structure names in the order of their first
    particle. Names and instance labels have columns of our own, which RELION leaves alone, as it does a table
    of the tomogram's size, from which `read_relion_particles` knows where the centre is.

    Parameters
    ----------
    path
        The output.
    poses
        What to write.
    tomogram_name
        `rlnTomoName`, by which RELION finds the tilt series.
    shape
        (z, y, x) of the tomogram; in RELION `rlnTomoSizeX/Y/Z`, if its voxels are those of the tilt series.
    voxel_spacing_angstrom
        In Å; written as the pixel size of the tilt series.
    scores
        (n,), of picks; written as `rlnAutopickFigureOfMerit`.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    size = np.asarray(shape, np.float64) * voxel_spacing_angstrom
    names = tuple(f"{tomogram_name}/{number}" for number in range(1, len(poses) + 1))
    columns = {
        "rlnTomoName": (tomogram_name,) * len(poses),
        "rlnTomoParticleName": names,
        **text_columns(CENTERED, (poses.positions_angstrom - size / 2)[:, ::-1]),
        **common_columns(poses, scores),
    }
    tables = tables_of(columns, {tomogram_name: shape}, voxel_spacing_angstrom)
    return write_star(path, tables, comment=VERSION_5, overwrite=overwrite)


def write_relion4_particles(
    path: str | Path,
    poses: Poses,
    *,
    tomogram_name: str,
    shape: Sequence[int],
    voxel_spacing_angstrom: float,
    scores: NDArray[np.float64] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the particles of one tomogram for RELION 4.

    Coordinates are in pixels of `voxel_spacing_angstrom` from the first voxel's centre. RELION 4 wants those
    of the unbinned tilt series: give its pixel if it is another than that of the tomogram, as coordinates
    are in Å before. All else is as `write_relion5_particles` has it.

    Parameters
    ----------
    path, poses, tomogram_name, shape, scores, overwrite
        As there.
    voxel_spacing_angstrom
        The pixel of the coordinates in Å.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    count = len(poses)
    columns = {
        "rlnTomoName": (tomogram_name,) * count,
        "rlnTomoParticleId": tuple(str(number) for number in range(1, count + 1)),
        "rlnTomoManifoldIndex": ("1",) * count,
        **text_columns(COORDINATE, poses.positions_angstrom[:, ::-1] / voxel_spacing_angstrom),
        **common_columns(poses, scores),
    }
    tables = tables_of(columns, {tomogram_name: shape}, voxel_spacing_angstrom)
    return write_star(path, tables, comment=VERSION_4, overwrite=overwrite)


def write_relion5_tomograms(
    path: str | Path,
    shapes: Mapping[str, Sequence[int]],
    *,
    voxel_spacing_angstrom: float,
    overwrite: bool = False,
) -> Path:
    """Write the sizes of tomograms, without which RELION 5's particle coordinates cannot be read.

    Parameters
    ----------
    path
        The output.
    shapes
        (z, y, x) by name.
    voxel_spacing_angstrom
        In Å; written as the pixel size of the tilt series.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    tables = {"global": size_table(shapes, voxel_spacing_angstrom)}
    return write_star(path, tables, comment=VERSION_5, overwrite=overwrite)


def common_columns(poses: Poses, scores: NDArray[np.float64] | None) -> dict[str, tuple[str, ...]]:
    """Angles, offsets, classes, names and scores."""
    kinds = {name: str(number) for number, name in enumerate(dict.fromkeys(poses.names), 1)}
    columns = {
        **text_columns(ANGLES, to_zyz(poses.rotations)),
        **text_columns(ORIGIN, np.zeros((len(poses), 3))),
        "rlnOpticsGroup": ("1",) * len(poses),
        "rlnClassNumber": tuple(kinds[name] for name in poses.names),
        NAME: poses.names,
        INSTANCE: tuple(str(label) for label in poses.instances),
    }
    return columns if scores is None else {**columns, **text_columns((SCORE,), scores[:, None])}


def tables_of(
    columns: Mapping[str, tuple[str, ...]], shapes: Mapping[str, Sequence[int]], pixel_angstrom: float
) -> dict[str, StarTable]:
    """A file of particles: one optics group, the particles, the sizes of their tomograms."""
    optics = {
        "rlnOpticsGroup": ("1",),
        "rlnOpticsGroupName": ("opticsGroup1",),
        PIXEL: (f"{pixel_angstrom:.6f}",),
    }
    sizes = size_table(shapes, pixel_angstrom)
    return {"optics": StarTable(optics), "particles": StarTable(columns), "tomograms": sizes}


def size_table(shapes: Mapping[str, Sequence[int]], voxel_spacing_angstrom: float) -> StarTable:
    """Sizes of tomograms in voxels."""
    sides = {
        f"rlnTomoSize{name}": tuple(str(shape[axis]) for shape in shapes.values())
        for name, axis in (("X", 2), ("Y", 1), ("Z", 0))
    }
    pixels = (f"{voxel_spacing_angstrom:.6f}",) * len(shapes)
    return StarTable({"rlnTomoName": tuple(shapes), **sides, PIXEL: pixels})


def text_columns(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, tuple[str, ...]]:
    """The columns of an array as text, by name."""
    return {
        name: tuple(f"{value:.8f}" for value in column) for name, column in zip(names, values.T, strict=True)
    }
