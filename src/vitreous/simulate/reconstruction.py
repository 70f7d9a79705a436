"""Tomograms from tilt series: weighted back-projection and SIRT, slab by slab along the tilt axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Interrupted, Progress, SilentProgress
from vitreous.simulate.projection import TiltGeometry, Window

Array = NDArray[np.float32]
OVERSAMPLING = 4
SLAB = 32  # rows along the tilt axis at a time: slices across it do not depend on each other


@dataclass(frozen=True, eq=False)
class SirtReconstruction:
    """A volume (z, y, x) and the residual |b - Ax| / |b| before each iteration and after the last.

    Norms are weighted by one over the length of each ray, as SIRT minimizes them.
    """

    volume: Array
    residuals: tuple[float, ...]


def weighted_back_projection(
    tilt_series: Array,
    tilt_angles_deg: Sequence[float],
    depth: int,
    *,
    window: Window = "ramp",
    cutoff: float = 0.5,
    progress: Progress | None = None,
) -> Array:
    """Reconstruct a volume by back-projection of ramp-filtered images.

    Parameters
    ----------
    tilt_series
        (tilt, y, x), aligned: the tilt axis is y and goes through the middle of the images.
    tilt_angles_deg
        One signed angle for each image, in any order.
    depth
        Voxels of the result along z.
    window, cutoff
        See `TiltGeometry.reconstruct`.
    progress
        Receives progress.

    Returns
    -------
    (depth, y, x), float32. Where the tilts measure, the values are those whose sums along the beam are
    the images.

    Raises
    ------
    ValueError
        If images and angles differ in number.
    Interrupted
        If the user stopped.

    Notes
    -----
    Filtered back-projection with a ramp across the tilt axis [radermacher] and angular weights.
    """
    _check(tilt_series, tilt_angles_deg)
    progress = progress or SilentProgress()
    geometry = TiltGeometry(depth, tilt_series.shape[2], tilt_angles_deg, oversampling=OVERSAMPLING)
    volume = np.empty((depth, *tilt_series.shape[1:]), np.float32)
    slabs = _slabs(tilt_series.shape[1])
    progress.start("back-projection", len(slabs))
    for rows in slabs:
        volume[:, rows] = geometry.reconstruct(tilt_series[:, rows], window=window, cutoff=cutoff)
        _step(progress)
    return volume


def sirt(
    tilt_series: Array,
    tilt_angles_deg: Sequence[float],
    depth: int,
    *,
    iterations: int = 20,
    relaxation: float = 1.0,
    nonnegative: bool = False,
    progress: Progress | None = None,
) -> SirtReconstruction:
    """Reconstruct a volume by simultaneous iterations: x ← x + λ·C·Aᵀ·R·(b - A·x) [gilbert].

    R and C hold one over the row and column sums of the projector A.

    Parameters
    ----------
    tilt_series, tilt_angles_deg, depth, progress
        As for `weighted_back_projection`.
    iterations
        How often all images are compared with the projections of the volume.
    relaxation
        λ, between 0 and 2.
    nonnegative
        Set negative voxels to zero after each iteration, where the specimen is known to be positive.

    Raises
    ------
    ValueError
        If images and angles differ in number, or a setting makes no sense.
    Interrupted
        If the user stopped.
    """
    _check(tilt_series, tilt_angles_deg)
    if iterations < 1 or not 0 < relaxation < 2:
        raise ValueError("SIRT needs at least one iteration and a relaxation between 0 and 2")
    tilts, height, width = tilt_series.shape
    geometry = TiltGeometry(depth, width, tilt_angles_deg, oversampling=OVERSAMPLING)
    ray = _inverse(geometry.project(np.ones((depth, 1, width), np.float32)))
    voxel = _inverse(geometry.back_project(np.ones((tilts, 1, width), np.float32)))
    volume = np.zeros((depth, height, width), np.float32)
    squares = np.zeros(iterations + 1)
    slabs = _slabs(height)
    progress = progress or SilentProgress()
    progress.start("SIRT", len(slabs) * iterations)
    for rows in slabs:
        images, estimate = tilt_series[:, rows], volume[:, rows]
        residual = images
        for iteration in range(iterations):
            squares[iteration] += np.sum(residual**2 * ray, dtype=np.float64)
            estimate += np.float32(relaxation) * voxel * geometry.back_project(ray * residual)
            if nonnegative:
                np.maximum(estimate, 0, out=estimate)
            residual = images - geometry.project(estimate)
            _step(progress)
        squares[-1] += np.sum(residual**2 * ray, dtype=np.float64)
    residuals = np.sqrt(squares / max(squares[0], 1e-30))
    return SirtReconstruction(volume, tuple(residuals.tolist()))


def reconstruction_bytes(images: Sequence[int], depth: int) -> int:
    """Peak memory in bytes for a tilt series (tilt, y, x), without what Python and its libraries take."""
    tilts, height, width = images
    geometry = TiltGeometry(depth, width, range(tilts), oversampling=OVERSAMPLING)
    # The operator, once more while it is built; the volume; and the slabs on their way through it.
    fine = tilts * 2 * OVERSAMPLING * geometry.field * SLAB
    return 16 * geometry.entries + 4 * depth * height * width + 12 * fine + 16 * depth * width * SLAB


def _check(tilt_series: Array, tilt_angles_deg: Sequence[float]) -> None:
    if tilt_series.ndim != 3 or len(tilt_series) != len(tilt_angles_deg):
        text = f"{len(tilt_angles_deg)} tilt angles do not belong to a tilt series of {tilt_series.shape}"
        raise ValueError(text)


def _slabs(height: int) -> list[slice]:
    return [slice(y, min(y + SLAB, height)) for y in range(0, height, SLAB)]


def _step(progress: Progress) -> None:
    progress.advance()
    if progress.should_stop():
        raise Interrupted


def _inverse(sums: Array) -> Array:
    """One over the sums; rays and voxels that are hardly measured must not get enormous weights."""
    inverse: Array = 1 / np.maximum(sums, np.float32(0.1) * sums.max())
    return inverse
