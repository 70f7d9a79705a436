"""A small copy of a tomogram, to look at shapes that are larger than its voxels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core.normalization import SLAB_VOXELS

MOST_VOXELS = 2**24  # 67 MB, and about ten times that while it is looked at
COARSE_ANGSTROM = 14.0  # edge of its voxels at the most, as long as it is not too large
LEAST_VOXELS = 24  # along the shortest side, to judge shapes


def coarse_copy(data: NDArray[Any], mean: float, spacing_angstrom: float) -> tuple[NDArray[np.float32], int]:
    """Block means less the mean grey value, and how many voxels one stands for along an axis.

    Parameters
    ----------
    data
        (z, y, x), may be memory-mapped; voxels that are not finite count as the mean.
    mean
        Grey value that becomes 0. Nothing is clipped.
    spacing_angstrom
        Edge of a voxel in Å.

    Examples
    --------
    >>> coarse, factor = coarse_copy(np.full((48, 48, 49), 3.0), 1.0, 7.0)
    >>> coarse.shape, factor, float(coarse.max())
    ((24, 24, 24), 2, 2.0)
    """
    factor = max(
        1,
        int(COARSE_ANGSTROM / spacing_angstrom),
        math.ceil((math.prod(data.shape) / MOST_VOXELS) ** (1 / 3)),
    )
    factor = min(factor, max(1, min(data.shape) // LEAST_VOXELS))
    sides = [side // factor for side in data.shape]
    coarse = np.empty(sides, np.float32)
    planes = max(1, SLAB_VOXELS // (factor**3 * sides[1] * sides[2]))
    for first in range(0, sides[0], planes):
        last = min(first + planes, sides[0])
        cut = (slice(first * factor, last * factor), *(slice(side * factor) for side in sides[1:]))
        slab = np.array(data[cut], np.float32)
        slab -= np.float32(mean)
        np.nan_to_num(slab, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        parts = slab.reshape(last - first, factor, sides[1], factor, sides[2], factor)
        coarse[first:last] = parts.mean(axis=(1, 3, 5))
    return coarse, factor
