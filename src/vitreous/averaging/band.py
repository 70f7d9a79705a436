"""A band of Fourier space as a list of frequencies: particles and turned templates as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.fourier import frequency_axes, frequency_radius

PADDING = 2  # sides of the padded template over those of the template: the finer transform is read linearly


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


class TurnedSpectrum:
    """The Fourier transform of a box, read at turned frequencies.

    A box turned by R has the transform T(Rᵀk). That of the padded box is interpolated linearly; the
    dimming towards its borders that comes with it is divided out beforehand.

    Parameters
    ----------
    box
        (side, side, side), the centre of rotation at voxel side // 2; it should fall to zero within the
        sphere that fits the cube.
    """

    def __init__(self, box: Tensor) -> None:
        side = box.shape[0]
        if box.shape != (side,) * 3 or side % 2:
            raise ValueError(f"what is turned is a cube of even side, not {tuple(box.shape)}")
        kernel = torch.sinc((torch.arange(side) - side // 2) / (PADDING * side)) ** 2
        flat = box.float().cpu() / (kernel[:, None, None] * kernel[:, None] * kernel)
        before = (PADDING - 1) * side // 2
        padded = F.pad(flat, (before, before) * 3)
        transform = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(padded)))
        self._planes = torch.stack([transform.real, transform.imag])

    def at(self, rotations: Tensor, band: Band) -> Tensor:
        """(n, k) complex transform of the box turned by (n, 3, 3), times what the tomogram passes."""
        values = read_turned(self._planes, rotations, band.frequencies)
        return torch.complex(values[0], values[1]) * band.transfer


def read_turned(planes: Tensor, rotations: Tensor, frequencies: Tensor) -> Tensor:
    """Values at Rᵀk of functions of frequency, interpolated linearly.

    Parameters
    ----------
    planes
        (c, side, side, side), c functions in the order of `torch.fft.fftshift`, an even side.
    rotations
        (n, 3, 3).
    frequencies
        (k, 3), zyx, in cycles/voxel.

    Returns
    -------
    (c, n, k).
    """
    closed = F.pad(planes[None], (0, 1) * 3, mode="circular")  # so that +0.5 is there as well as -0.5
    turned = frequencies.to(torch.float32) @ rotations.to(torch.float32)  # rows: k R is Rᵀ k
    # align_corners over side + 1 samples from -0.5 to 0.5; grid_sample counts (x, y, z)
    places = (2 * turned).flip(-1)[None, :, :, None]
    return F.grid_sample(closed, places, align_corners=True)[0, :, :, :, 0]


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
