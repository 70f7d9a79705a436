"""A particles file with new poses: whatever else it says stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.io.euler import to_zyz
from vitreous.io.relion import RelionParticles
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
    rotations: NDArray[np.float64],
    centred_angstrom: NDArray[np.float64],
    *,
    columns: Mapping[str, Sequence[object]],
    overwrite: bool = False,
) -> Path:
    """Write some rows of a particles file again, with other poses, for RELION 5.

    Every column and table of the file stays, apart from those that a pose replaces: coordinates in pixels
    become Å from the tomogram's centre, the angles of subtomograms are in the particle's, and offsets are 0.

    Parameters
    ----------
    path
        The output.
    particles
        What was read.
    rows
        (n,), which rows of the particle table are written, in this order.
    rotations
        (n, 3, 3), particle → tomogram, act on (z, y, x) columns.
    centred_angstrom
        (n, 3), zyx, in Å from the centre of the particle's tomogram.
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
    angles = to_zyz(rotations)
    new: dict[str, tuple[str, ...]] = {}
    for index, axis in enumerate(_AXES):
        new[f"rlnCenteredCoordinate{axis}Angst"] = _numbers(centred_angstrom[:, 2 - index])
    for index, angle in enumerate(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")):
        new[angle] = _numbers(angles[:, index])
    for axis in _AXES:
        new[f"rlnOrigin{axis}Angst"] = _numbers(np.zeros(len(rows)))
    for key, values in columns.items():
        new[key] = tuple(f"{v:.6f}" if isinstance(v, float) else str(v) for v in values)
    tables = {**particles.tables, name: StarTable({**kept, **new})}
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
