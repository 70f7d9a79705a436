"""Bilateral filters on 3-D tensors: by likeness of value, or of the gradient of the Laplacian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from vitreous.filters.neighbours import Shift, extended, neighbour_mean

Operator = Literal["laplacian", "sobel"]

ROBUST = 1.4826  # deviation over median absolute difference, for Gaussian noise
SOBEL = (1.0, 2.0, 1.0)


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
    >>> bool(torch.allclose(bilateral(torch.ones(4, 4, 4), spatial_sigma=1, range_sigma=1), torch.ones(())))
    True
    """
    scale = 1 / max(2 * range_sigma**2, 1e-30)
    return neighbour_mean(volume, radius=radius, scale=scale, offset=nearness(spatial_sigma))


def improved_bilateral(
    volume: Tensor,
    *,
    spatial_sigma: float,
    range_sigma: float,
    relative: bool = False,
    radius: int = 1,
    operator: Operator = "sobel",
) -> Tensor:
    """Mean of neighbours weighted by distance and by likeness of ∂Δ (vox-uda eqs 8 to 14).

    ∂Δ is what `laplacian_gradient` gives. Within an object, and far from any, neighbours have much the
    same; across an edge they do not, if Δ is what vox-uda says it used, the magnitude of Sobel's
    gradient: ∂Δ then points away from the edge on either side. With the discrete Laplacian of the
    equations ∂Δ is the same on both sides of a step, and edges are kept less well than by a Gaussian
    filter that removes as much. No gradients pass.

    Parameters
    ----------
    volume
        (..., z, y, x); leading axes are batches.
    spatial_sigma
        σ_d in voxels; the published 120 weighs all 26 neighbours alike to within 2e-4.
    range_sigma
        σ_r in grey values, or with `relative` in units of the spread of ∂Δ between neighbours.
    relative
        Whether each volume has its own scale. The published σ_r of 1.2 is absolute: at the noise of
        subtomograms it leaves next to nothing but the voxel itself.
    radius
        Half side of the window; edges are replicated.
    operator
        Δ: the magnitude of Sobel's gradient, or the discrete Laplacian.

    Returns
    -------
    Tensor of the same shape.

    Examples
    --------
    >>> one = torch.ones(2, 4, 4, 4)
    >>> bool(torch.equal(improved_bilateral(one, spatial_sigma=120, range_sigma=1.2), one))
    True
    """
    guides = laplacian_gradient(volume, operator)
    if relative:
        spread = neighbour_spread(guides)
        guides = [g / torch.where(spread > 0, spread, torch.ones_like(spread)) for g in guides]
    scale = 1 / max(2 * range_sigma**2, 1e-30)
    return neighbour_mean(volume, radius=radius, scale=scale, offset=nearness(spatial_sigma), guides=guides)


def laplacian_gradient(volume: Tensor, operator: Operator = "laplacian") -> list[Tensor]:
    """∂Δ along z, y and x: Δ of the next voxel minus Δ of the one before (vox-uda eqs 10 to 12).

    Parameters
    ----------
    volume
        (..., z, y, x); edges are replicated.
    operator
        See `improved_bilateral`.

    Returns
    -------
    Three tensors of the same shape.
    """
    padded = extended(volume, 1, 1, "replicate")
    if operator == "laplacian":
        delta = sum(
            (_shifted(padded, axis, 1) + _shifted(padded, axis, -1) for axis in range(3)), -6 * volume
        )
    else:
        delta = sum((_sobel(padded, axis).square() for axis in range(3)), torch.zeros_like(volume)).sqrt()
    padded = extended(delta, 1, 1, "replicate")
    return [_shifted(padded, axis, 1) - _shifted(padded, axis, -1) for axis in range(3)]


def neighbour_spread(guides: list[Tensor]) -> Tensor:
    """Robust deviation of the differences between neighbours along all axes, one for each volume.

    Parameters
    ----------
    guides
        Tensors of one shape (..., z, y, x).

    Returns
    -------
    Tensor (..., 1, 1, 1).
    """
    steps = [g.diff(dim=axis).abs().flatten(-3) for g in guides for axis in (-3, -2, -1)]
    return ROBUST * torch.cat(steps, dim=-1).median(dim=-1).values[..., None, None, None]


def variance_removed(volume: Tensor, filtered: Tensor) -> float:
    """Share of the variance that a filter has removed.

    Examples
    --------
    >>> values = torch.tensor([-1.0, 1.0])
    >>> variance_removed(values, 0.5 * values)
    0.75
    """
    return 1 - float(filtered.var() / volume.var())


def nearness(spatial_sigma: float) -> Callable[[Shift], float]:
    """The logarithm of a Gaussian's weight at a shift."""
    return lambda shift: -sum(s * s for s in shift) / (2 * spatial_sigma**2)


def _shifted(padded: Tensor, axis: int, by: int) -> Tensor:
    """Each voxel's neighbour at a distance along an axis, of a volume with a margin of one."""
    for other in range(3):
        padded = padded.narrow(other - 3, 1 + by if other == axis else 1, padded.shape[other - 3] - 2)
    return padded


def _sobel(padded: Tensor, axis: int) -> Tensor:
    """Sobel's derivative along an axis, of a volume with a margin of one."""
    for other in (-3, -2, -1):
        side = padded.shape[other] - 2
        before, middle, after = (padded.narrow(other, i, side) for i in range(3))
        if other == axis - 3:
            padded = after - before
        else:
            padded = SOBEL[0] * before + SOBEL[1] * middle + SOBEL[2] * after
    return padded
