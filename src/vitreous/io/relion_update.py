"""A particles file with new poses: whatever else it says stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core.poses import Poses
from vitreous.io.euler import to_zyz
from vitreous.io.relion import RelionParticles
from vitreous.io.relion_writer import size_table
from vitreous.io.star import StarTable, write_star

ALIGNMENT_SCORE, SUBSET = "vitreousAlignmentScore", "rlnRandomSubset"
_AXES = "XYZ"
_REPLACED = (
    *(f"rlnCoordinate{axis}" for axis in _AXES),
    *(f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi")),
)


def write_aligned_particles(
    path: str | Path,
    particles: RelionParticles,
    rows: NDArray[np.intp],
    poses: Poses,
    *,
    shapes: Mapping[str, Sequence[int]],
    voxel_spacing_angstrom: float,
    columns: Mapping[str, Sequence[object]],
    overwrite: bool = False,
) -> Path:
    """Write some rows of a particles file again, with other poses, for RELION 5.

    Every column and table of the file stays, apart from those that a pose replaces: coordinates in pixels
    become Å from the tomogram's centre, the angles of subtomograms are in the particle's, and offsets are 0.
    Where no table says how large the tomograms are, one is added.

    Parameters
    ----------
    path
        The output.
    particles
        What was read.
    rows
        (n,), which rows of the particle table are written, in this order.
    poses
        Of those rows, in their order.
    shapes
        (z, y, x) of the tomograms by name.
    voxel_spacing_angstrom
        Of the tomograms, in Å.
    columns
        More columns by name, n values each; those of the same name are replaced.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    name, table = _particle_table(particles)
    kept = {
        key: tuple(values[row] for row in rows)
        for key, values in table.columns.items()
        if key not in _REPLACED
    }
    names = [table.text("rlnTomoName")[row] for row in rows]
    centres = np.array([np.array(shapes[one]) * voxel_spacing_angstrom / 2 for one in names])
    centred = poses.positions_angstrom - centres.reshape(-1, 3)
    angles = to_zyz(poses.rotations)
    new: dict[str, tuple[str, ...]] = {}
    for index, axis in enumerate(_AXES):
        new[f"rlnCenteredCoordinate{axis}Angst"] = _numbers(centred[:, 2 - index])
    for index, angle in enumerate(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")):
        new[angle] = _numbers(angles[:, index])
    for axis in _AXES:
        new[f"rlnOrigin{axis}Angst"] = _numbers(np.zeros(len(rows)))
    for key, values in columns.items():
        new[key] = tuple(f"{v:.6f}" if isinstance(v, float) else str(v) for v in values)
    tables = {**particles.tables, name: StarTable({**kept, **new})}
    if not any("rlnTomoSizeX" in one for one in tables.values()):
        tables["tomograms"] = size_table(shapes, voxel_spacing_angstrom)
    return write_star(path, tables, comment="version 50001", overwrite=overwrite)


def _particle_table(particles: RelionParticles) -> tuple[str, StarTable]:
    """The table that the poses were read from: "particles", or else the first with coordinates."""
    held = {
        name: table
        for name, table in particles.tables.items()
        if any(
            f"{kind}{end}" in table
            for kind, end in (("rlnCoordinate", "X"), ("rlnCenteredCoordinate", "XAngst"))
        )
    }
    name = "particles" if "particles" in held else next(iter(held))
    return name, held[name]


def _numbers(values: NDArray[np.float64]) -> tuple[str, ...]:
    return tuple(f"{value:.8f}" for value in values)
