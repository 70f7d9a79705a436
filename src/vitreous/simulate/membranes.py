"""Lipid bilayers in volts: closed vesicles and curved sheets, as level sets of smooth functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf as erf_of
from scipy.special import eval_legendre

from vitreous.simulate.canvas import Canvas, Piece
from vitreous.simulate.helices import broadened

Array = NDArray[np.float32]
HEAD_DISTANCE_ANGSTROM = 38.0  # between the head-group peaks of a fluid bilayer
HEAD_SIGMA_ANGSTROM = 3.5
METHYL_SIGMA_ANGSTROM = 4.0
CHAINS_ANGSTROM = 28.0  # thickness of the hydrocarbon between them
HEAD_VOLT, METHYLENE_VOLT, METHYL_VOLT = 2.6, 1.6, -1.3
BIN_VOXELS = 0.25  # resolution at which free heights of a sheet are searched


@dataclass(frozen=True)
class Bilayer:
    """Profile of a fluid phospholipid bilayer across its thickness.

    A Gaussian for each layer of head groups, a constant for the chains' methylene and a Gaussian trough
    for their ends: the hybrid model of [nagle1989]_, averaged over a voxel. The heights are mean inner
    potentials against ice of 4.5 V, worked out from the composition of phosphatidylcholine, the distances
    and molecular volumes of [nagle2000]_ and the scattering of neutral atoms: about 7.3 V where the heads
    are (a quarter of that volume is water), 6.1 V in the methylene, 4.8 V in the middle.

    Parameters
    ----------
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    """

    voxel_spacing_angstrom: float

    @property
    def half_label_angstrom(self) -> float:
        """Distance from the middle, in Å, up to which a voxel belongs to the membrane."""
        return HEAD_DISTANCE_ANGSTROM / 2 + self._broadened(HEAD_SIGMA_ANGSTROM)

    @property
    def half_solid_angstrom(self) -> float:
        """Distance from the middle, in Å, up to which a membrane excludes others."""
        return HEAD_DISTANCE_ANGSTROM / 2 + 2.2 * self._broadened(HEAD_SIGMA_ANGSTROM)

    @property
    def half_width_angstrom(self) -> float:
        """Distance from the middle, in Å, beyond which there is nothing."""
        return HEAD_DISTANCE_ANGSTROM / 2 + 4 * self._broadened(HEAD_SIGMA_ANGSTROM)

    def density(self, distance_angstrom: Array) -> Array:
        """Contrast in volts at signed distances from the middle, in Å."""
        half = HEAD_DISTANCE_ANGSTROM / 2
        head, methyl = self._broadened(HEAD_SIGMA_ANGSTROM), self._broadened(METHYL_SIGMA_ANGSTROM)
        away = np.abs(distance_angstrom)
        # Heads and trough keep their integral when a voxel averages over them.
        heads = HEAD_VOLT * HEAD_SIGMA_ANGSTROM / head * np.exp(-0.5 * ((away - half) / head) ** 2)
        trough = METHYL_VOLT * METHYL_SIGMA_ANGSTROM / methyl * np.exp(-0.5 * (away / methyl) ** 2)
        chains = METHYLENE_VOLT * 0.5 * (1 - erf_of((away - CHAINS_ANGSTROM / 2) / (sqrt(2) * head)))
        total: Array = (heads + trough + chains).astype(np.float32)
        total[away > self.half_width_angstrom] = 0
        return total

    def piece(self, distance_angstrom: Array) -> Piece:
        """What lies at these distances, labelled across the whole thickness, chains included."""
        away = np.abs(distance_angstrom)
        return Piece(
            self.density(distance_angstrom),
            away <= self.half_label_angstrom,
            away <= self.half_solid_angstrom,
        )

    def _broadened(self, sigma_angstrom: float) -> float:
        return broadened(sigma_angstrom, self.voxel_spacing_angstrom)


def make_vesicle(
    bilayer: Bilayer, radius_angstrom: float, deformation: float, rng: np.random.Generator
) -> Piece:
    """A closed, slightly deformed membrane in a box of odd sides, its centre at side // 2.

    The radius in direction n is R·(1 + Σ aₖ·Pₗ(n·dₖ)): Legendre polynomials of degree 2 to 4 about random
    axes dₖ. Distances are taken along the gradient, right to first order in the deformation.

    Parameters
    ----------
    bilayer
        Profile across the membrane.
    radius_angstrom
        Mean radius R to the middle of the bilayer.
    deformation
        Root mean square deviation from R, relative to it.
    rng
        Draws axes and amplitudes.
    """
    spacing = bilayer.voxel_spacing_angstrom
    degrees = (2, 2, 3, 4)
    axes = rng.normal(size=(len(degrees), 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    # A Legendre polynomial of degree l has mean square 1 / (2l + 1) on the sphere.
    deviations = [sqrt((2 * degree + 1) / len(degrees)) for degree in degrees]
    amplitudes = np.clip(rng.normal(size=len(degrees)), -1.5, 1.5) * deformation * deviations
    reach = radius_angstrom * (1 + float(np.abs(amplitudes).sum())) + bilayer.half_width_angstrom
    half = ceil(reach / spacing) + 1
    grid = np.stack(np.meshgrid(*[np.arange(-half, half + 1) * spacing] * 3, indexing="ij"))
    away = np.linalg.norm(grid, axis=0)
    surface = np.ones_like(away)
    for axis, degree, amplitude in zip(axes, degrees, amplitudes, strict=True):
        cosine = np.tensordot(axis, grid, 1) / np.maximum(away, spacing / 2)
        surface += amplitude * eval_legendre(degree, np.clip(cosine, -1, 1))
    level = away - radius_angstrom * surface
    slope = np.sqrt(sum(np.square(g) for g in np.gradient(level, spacing)))
    piece = bilayer.piece((level / np.maximum(slope, 0.5)).astype(np.float32))
    return _trimmed(piece)


def _trimmed(piece: Piece) -> Piece:
    """Without the planes that are empty on both sides, so that the centre stays in the middle."""
    there = np.argwhere(piece.density != 0)
    half = np.array(piece.density.shape) // 2
    reach = np.abs(there - half).max(axis=0)
    cut = tuple(slice(h - r, h + r + 1) for h, r in zip(half, reach, strict=True))
    return Piece(piece.density[cut], piece.label[cut], piece.solid[cut])


@dataclass(frozen=True, eq=False)
class Sheet:
    """A wavy surface: height above a plane through the box's middle, a sum of three cosines.

    Parameters
    ----------
    normal, across
        Unit vectors (z, y, x): of the mean plane, and (2, 3) two that span it.
    waves_per_voxel
        (k, 2) wave vectors in the plane, radians per voxel.
    amplitudes_voxel, phases
        (k,) of the cosines.
    """

    normal: NDArray[np.float64]
    across: NDArray[np.float64]
    waves_per_voxel: NDArray[np.float64]
    amplitudes_voxel: NDArray[np.float64]
    phases: NDArray[np.float64]

    @classmethod
    def random(cls, shape: Sequence[int], slope: float, rng: np.random.Generator) -> Sheet:
        """Any orientation; wavelengths between half and twice the longest side; the slope asked for."""
        frame, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        lengths = max(shape) * rng.uniform(0.5, 2.0, size=3)
        angles = rng.uniform(0, pi, size=3)
        waves = 2 * pi / lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        # A cosine of amplitude A and wave vector q has a mean square slope of (A·q)² / 2.
        amplitudes = slope * sqrt(2 / 3) * lengths / (2 * pi)
        return cls(frame[0], frame[1:], waves, amplitudes, rng.uniform(0, 2 * pi, size=3))

    def heights(self, shape: Sequence[int], plane: int) -> tuple[Array, Array]:
        """Over one plane z of a box: height above the surface in voxels, and its change per voxel ≥ 1."""
        z, y, x = (np.float32(n / 2) for n in shape)
        rows = np.arange(shape[1], dtype=np.float32)[:, None] - y
        columns = np.arange(shape[2], dtype=np.float32)[None] - x

        def along(axis: NDArray[np.float64]) -> Array:
            depth, row, column = axis.astype(np.float32)
            line: Array = depth * (np.float32(plane) - z) + row * rows + column * columns
            return line

        u, v = along(self.across[0]), along(self.across[1])
        height = along(self.normal)
        slopes = np.zeros((2, *height.shape), np.float32)
        for wave, amplitude, phase in zip(
            self.waves_per_voxel.astype(np.float32), self.amplitudes_voxel, self.phases, strict=True
        ):
            angle = wave[0] * u + wave[1] * v + np.float32(phase)
            height -= np.float32(amplitude) * np.cos(angle)
            slopes += wave[:, None, None] * (np.float32(amplitude) * np.sin(angle))
        steepness: Array = np.sqrt(1 + (slopes**2).sum(axis=0))
        return height, steepness


def free_height(
    sheet: Sheet, occupied: NDArray[np.bool_], half_voxels: float, rng: np.random.Generator
) -> float | None:
    """Draw how far to shift a sheet along its normal so that it meets nothing; None if no shift is free.

    A voxel at height v where the height changes by s per voxel is met by shifts within v ± s·half.
    Every occupied voxel rules its interval out. Of what is left, shifts are drawn in proportion to the
    number of the box's voxels at that height; those that only cut a corner, with less than half of the
    largest section, are not wanted. One pass over the volume, exact to a quarter of a voxel.

    Parameters
    ----------
    sheet
        The surface.
    occupied
        (z, y, x); True is occupied.
    half_voxels
        Half of the sheet's solid thickness, in voxels.
    rng
        Draws the shift.
    """
    reach = int(np.linalg.norm(occupied.shape) + np.abs(sheet.amplitudes_voxel).sum() + 1)
    bins = int(2 * reach / BIN_VOXELS)
    area = np.zeros(bins, np.int64)
    ruled_out = np.zeros(bins + 1, np.int64)

    def bin_of(height: Array) -> NDArray[np.int64]:
        return np.asarray(np.clip((height + reach) / BIN_VOXELS, 0, bins - 1), np.int64)

    for plane, taken in enumerate(occupied):
        height, steepness = sheet.heights(occupied.shape, plane)
        area += np.bincount(bin_of(height).ravel(), minlength=bins)
        if taken.any():
            half = half_voxels * steepness[taken]
            ruled_out += np.bincount(bin_of(height[taken] - half), minlength=bins + 1)
            ruled_out -= np.bincount(bin_of(height[taken] + half) + 1, minlength=bins + 1)
    free = np.where((np.cumsum(ruled_out[:-1]) == 0) & (area >= area.max() / 2), area, 0)
    if not free.any():
        return None
    chosen = int(rng.choice(bins, p=free / free.sum()))
    return (chosen + 0.5) * BIN_VOXELS - reach


def lay_sheet(canvas: Canvas, sheet: Sheet, height_voxels: float, bilayer: Bilayer, instance: int) -> None:
    """Lay a sheet into the canvas, plane by plane, so that memory stays small."""
    for plane in range(canvas.shape[0]):
        height, steepness = sheet.heights(canvas.shape, plane)
        distance = (height - np.float32(height_voxels)) / steepness
        piece = bilayer.piece((distance * np.float32(bilayer.voxel_spacing_angstrom))[None])
        canvas.lay(piece, (plane, 0, 0), instance)
