"""Bead models of well-known complexes, from published mass, symmetry and dimensions; no files needed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from vitreous.core import InputError, Template
from vitreous.simulate.architectures import Lobe
from vitreous.simulate.complexes import COMPLEXES, Complex
from vitreous.simulate.potential import template_from_gaussians

PREFIX = "phantom:"
CONTRAST_PER_KDA = 4000.0  # V Å³ against ice, of protein and of RNA alike; what `template_from_atoms` gives
_VOLUME_PER_KDA = 1550.0  # Å³; 1210 of the protein itself, the rest are clefts: as bright inside as atoms are
_BEAD_KDA = 0.5  # four to five residues
_BEAD_SIGMA = 4.0  # Å; about half the distance of neighbouring beads, so that the inside is even
_POINTS = 60_000  # that fill a complex; beads are the means of their nearest points
_EVENING_ROUNDS = 1  # leaves the inside as uneven as that of atomic models at 10 Å: 13 to 17 %

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BeadModel:
    """Equally wide Gaussian beads that stand for a structure.

    Parameters
    ----------
    name
        What it is called, such as "phantom:rubisco".
    positions_angstrom
        (n, 3), zyx, in Å; symmetry axes pass through the origin, the main one along z.
    potentials
        (n,) integrated contrast of each bead in V Å³.
    sigma_angstrom
        Standard deviation of the beads in Å.
    symmetry
        Point group under which the beads are mapped onto each other.
    """

    name: str
    positions_angstrom: Array
    potentials: Array
    sigma_angstrom: float
    symmetry: str


def phantom_names() -> tuple[str, ...]:
    """Names of all phantoms, such as "phantom:ribosome", without their aliases."""
    return tuple(PREFIX + row.name for row in COMPLEXES)


def find_complex(name: str) -> Complex:
    """The row of a phantom, by its name or an alias, with or without "phantom:", in either case.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> find_complex("phantom:1bxn").title
    'RuBisCO, L8S8'
    """
    wanted = name.strip().lower().removeprefix(PREFIX)
    for row in COMPLEXES:
        if wanted == row.name or wanted in row.aliases:
            return row
    known = ", ".join(row.name for row in COMPLEXES)
    raise InputError(f"there is no phantom {wanted!r}", remedy=f"choose one of {known}")


def bead_model(name: str) -> BeadModel:
    """Beads of a well-known complex: the same ones every time.

    The domains of its asymmetric unit grow together until all copies hold the volume of the mass,
    1.55 Å³/Da. The asymmetric unit is filled with beads of 0.5 kDa, drawn at random, evened out,
    and repeated by the symmetry operations.

    Parameters
    ----------
    name
        Such as "phantom:rubisco" or "phantom:1bxn".

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> beads = bead_model("phantom:apoferritin")
    >>> beads.symmetry, len(beads.positions_angstrom) % 24
    ('O', 0)
    """
    return _bead_model(find_complex(name).name)


@lru_cache(maxsize=64)
def _bead_model(name: str) -> BeadModel:
    row = find_complex(name)
    operations = symmetry_rotations(row.symmetry)
    rng = np.random.default_rng(zlib.crc32(row.name.encode()))
    points = _asymmetric_unit(row, operations, rng)
    beads = _evened(points, max(1, round(row.mass_kda / _BEAD_KDA / len(operations))), rng)
    positions = np.concatenate([beads @ operation.T for operation in operations])
    potentials = np.full(len(positions), CONTRAST_PER_KDA * row.mass_kda / len(positions))
    return BeadModel(PREFIX + row.name, positions, potentials, _BEAD_SIGMA, row.symmetry)


def template_from_beads(model: BeadModel, voxel_spacing_angstrom: float) -> Template:
    """Potential of a bead model against ice, in volts.

    Parameters
    ----------
    model
        Such as `bead_model` gives.
    voxel_spacing_angstrom
        Of the template.
    """
    return template_from_gaussians(
        model.name, model.positions_angstrom, model.potentials, model.sigma_angstrom, voxel_spacing_angstrom
    )


def symmetry_rotations(symbol: str) -> Array:
    """Rotations of a point group, (n, 3, 3), acting on (z, y, x) columns, the identity first.

    Parameters
    ----------
    symbol
        "C1", "C2" …, "D2" … (the main axis is z), "T", "O" or "I" (two- or fourfold axes along z, y and x).

    Examples
    --------
    >>> symmetry_rotations("D4").shape
    (8, 3, 3)
    """
    group = Rotation.create_group(symbol, axis="Z")
    matrices: Array = group[np.argsort(group.magnitude(), kind="stable")].as_matrix()  # identity first
    return np.ascontiguousarray(matrices[:, ::-1, ::-1])  # scipy's act on (x, y, z) columns


def _asymmetric_unit(row: Complex, operations: Array, rng: np.random.Generator) -> Array:
    """Random points (n, 3) of the complex that belong to the first copy of its lobes."""
    volume = row.mass_kda * _VOLUME_PER_KDA
    reach = max(
        abs(np.array([lobe.height, lobe.radius])).max() + 2 * max(lobe.semi_axes) for lobe in row.lobes
    )
    spacing = (volume / _POINTS) ** (1 / 3)
    axis = np.arange(-reach, reach + spacing, spacing)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = (grid + rng.uniform(-0.5, 0.5, grid.shape) * spacing).astype(np.float32)
    first = _size_reached(grid, row.lobes, operations[0])
    smallest = first.copy()
    for operation in operations[1:]:
        np.minimum(smallest, _size_reached(grid, row.lobes, operation), out=smallest)
    count = round(volume / spacing**3)
    largest = np.partition(smallest, count)[count]
    inside: Array = grid[(smallest < largest) & (first == smallest)].astype(np.float64)
    return inside


def _size_reached(
    points: NDArray[np.float32], lobes: tuple[Lobe, ...], operation: Array
) -> NDArray[np.float32]:
    """For each point, the factor by which the nearest lobe would have to grow to reach it."""
    nearest = np.full(len(points), np.inf, np.float32)
    for lobe in lobes:
        azimuth, lean = np.deg2rad([lobe.azimuth_deg, lobe.lean_deg])
        axial = np.array([1.0, 0.0, 0.0])
        radial = np.array([0.0, np.sin(azimuth), np.cos(azimuth)])
        tangential = np.array([0.0, np.cos(azimuth), -np.sin(azimuth)])
        frame = np.stack(
            [
                np.cos(lean) * axial - np.sin(lean) * tangential,
                radial,
                np.cos(lean) * tangential + np.sin(lean) * axial,
            ]
        )
        centre = operation @ (lobe.height * axial + lobe.radius * radial)
        scaled = (frame / np.array(lobe.semi_axes)[:, None]) @ operation.T
        offsets = (points - centre.astype(np.float32)) @ scaled.T.astype(np.float32)
        np.minimum(nearest, np.sqrt((offsets**2).sum(axis=1)), out=nearest)
    return nearest


def _evened(points: Array, count: int, rng: np.random.Generator) -> Array:
    """`count` beads among the points, each moved to the mean of its nearest points a few times."""
    beads = points[rng.choice(len(points), count, replace=False)]
    for _ in range(_EVENING_ROUNDS):
        owner = cKDTree(beads).query(points)[1]
        owned = np.bincount(owner, minlength=count)
        sums = np.stack([np.bincount(owner, points[:, axis], count) for axis in range(3)], axis=1)
        beads = np.where(owned[:, None] > 0, sums / np.maximum(owned, 1)[:, None], beads)
    return beads
