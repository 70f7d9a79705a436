"""From half maps to the references of the next round."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vitreous.fourier import frequency_radius
from vitreous.metrics.fsc import Curve

GOLD_STANDARD = 0.143
EDGE_SHARE = 0.15  # of a low-pass frequency: width of its cosine edge
SMEARED = 2.0  # Fourier voxels of a box: so far a mask carries what particles were aligned by


def next_references(halves: Tensor, average: Tensor, curve: Curve, shared_up_to: float) -> Tensor:
    """Each half's average as far as the FSC supports it, with coarse detail from both.

    Frequencies are weighted with the root of the FSC, up to where it falls to 0.143.

    Parameters
    ----------
    halves
        (2, side, side, side) half maps.
    average
        (side, side, side), of all particles.
    curve
        FSC of the halves.
    shared_up_to
        In cycles/voxel: what is coarser is taken from `average`.

    Returns
    -------
    (2, side, side, side).
    """
    side = average.shape[-1]
    radius = frequency_radius((side,) * 3, half=True)
    frequency, values = curve
    below = np.flatnonzero(values < GOLD_STANDARD)
    supported = values.clip(0, 1)
    supported[int(below[0]) if below.size else len(values) :] = 0
    weight = torch.from_numpy(np.interp(radius.numpy(), frequency, np.sqrt(supported))).float()
    shared = cosine_pass(radius, shared_up_to)
    both = torch.fft.rfftn(average)
    own = torch.fft.rfftn(halves, dim=(1, 2, 3))
    mixed = both * shared + own * (1 - shared)
    references: Tensor = torch.fft.irfftn(mixed * torch.maximum(weight, shared), s=(side,) * 3, dim=(1, 2, 3))
    return references


def low_passed(volumes: Tensor, frequency: float) -> Tensor:
    """Volumes (..., z, y, x) without what is finer than a frequency in cycles/voxel."""
    shape = volumes.shape[-3:]
    weight = cosine_pass(frequency_radius(shape, half=True), frequency)
    axes = (-3, -2, -1)
    passed: Tensor = torch.fft.irfftn(torch.fft.rfftn(volumes, dim=axes) * weight, s=shape, dim=axes)
    return passed


def finest_passed(low_pass_angstrom: float) -> float:
    """The finest detail in Å of which a low-pass leaves anything: its edge reaches a little further.

    Examples
    --------
    >>> round(finest_passed(60.0), 1)
    52.2
    """
    return low_pass_angstrom / (1 + EDGE_SHARE)


def finest_shared(finest_aligned_angstrom: float, side: int, voxel_spacing_angstrom: float) -> float:
    """The finest detail in Å in which two halves may agree because they were aligned to one reference.

    A mask carries what was aligned by about two Fourier voxels of the box further: half maps of nothing but
    noise, aligned up to 52 Å in boxes of 260 Å, agreed to 47 Å after one round.

    Parameters
    ----------
    finest_aligned_angstrom
        Up to which the reference was shared.
    side, voxel_spacing_angstrom
        Of the boxes.

    Examples
    --------
    >>> round(finest_shared(52.2, 26, 10.0), 1)
    37.2
    """
    return 1 / (1 / finest_aligned_angstrom + SMEARED / (side * voxel_spacing_angstrom))


def cosine_pass(radius: Tensor, frequency: float) -> Tensor:
    """One up to a frequency, then a cosine edge that ends a little beyond it."""
    position = (radius - frequency) / (EDGE_SHARE * frequency)
    return 0.5 * (1 + torch.cos(math.pi * position.clamp(0, 1)))
