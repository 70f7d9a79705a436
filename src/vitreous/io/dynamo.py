"""Particles in Dynamo's tables: a line a particle, columns by number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.poses import Poses
from vitreous.io.atomic import write_text_atomic
from vitreous.io.euler import from_zxz, to_zxz
from vitreous.io.mrc import unreadable

COLUMNS, FEWEST = 41, 26
FIRST_VOXEL = 1.0  # as MATLAB counts
UNSET = (0.0, 1.0)  # Å in column 36 where nobody said the pixel
_NUMBER = r"(?:\d+\.?\d*(?:[eE][-+]?\d+)?|NaN|Inf)"
COMPLEX = re.compile(rf"[-+]?(?:{_NUMBER}[-+])?{_NUMBER}i")  # as MATLAB writes it
TAG, ALIGN, AVERAGE, SHIFT, ANGLES, CC = 0, 1, 2, slice(3, 6), slice(6, 9), 9
TOMOGRAM, CLASS, POSITION, PIXEL = 19, 21, slice(23, 26), 35

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DynamoTable:
    """What a table says.

    Parameters
    ----------
    rows
        (particles, columns) as the file has them; column i of Dynamo's documentation is `rows[:, i - 1]`.
    poses
        All particles, named "class-1" and so on by their class; instances are their tags.
    tomograms
        (particles,) numbers of the tomograms.
    scores
        (particles,) cross-correlations.
    notes
        What had to be concluded or assumed, as sentences for people.
    """

    rows: Real
    poses: Poses
    tomograms: NDArray[np.int64]
    scores: Real
    notes: tuple[str, ...] = ()


def write_dynamo_table(
    path: str | Path,
    poses: Poses,
    *,
    voxel_spacing_angstrom: float,
    tomogram: int = 1,
    scores: Real | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the particles of one tomogram as a table of Dynamo.

    Positions are in voxels, and the first one is 1. Angles are tdrot, tilt and narot: the matrix
    Rz(narot)·Rx(tilt)·Rz(tdrot) takes a particle to its reference, and its transpose is our rotation.
    Classes count the structure names in the order of their first particle; names have no column.

    Parameters
    ----------
    path
        The output.
    poses
        What to write; instances become tags.
    voxel_spacing_angstrom
        In Å; column 36.
    tomogram
        Its number; column 20.
    scores
        (n,); column 10, the cross-correlation.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    rows = np.zeros((len(poses), COLUMNS))
    kinds = {name: number for number, name in enumerate(dict.fromkeys(poses.names), 1)}
    rows[:, TAG] = poses.instances
    rows[:, [ALIGN, AVERAGE]] = 1
    rows[:, ANGLES] = dynamo_angles(poses.rotations)
    rows[:, CC] = 0.0 if scores is None else scores
    rows[:, TOMOGRAM] = tomogram
    rows[:, CLASS] = [kinds[name] for name in poses.names]
    rows[:, POSITION] = poses.positions_angstrom[:, ::-1] / voxel_spacing_angstrom + FIRST_VOXEL
    rows[:, PIXEL] = voxel_spacing_angstrom
    lines = (" ".join(f"{value:.9g}" for value in row) for row in rows)
    return write_text_atomic(path, "".join(f"{line}\n" for line in lines), overwrite=overwrite)


def read_dynamo_table(
    path: str | Path,
    *,
    voxel_spacing_angstrom: float | None = None,
    tomogram_spacing_angstrom: float | None = None,
) -> DynamoTable:
    """Particles of a table; shifts in columns 4 to 6 are applied once.

    Parameters
    ----------
    path
        The file.
    voxel_spacing_angstrom
        In Å; None if column 36 holds it.
    tomogram_spacing_angstrom
        Of the tomogram, in Å, for tables of which column 36 is missing, 0 or exactly 1, as it is where nobody
        set it.

    Raises
    ------
    InputError
        If it is no such table, or the voxel spacing is neither given nor in it.
    """
    file = Path(path)
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as fault:
        raise unreadable(file, fault) from fault
    except UnicodeDecodeError as fault:
        raise InputError("is not a text file", path=file, remedy="give a .tbl file") from fault
    rows = parsed(file, lines)
    notes: tuple[str, ...] = ()
    if voxel_spacing_angstrom is None and tomogram_spacing_angstrom is not None and not spacing_known(rows):
        known = f"those of the tomogram, {tomogram_spacing_angstrom:.4g} Å, were taken"
        notes = (f"the table does not say how large its voxels are; {known}",)
        voxel_spacing_angstrom = tomogram_spacing_angstrom
    spacing = voxel_spacing_angstrom or stored_spacing(file, rows)
    positions = (rows[:, POSITION] + rows[:, SHIFT] - FIRST_VOXEL)[:, ::-1] * spacing
    names = tuple(f"class-{int(number)}" for number in rows[:, CLASS])
    poses = Poses(from_dynamo_angles(rows[:, ANGLES]), positions, names, rows[:, TAG].astype(np.int32))
    return DynamoTable(rows, poses, rows[:, TOMOGRAM].astype(np.int64), rows[:, CC], notes)


def dynamo_angles(rotations: Real) -> Real:
    """tdrot, tilt and narot in degrees, (n, 3), of rotations (n, 3, 3) of (z, y, x) columns.

    Our rotation is Rz(-tdrot)·Rx(-tilt)·Rz(-narot).
    """
    return -to_zxz(rotations)


def from_dynamo_angles(angles_deg: Real) -> Real:
    """Rotations (particle → tomogram) of tdrot, tilt and narot; the inverse of `dynamo_angles`."""
    return from_zxz(-np.asarray(angles_deg, np.float64))


def parsed(file: Path, lines: list[str]) -> Real:
    """The numbers of a table; InputError for a line that has too few, or something else."""
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith(("#", "%")):
            continue
        try:
            # Complex numbers stand where Dynamo measured nothing.
            row = [0.0 if COMPLEX.fullmatch(word) else float(word) for word in words]
        except ValueError as fault:
            text = f"line {number} holds something other than numbers"
            raise InputError(text, path=file, remedy="give a table of Dynamo") from fault
        if len(row) < FEWEST or (rows and len(row) != len(rows[0])):
            text = f"line {number} has {len(row)} columns"
            raise InputError(text, path=file, remedy="give a table of Dynamo")
        if not np.isfinite([*row[TAG : ANGLES.stop], *row[POSITION]]).all():
            raise InputError(f"line {number} is not finite", path=file, remedy="repair the file")
        rows.append(row)
    table = np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else COLUMNS)
    return np.nan_to_num(table, posinf=0.0, neginf=0.0)


def pixels_of(rows: Real) -> Real:
    """Different voxel spacings in column 36, in Å; 0 where there is no such column."""
    pixels: Real = np.unique(np.round(rows[:, PIXEL], 6)) if rows.shape[1] > PIXEL else np.zeros(1)
    return pixels


def spacing_known(rows: Real) -> bool:
    """Whether column 36 says anything of the voxels."""
    return not np.isin(pixels_of(rows), UNSET).all()


def stored_spacing(file: Path, rows: Real) -> float:
    """The voxel spacing in column 36; InputError if there is none, or several."""
    if not len(rows):
        return 1.0  # there is nothing to place
    found = pixels_of(rows)
    if len(found) == 1 and found[0] > 0 and spacing_known(rows):
        return float(rows[0, PIXEL])
    text = "does not say how large its voxels are"
    if list(found) == [1.0]:
        text = "says that its voxels are exactly 1 Å, which usually means that it was never set"
    raise InputError(text, path=file, remedy="give --voxel-size in Å")
