"""Helical filaments as beads: what actin and microtubules consist of, and where along a curved axis."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
STEP_ANGSTROM = 20.0  # between points of an axis


@dataclass(frozen=True)
class Bead:
    """A part of a subunit, in cylinder coordinates about the filament's axis."""

    radius_angstrom: float
    angle_deg: float
    axial_angstrom: float
    mass_dalton: float
    sigma_angstrom: float


@dataclass(frozen=True)
class FilamentKind:
    """A helical filament.

    Angles turn right-handed about the direction in which the filament runs.

    Parameters
    ----------
    name
        Its class name.
    rise_angstrom, twist_deg
        From one subunit to the next along a strand.
    beads
        One subunit.
    strands, strand_rise_angstrom, strand_twist_deg
        Number of strands, and the step from one to the next.
    alternation
        Every second subunit of a strand is heavier, the others lighter, by this share.
    lumen_radius_angstrom
        Radius of an inner channel that is kept free of other things; 0 for none.
    persistence_length_um
        How stiff it is; the tangents' correlation falls to 1/e over this length.
    """

    name: str
    rise_angstrom: float
    twist_deg: float
    beads: tuple[Bead, ...]
    strands: int = 1
    strand_rise_angstrom: float = 0.0
    strand_twist_deg: float = 0.0
    alternation: float = 0.0
    lumen_radius_angstrom: float = 0.0
    persistence_length_um: float = 10.0

    def radius_voxels(self, voxel_spacing_angstrom: float) -> float:
        """Distance from the axis, in voxels, beyond which nothing is solid."""
        reach = max(
            b.radius_angstrom + 3.5 * broadened(b.sigma_angstrom, voxel_spacing_angstrom) for b in self.beads
        )
        return reach / voxel_spacing_angstrom + 1


ACTIN = FilamentKind(
    "actin",
    rise_angstrom=27.5,
    twist_deg=-166.6,
    beads=(
        Bead(26, 18, -8, 14_500, 10),
        Bead(25, 35, 18, 5_000, 8),
        Bead(9, -15, -12, 12_500, 10),
        Bead(11, -40, 14, 10_000, 10),
    ),
    persistence_length_um=10.0,
)
"""One left-handed genetic helix, so that the two strands wind right-handed about each other [chou2019]_.

The beads stand for the subdomains 1 to 4 of 42 kDa; their places are approximate.
"""

MICROTUBULE = FilamentKind(
    "microtubule",
    rise_angstrom=41.0,
    twist_deg=0.0,
    beads=(
        Bead(96, -7, -7, 12_500, 11),
        Bead(96, 7, 7, 12_500, 11),
        Bead(120, -6, 7, 12_500, 11),
        Bead(120, 6, -7, 12_500, 11),
    ),
    strands=13,
    strand_rise_angstrom=3 * 41.0 / 13,
    strand_twist_deg=-360 / 13,
    alternation=0.1,
    lumen_radius_angstrom=75.0,
    persistence_length_um=1000.0,
)
"""Thirteen protofilaments on a left-handed three-start helix of monomers, B lattice with a seam [zhang2015]_.

Alpha and beta tubulin, 50 kDa each, differ a little in weight so that the 8 nm repeat exists.
"""


@dataclass(frozen=True, eq=False)
class Axis:
    """A curved line with a frame that does not twist along it, all (n, 3), zyx.

    Parameters
    ----------
    arc_angstrom
        (n,) position along the line; 0 in the middle.
    points_angstrom
        The line; its middle is the origin.
    tangents, normals
        Orthogonal unit vectors; the normals are carried along without twist.
    """

    arc_angstrom: Points
    points_angstrom: Points
    tangents: Points
    normals: Points

    @classmethod
    def random(
        cls, half_length_angstrom: float, persistence_um: float, direction: Points, rng: np.random.Generator
    ) -> Axis:
        """A worm-like chain that runs through the origin along `direction`, to both sides."""
        steps = ceil(half_length_angstrom / STEP_ANGSTROM)
        # Each bend has two components of variance step / persistence length.
        bends = rng.normal(size=(2 * steps, 2)) * sqrt(STEP_ANGSTROM / (persistence_um * 1e4))
        start = direction / np.linalg.norm(direction)
        normal = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
        normal /= np.linalg.norm(normal)
        halves = [_chain(sign * start, normal, bends[sign > 0 :: 2]) for sign in (-1, 1)]
        (back_points, back_tangents, back_normals), (points, tangents, normals) = halves
        return cls(
            STEP_ANGSTROM * np.arange(-steps, steps + 1, dtype=np.float64),
            np.concatenate([back_points[:0:-1], points]),
            np.concatenate([-back_tangents[:0:-1], tangents]),
            np.concatenate([back_normals[:0:-1], normals]),
        )

    def at(self, arc_angstrom: Points, angle_rad: Points, radius_angstrom: Points) -> Points:
        """Points (n, 3) in cylinder coordinates about the line, in Å, zyx."""
        point, tangent, normal = (
            np.stack([np.interp(arc_angstrom, self.arc_angstrom, column) for column in values.T], axis=1)
            for values in (self.points_angstrom, self.tangents, self.normals)
        )
        # normal × binormal = tangent must hold in xyz, and reversing the axes turns a cross product round.
        binormal = np.cross(normal, tangent)
        outwards = np.cos(angle_rad)[:, None] * normal + np.sin(angle_rad)[:, None] * binormal
        return np.asarray(point + radius_angstrom[:, None] * outwards)


def _chain(tangent: Points, normal: Points, bends: Points) -> tuple[Points, Points, Points]:
    """Points, tangents and normals of a chain from the origin, one more than there are bends."""
    point = np.zeros(3)
    points, tangents, normals = [point], [tangent], [normal]
    for bend in bends:
        tangent = tangent + bend[0] * normal + bend[1] * np.cross(normal, tangent)
        tangent = tangent / np.linalg.norm(tangent)
        normal = normal - (normal @ tangent) * tangent
        normal = normal / np.linalg.norm(normal)
        point = point + STEP_ANGSTROM * tangent
        points.append(point)
        tangents.append(tangent)
        normals.append(normal)
    return np.array(points), np.array(tangents), np.array(normals)


def bead_positions(kind: FilamentKind, axis: Axis) -> tuple[Points, Points, Points]:
    """All beads of a filament along an axis.

    Returns
    -------
    Positions (n, 3) in Å, zyx, from the axis' middle; masses (n,) in dalton; widths sigma (n,) in Å.
    """
    first, last = axis.arc_angstrom[[0, -1]] / kind.rise_angstrom
    number, strand = np.meshgrid(np.arange(ceil(first), int(last) + 1), np.arange(kind.strands))
    arc = number * kind.rise_angstrom + strand * kind.strand_rise_angstrom
    angle = np.deg2rad(number * kind.twist_deg + strand * kind.strand_twist_deg)
    share = 1 + kind.alternation * (2 * (number % 2) - 1)
    positions = [
        axis.at(
            (arc + bead.axial_angstrom).ravel(),
            (angle + np.deg2rad(bead.angle_deg)).ravel(),
            np.full(arc.size, bead.radius_angstrom),
        )
        for bead in kind.beads
    ]
    masses = np.concatenate([bead.mass_dalton * share.ravel() for bead in kind.beads])
    sigmas = np.concatenate([np.full(arc.size, bead.sigma_angstrom) for bead in kind.beads])
    return np.concatenate(positions), masses, sigmas


def broadened(sigma_angstrom: float, voxel_spacing_angstrom: float) -> float:
    """A Gaussian's sigma in Å after averaging over a voxel, whose variance is spacing² / 12."""
    return sqrt(sigma_angstrom**2 + voxel_spacing_angstrom**2 / 12)
