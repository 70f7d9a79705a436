"""Fourier transforms read at turned frequencies: a turned box without turning the box."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING = 2  # sides of the padded box over those of the box: the finer transform is read linearly


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

    def at(self, rotations: Tensor, frequencies: Tensor) -> Tensor:
        """(n, k) complex transform of the box turned by (n, 3, 3), at (k, 3) zyx in cycles/voxel."""
        values = read_turned(self._planes, rotations, frequencies)
        return torch.complex(values[0], values[1])


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


def whole_spectrum(half: Tensor) -> Tensor:
    """A real, even function of frequency in the order of `rfftn` as a cube in that of `fftshift`.

    Examples
    --------
    >>> whole_spectrum(torch.ones(4, 4, 3)).shape
    torch.Size([4, 4, 4])
    """
    side = half.shape[0]
    values = half.to(torch.float32)
    others = values[:, :, 1 : (side + 1) // 2].flip(0, 1, 2).roll((1, 1), (0, 1))
    whole: Tensor = torch.fft.fftshift(torch.cat([values, others], dim=2))
    return whole
