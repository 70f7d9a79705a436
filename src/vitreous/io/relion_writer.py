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
    tilt_series_pixel_angstrom: float | None = None,
    scores: NDArray[np.float64] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the particles of one tomogram for RELION 5.

    Coordinates are in Å from the tomogram's centre, (index - side / 2) × spacing; angles are rot, tilt
    and psi of `from_zyz`. `rlnClassNumber` counts the structure names in the order of their first
    particle. Names and instance labels have columns of our own, which RELION leaves alone, as it does a table
    of the tomogram's size, from which `read_relion_particles` knows where the centre is.

    RELION divides coordinates by the pixel of the tilt series that this file states. If the tomogram is
    binned and its voxel is taken for that pixel, RELION pulls particles towards the centre, while
    `read_relion_particles` reads them back either way.

    Parameters
    ----------
    path
        The output.
    poses
        What to write.
    tomogram_name
        `rlnTomoName`, by which RELION finds the tilt series.
    shape
        (z, y, x) of the tomogram in voxels.
    voxel_spacing_angstrom
        Of the tomogram, in Å.
    tilt_series_pixel_angstrom
        Of the unbinned tilt series, in Å; None if the tomogram's voxels are as large.
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
    sizes = size_table({tomogram_name: shape}, voxel_spacing_angstrom, tilt_series_pixel_angstrom)
    tables = tables_of(columns, sizes, tilt_series_pixel_angstrom or voxel_spacing_angstrom)
    return write_star(path, tables, comment=VERSION_5, overwrite=overwrite)


def write_relion4_particles(
    path: str | Path,
    poses: Poses,
    *,
    tomogram_name: str,
    shape: Sequence[int],
    voxel_spacing_angstrom: float,
    tilt_series_pixel_angstrom: float | None = None,
    scores: NDArray[np.float64] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the particles of one tomogram for RELION 4.

    Coordinates are in pixels of the unbinned tilt series from the first voxel's centre. All else is as
    `write_relion5_particles` has it.

    Parameters
    ----------
    path, poses, tomogram_name, shape, voxel_spacing_angstrom, tilt_series_pixel_angstrom, scores, overwrite
        As there.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    count, pixel = len(poses), tilt_series_pixel_angstrom or voxel_spacing_angstrom
    columns = {
        "rlnTomoName": (tomogram_name,) * count,
        "rlnTomoParticleId": tuple(str(number) for number in range(1, count + 1)),
        "rlnTomoManifoldIndex": ("1",) * count,
        **text_columns(COORDINATE, poses.positions_angstrom[:, ::-1] / pixel),
        **common_columns(poses, scores),
    }
    sizes = size_table({tomogram_name: shape}, voxel_spacing_angstrom, tilt_series_pixel_angstrom)
    tables = tables_of(columns, sizes, pixel)
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
    columns: Mapping[str, tuple[str, ...]], sizes: StarTable, pixel_angstrom: float
) -> dict[str, StarTable]:
    """A file of particles: one optics group of a tilt series' pixel, the particles, the tomograms' sizes."""
    optics = {
        "rlnOpticsGroup": ("1",),
        "rlnOpticsGroupName": ("opticsGroup1",),
        PIXEL: (f"{pixel_angstrom:.6f}",),
    }
    return {"optics": StarTable(optics), "particles": StarTable(columns), "tomograms": sizes}


def size_table(
    shapes: Mapping[str, Sequence[int]],
    voxel_spacing_angstrom: float,
    tilt_series_pixel_angstrom: float | None = None,
) -> StarTable:
    """Sizes of tomograms in pixels of the tilt series, which is the voxel if None.

    Shapes (z, y, x) are in voxels. Where a side is no whole number of pixels its fraction stays, as a rounded
    side would move the centre that coordinates count from.
    """
    pixel = tilt_series_pixel_angstrom or voxel_spacing_angstrom
    binning = voxel_spacing_angstrom / pixel
    sides = {
        f"rlnTomoSize{name}": tuple(f"{shape[axis] * binning:.8g}" for shape in shapes.values())
        for name, axis in (("X", 2), ("Y", 1), ("Z", 0))
    }
    pixels = (f"{pixel:.6f}",) * len(shapes)
    return StarTable({"rlnTomoName": tuple(shapes), **sides, PIXEL: pixels})


def text_columns(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, tuple[str, ...]]:
    """The columns of an array as text, by name."""
    return {
        name: tuple(f"{value:.8f}" for value in column) for name, column in zip(names, values.T, strict=True)
    }
