"""Difference of Gaussians of a whole volume, on a coarse grid and plane by plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Interrupted, Normalization, Progress

COARSE_SIGMA = 2.5  # coarse voxels: at their Nyquist frequency such a Gaussian passes 4e-14
PLANES = 8  # read at a time

Array = NDArray[np.float32]
Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """Scores on a grid that is coarser than the volume; bright where a blob is.

    Parameters
    ----------
    values
        (z, y, x); sample i lies at voxel i · `steps`. White noise of deviation 1 in the volume has
        deviation 1 here, near faces too.
    steps
        Voxels from one sample to the next, for each axis.
    """

    values: Array
    steps: tuple[int, int, int]


def grid_steps(sigma_voxels: Sequence[float]) -> tuple[int, int, int]:
    """The coarsest grid on which a Gaussian so wide loses nothing.

    Examples
    --------
    >>> grid_steps((8.0, 8.0, 2.0))
    (3, 3, 1)
    """
    z, y, x = (max(1, int(sigma / COARSE_SIGMA)) for sigma in sigma_voxels)
    return z, y, x


def coarse_sides(shape: Sequence[int], steps: Sequence[int]) -> tuple[int, ...]:
    """Samples along each axis.

    Examples
    --------
    >>> coarse_sides((7, 8, 9), (3, 3, 1))
    (3, 3, 9)
    """
    return tuple(-(-side // step) for side, step in zip(shape, steps, strict=True))


def smoothing_matrix(side: int, step: int, sigma: float) -> Real:
    """Gaussian smoothing along one axis with every `step`-th value kept, as a (coarse, side) matrix.

    Each row is the fit of a straight line under Gaussian weights, read off in the middle. Away from faces
    that is the Gaussian itself; near one it still gives back every straight line, so that a slope of the ice
    leaves nothing in a difference. Mirroring would make a kink of a slope, and a whole particle of a cut one.
    """
    distance = np.arange(0, side, step)[:, None] - np.arange(side)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    total, first, second = ((weights * distance**k).sum(axis=1, keepdims=True) for k in range(3))
    rows: Real = weights * (second - distance * first) / (total * second - first**2)
    return rows


def noise_deviation(narrow: Sequence[Real], wide: Sequence[Real]) -> Array:
    """Deviation of white noise of deviation 1 after the difference of two separable smoothings.

    Parameters
    ----------
    narrow, wide
        The matrices of either along each axis.

    Returns
    -------
    On the coarse grid, (z, y, x): the root of Σ (a - b)², where Σ a², Σ a b and Σ b² are separable.
    """

    def inner(first: Sequence[Real], second: Sequence[Real]) -> Real:
        products = [(a * b).sum(axis=1) for a, b in zip(first, second, strict=True)]
        return reduce(np.multiply.outer, products)

    variance = inner(narrow, narrow) - 2 * inner(narrow, wide) + inner(wide, wide)
    return np.sqrt(variance).astype(np.float32)


def difference_of_gaussians(
    data: NDArray[Any],
    normalization: Normalization,
    sigmas_voxel: tuple[Sequence[float], Sequence[float]],
    *,
    bright: bool,
    progress: Progress,
) -> ScoreMap:
    """Narrow minus wide smoothing of a volume, over the deviation that white noise has there.

    Only every `grid_steps`-th sample is computed, and planes are read a few at a time, so that `data` may
    be memory-mapped and larger than memory.

    Parameters
    ----------
    data
        (z, y, x).
    normalization
        Applied to the voxels; outliers such as gold are clipped, NaN becomes the mean.
    sigmas_voxel
        Deviations (z, y, x) of the narrow and the wide Gaussian in voxels.
    bright
        Whether blobs are brighter than what is around them; otherwise darker.
    progress
        Receives progress, and may stop.

    Raises
    ------
    Interrupted
        If the user stopped.
    """
    steps = grid_steps(sigmas_voxel[0])
    narrow, wide = (
        [smoothing_matrix(n, step, s) for n, step, s in zip(data.shape, steps, sigmas, strict=True)]
        for sigmas in sigmas_voxel
    )
    sums = smoothed(data, normalization.apply, (narrow, wide), progress)
    scores = sums[0] - sums[1] if bright else sums[1] - sums[0]
    scores /= noise_deviation(narrow, wide)
    return ScoreMap(scores, steps)


def smoothed(
    data: NDArray[Any],
    prepare: Callable[[NDArray[Any]], Array],
    smoothings: Sequence[Sequence[Real]],
    progress: Progress,
) -> Array:
    """A volume under several separable smoothings, read a few planes at a time.

    Parameters
    ----------
    data
        (z, y, x), may be memory-mapped and larger than memory.
    prepare
        From planes as they are stored to the float32 values that are smoothed.
    smoothings
        The (coarse, side) matrices of each along z, y and x.
    progress
        Receives progress, and may stop.

    Returns
    -------
    (smoothings, z, y, x) on the coarse grid.

    Raises
    ------
    Interrupted
        If the user stopped.
    """
    matrices = [[m.astype(np.float32) for m in axes] for axes in smoothings]
    sums = np.zeros((len(matrices), *(len(m) for m in matrices[0])), np.float32)
    progress.start("scoring", math.ceil(data.shape[0] / PLANES))
    for first in range(0, data.shape[0], PLANES):
        if progress.should_stop():
            raise Interrupted
        planes = slice(first, min(first + PLANES, data.shape[0]))
        slab = prepare(data[planes])
        for total, (along_z, along_y, along_x) in zip(sums, matrices, strict=True):
            small = along_y @ (slab @ along_x.T)
            total += np.tensordot(along_z[:, planes], small, axes=1)
        progress.advance()
    return sums


def map_bytes(shape: Sequence[int], steps: Sequence[int]) -> int:
    """Peak memory of the above and of looking for its maxima, beside the libraries."""
    sides = coarse_sides(shape, steps)
    plane = math.prod(shape[1:]) * PLANES * 4
    matrices = sum(2 * (8 + 4) * n * m for n, m in zip(shape, sides, strict=True))
    return 4 * plane + matrices + 10 * 4 * math.prod(sides)
