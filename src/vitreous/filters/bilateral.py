"""Bilateral filter on 3-D tensors."""

from __future__ import annotations

from torch import Tensor

from vitreous.filters.neighbours import Shift, neighbour_mean


def bilateral(volume: Tensor, *, spatial_sigma: float, range_sigma: float, radius: int = 2) -> Tensor:
    """Mean of neighbours weighted by distance and by likeness of value [bilateral].

    No gradients pass.

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
    >>> import torch
    >>> bool(torch.allclose(bilateral(torch.ones(4, 4, 4), spatial_sigma=1, range_sigma=1), torch.ones(())))
    True
    """

    def nearness(shift: Shift) -> float:
        return -sum(s * s for s in shift) / (2 * spatial_sigma**2)

    scale = 1 / max(2 * range_sigma**2, 1e-30)
    return neighbour_mean(volume, radius=radius, scale=scale, offset=nearness)
