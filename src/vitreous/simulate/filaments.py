"""Filaments through the box: a place where they meet nothing, and their density."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from vitreous.simulate.canvas import Canvas, Mask, Piece
from vitreous.simulate.free_space import find_free
from vitreous.simulate.helices import STEP_ANGSTROM, Axis, FilamentKind, Points, bead_positions, broadened

# Potential of protein in excess of the ice it displaces: a mean residue of 110 Da scatters with 22.6 Å
# (47.88 V·Å² each) and takes the place of 133 Å³ of ice at 4.53 V.
PROTEIN_VOLT_CUBIC_ANGSTROM_PER_DALTON = 4.4
PATHS_TRIED = 16  # random paths, each tested at every place, before a filament is given up
COARSE_SIDE = 64  # cells along the longest axis when a place for a filament is searched


def render_filament(
    kind: FilamentKind, axis: Axis, middle_voxel: Points, shape: Sequence[int], voxel_spacing_angstrom: float
) -> tuple[Piece, tuple[int, int, int]]:
    """The part of a filament that lies in a box.

    Parameters
    ----------
    kind, axis
        What, and along which line.
    middle_voxel
        (3,) where the axis' middle lies, zyx, in voxels.
    shape
        Of the box, (z, y, x).
    voxel_spacing_angstrom
        Edge of a voxel in Å.

    Returns
    -------
    The piece, which lies wholly in the box, and its corner.
    """
    positions, masses, sigmas = bead_positions(kind, axis)
    centres = middle_voxel + positions / voxel_spacing_angstrom
    reach = ceil(4 * broadened(float(sigmas.max()), voxel_spacing_angstrom) / voxel_spacing_angstrom) + 1
    near = ((centres > -reach) & (centres < np.array(shape) - 1 + reach)).all(axis=1)
    centres, masses, sigmas = centres[near], masses[near], sigmas[near]
    line = middle_voxel + axis.points_angstrom / voxel_spacing_angstrom
    low = np.clip(np.floor(centres.min(axis=0)).astype(int) - reach, 0, None)
    high = np.minimum(np.ceil(centres.max(axis=0)).astype(int) + reach + 1, shape)
    density = np.zeros(tuple(high - low), np.float32)
    amplitudes = masses * PROTEIN_VOLT_CUBIC_ANGSTROM_PER_DALTON / voxel_spacing_angstrom**3
    widths = np.hypot(sigmas, voxel_spacing_angstrom / sqrt(12)) / voxel_spacing_angstrom
    for centre, amplitude, width in zip(centres - low, amplitudes, widths, strict=True):
        _add_gaussian(density, centre, float(amplitude), float(width), reach)
    piece = Piece.of_density(density)
    lumen = kind.lumen_radius_angstrom / voxel_spacing_angstrom
    if lumen:
        _fill_tube(piece.solid, line - low, lumen)
    corner = int(low[0]), int(low[1]), int(low[2])
    return piece, corner


def place_filament(
    canvas: Canvas,
    kind: FilamentKind,
    class_label: int,
    rng: np.random.Generator,
    *,
    voxel_spacing_angstrom: float,
    max_elevation_deg: float = 15.0,
    gap_voxels: int = 0,
) -> bool:
    """Lay one filament through the box where it meets nothing; False if there is no room.

    Random paths are drawn; each is tried at all places of a grid of cells, with both the path and what is
    occupied rounded up to whole cells, so that a place found is truly free.
    """
    shape = canvas.shape
    cell = ceil(max(shape) / COARSE_SIDE)
    coarse = _coarsened(canvas.occupied, cell)
    radius = kind.radius_voxels(voxel_spacing_angstrom) + gap_voxels
    half_length = float(np.linalg.norm(shape)) * voxel_spacing_angstrom + 2 * STEP_ANGSTROM
    for trial in range(PATHS_TRIED):
        # At first the middle shall lie in the inner half of the box, so that none only cuts a corner.
        inner = 4 if trial < PATHS_TRIED // 2 else max(shape) + 1
        overhang = tuple(side - 1 - side // inner for side in coarse.shape)
        elevation = np.arcsin(rng.uniform(-1, 1) * np.sin(np.deg2rad(max_elevation_deg)))
        azimuth = rng.uniform(0, 2 * pi)
        in_plane = np.array([np.sin(azimuth), np.cos(azimuth)]) * np.cos(elevation)
        direction = np.array([np.sin(elevation), *in_plane])
        axis = Axis.random(half_length, kind.persistence_length_um, direction, rng)
        within_cell = rng.uniform(0, cell, size=3)
        line = within_cell + axis.points_angstrom / voxel_spacing_angstrom
        ball = radius + 0.5 * STEP_ANGSTROM / voxel_spacing_angstrom
        footprint = _cells_touched(line, ball, cell, coarse.shape)
        corner = find_free(coarse, footprint, rng, overhang=overhang)
        if corner is None:
            continue
        middle = cell * (np.array(corner) + np.array(coarse.shape) - 1) + within_cell
        if (middle > np.array(shape) - 1).any():  # in a cell that the box does not fill
            continue
        piece, start = render_filament(kind, axis, middle, shape, voxel_spacing_angstrom)
        canvas.lay(piece, start, canvas.begin(class_label))
        return True
    return False


def _coarsened(occupied: Mask, cell: int) -> Mask:
    """True where any voxel of a cell is occupied."""
    padded = np.pad(occupied, [(0, -side % cell) for side in occupied.shape])
    z, y, x = (side // cell for side in padded.shape)
    return np.asarray(padded.reshape(z, cell, y, cell, x, cell).any(axis=(1, 3, 5)))


def _cells_touched(line_voxel: Points, radius_voxels: float, cell: int, shape: Sequence[int]) -> Mask:
    """Cells, from -(side - 1) to side - 1 along each axis, that come near the line; at least those."""
    touched = np.zeros(tuple(2 * side - 1 for side in shape), bool)
    origin = np.array(shape) - 1
    lows = np.floor((line_voxel - radius_voxels) / cell).astype(int) + origin
    highs = np.floor((line_voxel + radius_voxels) / cell).astype(int) + origin + 1
    for low, high in zip(lows.clip(0), highs.clip(0), strict=True):
        touched[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = True
    return touched


def _add_gaussian(
    density: NDArray[np.float32], centre: Points, integral: float, width: float, reach: int
) -> None:
    """Add a Gaussian of a given integral and width, in voxels, cut at `reach` and at the box."""
    lows = np.clip(np.round(centre).astype(int) - reach, 0, None)
    highs = np.clip(np.round(centre).astype(int) + reach + 1, 0, density.shape)
    z, y, x = (
        np.exp(-0.5 * ((np.arange(low, high) - c) / width) ** 2)
        for low, high, c in zip(lows, highs, centre, strict=True)
    )
    peak = integral / (sqrt(2 * pi) * width) ** 3
    block = tuple(slice(low, high) for low, high in zip(lows, highs, strict=True))
    density[block] += (peak * z[:, None, None] * y[:, None] * x).astype(np.float32)


def _fill_tube(mask: Mask, line_voxel: Points, radius_voxels: float) -> None:
    """Mark everything closer to a line than the radius, in place."""
    step_voxels = float(np.linalg.norm(line_voxel[1] - line_voxel[0]))
    spots = np.arange(0, len(line_voxel) - 1, 1 / step_voxels)
    whole = spots.astype(int)
    part = (spots - whole)[:, None]
    for centre in line_voxel[whole] * (1 - part) + line_voxel[whole + 1] * part:
        lows = np.clip(np.ceil(centre - radius_voxels).astype(int), 0, None)
        highs = np.minimum(np.floor(centre + radius_voxels).astype(int) + 1, mask.shape)
        if (highs > lows).all():
            z, y, x = (np.arange(low, high) - c for low, high, c in zip(lows, highs, centre, strict=True))
            inside: Mask = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius_voxels**2
            mask[lows[0] : highs[0], lows[1] : highs[1], lows[2] : highs[2]] |= inside
