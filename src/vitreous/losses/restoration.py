"""Losses of restoration networks; sources are keyed as in `docs/references.bib`."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_mean_square(prediction: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Mean squared difference over the voxels where `inside` is 1 (volume-shuffle eqs 7 and 8).

    All three have the same shape, or broadcast to it.
    """
    squares = (prediction - target).square() * inside
    return squares.sum() / inside.expand_as(squares).sum().clamp_min(1)


def total_variation(volume: Tensor, inside: Tensor) -> Tensor:
    """Mean absolute difference between neighbours along the three axes (volume-shuffle eq. 10).

    A mean, not the paper's sum: the sum would make the weight depend on the patch size.

    Parameters
    ----------
    volume
        (b, c, z, y, x).
    inside
        Same shape; a difference counts where both its voxels are inside.
    """
    terms = []
    for axis in (2, 3, 4):
        n = volume.shape[axis] - 1
        both = inside.narrow(axis, 0, n) * inside.narrow(axis, 1, n)
        difference = volume.narrow(axis, 1, n) - volume.narrow(axis, 0, n)
        terms.append((difference.abs() * both).sum() / both.sum().clamp_min(1))
    return torch.stack(terms).sum()


def edge_maps(volume: Tensor) -> Tensor:
    """Kirsch-type edge strength of a volume: the strongest of 26 directional responses.

    Each kernel weighs the 3³ neighbours by the cosine between their direction and its own, 26
    directions in all, so that a constant volume gives zero. Differentiable, unlike the edge
    extractor of the published code, which therefore trains nothing (volume-shuffle eq. 9, S6).

    Parameters
    ----------
    volume
        (b, 1, z, y, x).

    Returns
    -------
    Tensor of the same shape.

    Examples
    --------
    >>> float(edge_maps(torch.ones(1, 1, 6, 6, 6)).abs().max()) < 1e-5
    True
    """
    kernels = directional_kernels().to(volume)
    padded = F.pad(volume, (1,) * 6, mode="replicate")
    return F.conv3d(padded, kernels).amax(dim=1, keepdim=True)


def directional_kernels() -> Tensor:
    """The 26 kernels of `edge_maps`, (26, 1, 3, 3, 3); each sums to zero and has unit absolute sum."""
    offsets = torch.tensor(list(product((-1.0, 0.0, 1.0), repeat=3)))
    units = F.normalize(offsets, dim=1)  # the centre stays zero
    directions = units[offsets.abs().sum(1) > 0]
    kernels = directions @ units.T
    kernels = kernels - kernels.mean(dim=1, keepdim=True)
    kernels = kernels / kernels.abs().sum(dim=1, keepdim=True)
    return kernels.reshape(-1, 1, 3, 3, 3)
