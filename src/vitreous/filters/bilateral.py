"""Bilateral filter on 3-D tensors."""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor


def bilateral(volume: Tensor, *, spatial_sigma: float, range_sigma: float, radius: int = 2) -> Tensor:
    """Mean of neighbours weighted by distance and by likeness of value (Tomasi & Manduchi 1998).

    Parameters
    ----------
    volume
        (..., z, y, x); leading axes are batches.
    spatial_sigma
        In voxels.
    range_sigma
        In grey values; 0 averages equal neighbours only.
    radius
        Half side of the window; edges are replicated.

    Returns
    -------
    Tensor of the same shape.

    Examples
    --------
    >>> bool(torch.allclose(bilateral(torch.ones(4, 4, 4), spatial_sigma=1, range_sigma=1), torch.ones(())))
    True
    """
    flat = volume.reshape(-1, 1, *volume.shape[-3:])
    padded = F.pad(flat, (radius,) * 6, mode="replicate")
    total, weights = torch.zeros_like(flat), torch.zeros_like(flat)
    z, y, x = flat.shape[2:]
    likeness = max(2 * range_sigma**2, 1e-30)
    for i, j, k in product(range(2 * radius + 1), repeat=3):
        distance2 = (i - radius) ** 2 + (j - radius) ** 2 + (k - radius) ** 2
        neighbour = padded[:, :, i : i + z, j : j + y, k : k + x]
        weight = torch.exp(-((neighbour - flat) ** 2) / likeness)
        weight *= math.exp(-distance2 / (2 * spatial_sigma**2))
        total += weight * neighbour
        weights += weight
    return (total / weights).reshape(volume.shape)
