"""The layer that holds the specimen: how thick it is and how it lies in the volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous.metrics.polarity import matter_band

WIDER = 1.6  # of the two Gaussians of the band: a wider one reaches far beyond the faces
STRONGEST = 25.0  # times the median: power beyond is cut off, so that gold does not decide
COLUMN = 32  # voxels along y and x, over which power is averaged
RISEN = 0.25  # of the way from outside to inside: there is a face
SOFT = (0.12, 0.45)  # the same, for how sharp it is
QUIET, FULL = 0.1, 0.8  # quantiles of the profile that count as outside and inside
HIGHEST = 0.95  # likewise, of a column
EDGE = 2  # planes next to the faces of the volume are not looked at
LEAST_RATIO = 1.5  # of power inside to outside: below it no layer is seen
LEAST_PLANES = 16
STEEPEST_DEG = 30.0

Array = NDArray[np.float32]
Real = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """Where the specimen is, as a layer between two planes.

    Parameters
    ----------
    thickness_angstrom, uncertainty_angstrom
        Across it along z, and how softly its faces show.
    faces_angstrom
        Where it begins and ends along z in the middle of the volume, from the first voxel.
    slopes_deg
        How it rises along y and along x.
    slope_uncertainty_deg
        One standard error of either.
    contrast
        Power of matter inside over that outside.
    """

    thickness_angstrom: float
    uncertainty_angstrom: float
    faces_angstrom: tuple[float, float]
    slopes_deg: tuple[float, float]
    slope_uncertainty_deg: float
    contrast: float


def measure_layer(
    volume: Array, voxel_spacing_angstrom: float, leave_out: NDArray[np.bool_] | None = None
) -> Layer | None:
    """Find the layer by where structures of a particle's size have power.

    Parameters
    ----------
    volume
        (z, y, x), standardized.
    voxel_spacing_angstrom
        Edge of its voxels.
    leave_out
        (z, y, x): gold and what was cut out.

    Returns
    -------
    None if power does not fall off towards the faces along z: the specimen fills the volume, or noise hides
    it.
    """
    if volume.shape[0] < LEAST_PLANES:
        return None
    band, sigma = matter_band(volume, voxel_spacing_angstrom, leave_out, WIDER)
    power = np.square(band, out=band)
    np.minimum(power, STRONGEST * np.median(power), out=power)
    columns, places = column_profiles(power)
    slopes, error = fitted_slopes(columns, places)
    profile = levelled(columns, places @ slopes)
    profile = ndi.gaussian_filter1d(profile, 1.0)[EDGE:-EDGE]
    outside, inside = np.quantile(profile, [QUIET, FULL])
    if inside <= max(0.0, LEAST_RATIO * outside):
        return None
    rise = (profile - outside) / (inside - outside)
    found = faces(rise, RISEN)
    if found is None:
        return None
    soft = [faces(rise, level) or found for level in SOFT]
    sharpness = (abs(soft[0][0] - soft[1][0]) + abs(soft[0][1] - soft[1][1])) / 4
    low, high = ((face + EDGE) * voxel_spacing_angstrom for face in found)
    degrees = np.rad2deg(np.arctan(slopes))
    return Layer(
        high - low,
        2 * float(np.hypot(sharpness, sigma)) * voxel_spacing_angstrom,
        (low, high),
        (float(degrees[0]), float(degrees[1])),
        float(np.rad2deg(error)),
        float(inside / max(outside, 1e-12)),
    )


def column_profiles(power: Array) -> tuple[Real, Real]:
    """Mean power along z of columns (n, z), and their places (n, 2), yx, from the middle in voxels."""
    counts = [max(1, side // COLUMN) for side in power.shape[1:]]
    columns, places = [], []
    edges = [np.linspace(0, side, n + 1).astype(int) for side, n in zip(power.shape[1:], counts, strict=True)]
    for y0, y1 in zip(edges[0][:-1], edges[0][1:], strict=True):
        for x0, x1 in zip(edges[1][:-1], edges[1][1:], strict=True):
            columns.append(power[:, y0:y1, x0:x1].mean(axis=(1, 2), dtype=np.float64))
            places.append(((y0 + y1 - power.shape[1]) / 2, (x0 + x1 - power.shape[2]) / 2))
    return np.array(columns), np.array(places, float)


def fitted_slopes(columns: Real, places: Real) -> tuple[Real, float]:
    """Voxels along z per voxel along y and x, by which the middle of the power moves; and their error.

    No slope where the columns do not span a plane, or the plane fits no better than chance.
    """
    low, high = np.quantile(columns, [QUIET, HIGHEST], axis=1)[..., None]
    excess = np.clip(columns - low - RISEN * (high - low), 0, None)  # noise would pull middles to the middle
    excess[:, :EDGE] = excess[:, -EDGE:] = 0
    weights = excess.sum(axis=1)
    middles = excess @ np.arange(columns.shape[1]) / np.maximum(weights, 1e-12)
    design = np.column_stack([places, np.ones(len(places))])
    spans = [len(np.unique(places[:, axis])) > 1 for axis in (0, 1)]
    if not all(spans) or len(places) < 6 or not weights.any():
        return np.zeros(2), float(np.tan(np.deg2rad(STEEPEST_DEG)))
    root = np.sqrt(weights / weights.mean())[:, None]
    solution, _, _, _ = np.linalg.lstsq(root * design, root[:, 0] * middles, rcond=None)
    rest = root[:, 0] * (middles - design @ solution)
    variance = np.sum(rest**2) / (len(places) - 3) * np.linalg.inv((root * design).T @ (root * design))
    limit = np.tan(np.deg2rad(STEEPEST_DEG))
    return np.clip(solution[:2], -limit, limit), float(np.sqrt(np.diag(variance)[:2].max()))


def levelled(columns: Real, heights: Real) -> Real:
    """The mean profile once every column is moved down by its height in voxels."""
    z = np.arange(columns.shape[1])
    moved = [np.interp(z + height, z, column) for column, height in zip(columns, heights, strict=True)]
    return np.asarray(np.mean(moved, axis=0))


def faces(rise: Real, level: float) -> tuple[float, float] | None:
    """Where a profile first and last crosses a level, between samples; None if it never leaves it.

    Examples
    --------
    >>> faces(np.array([0.0, 0, 0.5, 1, 1, 0]), 0.25)
    (1.5, 4.75)
    """
    above = np.flatnonzero(rise >= level)
    if not len(above) or len(above) == len(rise):
        return None
    first, last = int(above[0]), int(above[-1])
    low, high = float(first), float(last)
    if first > 0:
        low = first - (rise[first] - level) / (rise[first] - rise[first - 1])
    if last < len(rise) - 1:
        high = last + (rise[last] - level) / (rise[last] - rise[last + 1])
    return float(low), float(high)
