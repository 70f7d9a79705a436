"""Particles in RELION's STAR files of versions 4 and 5, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.poses import Poses
from vitreous.io.euler import from_zyz
from vitreous.io.star import StarTable, read_star

Size = tuple[float, float, float]

NAME, INSTANCE = "vitreousStructureName", "vitreousInstance"
SCORE = "rlnAutopickFigureOfMerit"
CENTERED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
COORDINATE = tuple(f"rlnCoordinate{axis}" for axis in "XYZ")
ORIGIN = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
SUBTOMOGRAM_ANGLES = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
PIXEL = "rlnTomoTiltSeriesPixelSize"
SIDES = tuple(f"rlnTomoSize{axis}" for axis in "ZYX")
IMAGE_PIXEL, GROUP = "rlnImagePixelSize", "rlnOpticsGroup"
# So many particles do not all lie in one corner, within this share of each side, by chance, if with the other
# pixel they span this share of two sides.
_GIVE_PIXEL = "give their pixel in Å (average --coordinate-pixel, evaluate pick --voxel-size)"
_FEWEST, _CORNER, _FILLED = 5, 0.25, 0.5


@dataclass(frozen=True, eq=False)
class RelionParticles:
    """What a particles STAR file says.

    Parameters
    ----------
    poses
        By the name of the tomogram, in the order of the file.
    rows
        For each tomogram, which rows of the particle table they are.
    tables
        All tables of the file with all their columns; `write_star` writes them back.
    notes
        What had to be concluded or assumed, as sentences for people.
    scores
        (n,) of the particles of each tomogram, as `rlnAutopickFigureOfMerit` has them; empty without it.
    """

    poses: Mapping[str, Poses]
    rows: Mapping[str, NDArray[np.intp]]
    tables: Mapping[str, StarTable]
    notes: tuple[str, ...] = ()
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def read_tomogram_sizes(path: str | Path) -> dict[str, Size]:
    """Sides (z, y, x) in Å of the tomograms of a RELION `tomograms.star`, by name.

    Raises
    ------
    InputError
        If the file is no STAR file or has no table with names, sizes and pixel sizes.
    """
    return _sizes(_find(read_star(path), Path(path), "a table of tomograms", ("rlnTomoName", SIDES[0])))


def read_particle_tomograms(path: str | Path) -> list[str]:
    """Names of the tomograms that a RELION particles file has particles of, in the order of the file.

    Raises
    ------
    InputError
        If the file holds no particle table, or one without names or coordinates.
    """
    file = Path(path)
    return list(dict.fromkeys(_particle_table(file, read_star(file)).text("rlnTomoName")))


def read_relion_particles(
    path: str | Path,
    *,
    sizes_angstrom: Mapping[str, Size] | None = None,
    coordinate_pixel_angstrom: float | None = None,
    tomogram: str | None = None,
) -> RelionParticles:
    """Poses of a RELION 4 or 5 particles file (also Warp's exports), tomogram by tomogram.

    Rotations are A_sub · A_particle, from the subtomogram's and the particle's own angles; the offsets in
    `rlnOriginX/Y/ZAngst` are applied once: position = coordinate - A_sub · origin [zivanov].

    RELION 5 counts Å from the centre, so that the tomogram's size is needed. RELION 4 counts pixels,
    by rights of the unbinned tilt series, though Warp also exports others. Unless
    `coordinate_pixel_angstrom` settles it, each particle has the pixel of its own optics group's tilt
    series. That of the extracted images is taken instead if the former puts particles outside their
    tomograms, or several all into one corner, where with the other they span half of it along two axes. It is
    stated in `notes`.

    Parameters
    ----------
    path
        The file.
    sizes_angstrom
        Sides (z, y, x) of the tomograms by name, in Å, such as `read_tomogram_sizes` gives; they come before
        what the file itself may say.
    coordinate_pixel_angstrom
        The pixel of `rlnCoordinateX/Y/Z` in Å.
    tomogram
        Read the particles of this one alone; all if None.

    Raises
    ------
    InputError
        If the file holds no particle table, lacks a column, needs a size that is not given, or has
        coordinates of which the pixel cannot be told.
    """
    file, tables = Path(path), read_star(path)
    table = _particle_table(file, tables)
    stated = (_sizes(t) for t in tables.values() if t is not table and SIDES[0] in t)
    sizes = {name: size for known in (*stated, sizes_angstrom or {}) for name, size in known.items()}
    notes: list[str] = []
    turns, subtomogram_turns = _rotations(table, notes)
    offsets = np.zeros((len(table), 3))
    if any(name in table for name in ORIGIN):
        offsets = np.einsum("nij,nj->ni", subtomogram_turns, table.numbers(*ORIGIN)[:, ::-1])
    names = np.array(table.text("rlnTomoName"), object)
    wanted = dict.fromkeys(names) if tomogram is None else (tomogram,)
    rows = {name: np.flatnonzero(names == name) for name in wanted}
    if all(column in table for column in CENTERED):
        positions = _from_centre(file, table, rows, sizes)
    else:
        if coordinate_pixel_angstrom is not None:
            pixels = np.full(len(table), coordinate_pixel_angstrom)
        else:
            pixels = _coordinate_pixels(file, tables, table, rows, sizes)
        if len(table):
            notes.append(f"coordinates taken to be in pixels of {_listed(pixels)} Å")
        positions = table.numbers(*COORDINATE)[:, ::-1] * pixels[:, None]
    kinds = table.text(NAME) if NAME in table else ("particle",) * len(table)
    poses = {}
    for name, index in rows.items():
        labels = table.numbers(INSTANCE)[index, 0] if INSTANCE in table else np.arange(1, len(index) + 1)
        structures = tuple(kinds[i] for i in index)
        poses[name] = Poses(
            turns[index], (positions - offsets)[index], structures, np.asarray(labels, np.int32)
        )
    merits = table.numbers(SCORE)[:, 0] if SCORE in table else None
    scores = {} if merits is None else {name: merits[index] for name, index in rows.items()}
    return RelionParticles(poses, rows, tables, tuple(notes), scores)


def _sizes(table: StarTable) -> dict[str, Size]:
    angstrom = table.numbers(*SIDES) * table.numbers(PIXEL)
    return {name: _triple(size) for name, size in zip(table.text("rlnTomoName"), angstrom, strict=True)}


def _triple(values: NDArray[np.float64]) -> Size:
    z, y, x = (float(value) for value in values)
    return z, y, x


def _find(tables: Mapping[str, StarTable], file: Path, what: str, columns: Sequence[str]) -> StarTable:
    for table in tables.values():
        if all(column in table for column in columns):
            return table
    raise InputError(
        f"holds no {what.removeprefix('a ')} ({' and '.join(columns)})", path=file, remedy=f"give {what}"
    )


def _particle_table(file: Path, tables: Mapping[str, StarTable]) -> StarTable:
    """The table named "particles", or else the first that has coordinates."""
    table = tables.get("particles")
    if table is None or not table.columns:
        held = [t for t in tables.values() if CENTERED[0] in t or COORDINATE[0] in t]
        if not held:
            raise InputError("holds no table of particles", path=file, remedy="give a particles.star")
        table = held[0]
    table.text("rlnTomoName")
    if not any(all(column in table for column in columns) for columns in (CENTERED, COORDINATE)):
        missing = CENTERED if any(column in table for column in CENTERED) else COORDINATE
        table.numbers(*missing)
    return table


def _rotations(table: StarTable, notes: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations of the particles, and of the subtomograms they were extracted in."""
    turns: list[NDArray[np.float64]] = []
    for columns in (ANGLES, SUBTOMOGRAM_ANGLES):
        there = any(column in table for column in columns)
        turns.append(from_zyz(table.numbers(*columns)) if there else np.tile(np.eye(3), (len(table), 1, 1)))
        if not there and columns is ANGLES:
            notes.append("the file has no angles; particles are taken as not rotated")
    particle, subtomogram = turns
    return subtomogram @ particle, subtomogram


def _from_centre(
    file: Path, table: StarTable, rows: Mapping[str, NDArray[np.intp]], sizes: Mapping[str, Size]
) -> NDArray[np.float64]:
    positions = table.numbers(*CENTERED)[:, ::-1].copy()
    for name, index in rows.items():
        if name not in sizes:
            raise InputError(
                f"coordinates count from the centre of {name}, whose size is not known",
                path=file,
                remedy="give a tomograms.star that holds it (--tomograms) or, to average, the tomogram",
            )
        positions[index] += np.asarray(sizes[name]) / 2
    return positions


def _coordinate_pixels(
    file: Path,
    tables: Mapping[str, StarTable],
    table: StarTable,
    rows: Mapping[str, NDArray[np.intp]],
    sizes: Mapping[str, Size],
) -> NDArray[np.float64]:
    """The pixel (n,) in Å of each particle's coordinates: of its tilt series, or as its image has it."""
    stated = [_pixels_of(tables, table, column) for column in (PIXEL, IMAGE_PIXEL)]
    found = [pixels for pixels in stated if pixels is not None]
    if not found:
        remedy = f"{_GIVE_PIXEL}, or write {PIXEL} into its optics"
        raise InputError("does not say in which pixels the coordinates are", path=file, remedy=remedy)
    series, images = found[0], found[-1]
    if np.allclose(series, images, rtol=1e-4):
        return series
    spreads = [_spread(table, pixels, rows, sizes) for pixels in found]
    fitting = [pixels for pixels, (reach, _) in zip(found, spreads, strict=True) if (reach <= 1).all()]
    if len(fitting) == 1:
        return fitting[0]
    (corner, _), (_, span) = spreads
    count = sum(len(index) for name, index in rows.items() if name in sizes)
    huddled = count >= _FEWEST and (corner <= _CORNER).all()
    if fitting and huddled and np.sum(span >= _FILLED) >= 2:
        return images
    listed = " or ".join(_listed(pixels) for pixels in found)
    text = f"coordinates could be in pixels of {listed} Å"
    if not fitting:
        text = f"with pixels of {listed} Å particles lie outside their tomograms"
    remedy = f"{_GIVE_PIXEL}, or take the wrong one of {PIXEL} and {IMAGE_PIXEL} out"
    raise InputError(text, path=file, remedy=remedy)


def _pixels_of(tables: Mapping[str, StarTable], table: StarTable, column: str) -> NDArray[np.float64] | None:
    """What a column says of each particle (n,): in its row, of its optics group or of its tomogram."""
    if column in table:
        return table.numbers(column)[:, 0]
    others = [one for one in tables.values() if column in one]
    for key in (GROUP, "rlnTomoName"):
        for other in others:
            if key in other and key in table:
                known = dict(zip(other.text(key), other.numbers(column)[:, 0], strict=True))
                if all(own in known for own in table.text(key)):
                    return np.array([known[own] for own in table.text(key)], np.float64)
    values = {float(value) for other in others for value in other.numbers(column)[:, 0]}
    return np.full(len(table), values.pop()) if len(values) == 1 else None


def _spread(
    table: StarTable,
    pixels: NDArray[np.float64],
    rows: Mapping[str, NDArray[np.intp]],
    sizes: Mapping[str, Size],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far from the corner particles reach, and how much of it they span: shares of (z, y, x) sides.

    The largest of all tomograms of known size; 0 without any.
    """
    positions = table.numbers(*COORDINATE)[:, ::-1] * pixels[:, None]
    shares = [positions[index] / sizes[name] for name, index in rows.items() if name in sizes and len(index)]
    reach = [share.max(axis=0) for share in shares]
    span = [np.ptp(share, axis=0) for share in shares]
    nothing = np.zeros((1, 3))
    return np.max([*reach, *nothing], axis=0), np.max([*span, *nothing], axis=0)


def _listed(pixels: NDArray[np.float64]) -> str:
    """Different pixels in words."""
    return " and ".join(f"{pixel:.4g}" for pixel in np.unique(np.round(pixels, 4)))
