"""A band of Fourier space as a list of frequencies: boxes as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vitreous.fourier import frequency_axes, frequency_radius


@dataclass(frozen=True, eq=False)
class Band:
    """Those frequencies of a cube's half spectrum that are compared.

    Parameters
    ----------
    side
        Voxels along the edge of the cube.
    index
        (k,), of the flattened `torch.fft.rfftn` of the cube.
    frequencies
        (k, 3), zyx, in cycles/voxel.
    transfer
        (k,), factor with which the tomogram passes each frequency.
    multiplicity
        (k,): 2 where a frequency stands for itself and its negative, else 1.
    """

    side: int
    index: Tensor
    frequencies: Tensor
    transfer: Tensor
    multiplicity: Tensor

    def __len__(self) -> int:
        return len(self.index)


def make_band(side: int, limits: Sequence[float], transfer: Tensor, *, least: float = 0.05) -> Band:
    """The frequencies with limits[0] ≤ |k| ≤ limits[1] (cycles/voxel) that the tomogram passes.

    Parameters
    ----------
    side
        Voxels along the edge of the cube, even.
    limits
        Lowest and highest |k| in cycles/voxel; 0 itself is never among them.
    transfer
        (side, side, side // 2 + 1) in the order of `torch.fft.rfftn`, such as `fourier.measured_region`.
    least
        Frequencies that are passed more weakly are left out.

    Raises
    ------
    ValueError
        If sizes do not fit or nothing is left.
    """
    shape = (side,) * 3
    if side % 2 or transfer.shape != (side, side, side // 2 + 1):
        raise ValueError(f"a wedge {tuple(transfer.shape)} does not belong to boxes of {side} (even) voxels")
    radius = frequency_radius(shape, half=True)
    factor = transfer.to(torch.float32).cpu()
    keep = (radius >= limits[0]) & (radius <= limits[1]) & (radius > 0) & (factor.abs() >= least)
    index = keep.flatten().nonzero()[:, 0]
    if not len(index):
        raise ValueError(f"no frequency lies within {limits[0]:.3g} and {limits[1]:.3g} cycles/voxel")
    axes = [axis.expand(radius.shape).flatten() for axis in frequency_axes(shape, half=True)]
    frequencies = torch.stack([axis[index] for axis in axes], dim=1)
    alone = (frequencies[:, 2].abs() < 1e-9) | (frequencies[:, 2].abs() > 0.5 - 1e-9)
    return Band(side, index, frequencies, factor.flatten()[index], torch.where(alone, 1.0, 2.0))


def spectra(boxes: Tensor, band: Band) -> Tensor:
    """(n, k) complex spectra of boxes (n, side, side, side), phases counted from voxel side // 2."""
    rows = [torch.fft.rfftn(torch.fft.ifftshift(box.float())).flatten()[band.index] for box in boxes]
    return torch.stack(rows) if rows else torch.zeros((0, len(band)), dtype=torch.complex64)


def shift_phases(shifts_voxel: Tensor, band: Band) -> Tensor:
    """(s, k): exp(2πi k·t), which moves what lies at shift t into the centre."""
    angle = 2 * math.pi * shifts_voxel.to(torch.float32) @ band.frequencies.T
    return torch.polar(torch.ones_like(angle), angle)


def soft_sphere(side: int, radius: float, edge: float) -> Tensor:
    """One within a radius (voxels) of voxel side // 2, falling to zero as a cosine over `edge` voxels beyond.

    Examples
    --------
    >>> float(soft_sphere(16, 4, 2)[8, 8, 8]), float(soft_sphere(16, 4, 2)[8, 8, 15])
    (1.0, 0.0)
    """
    axis = torch.arange(side) - side // 2
    distance = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    return 0.5 * (1 + torch.cos(torch.pi * ((distance - radius) / edge).clamp(0, 1)))
