"""Volumes with the coarse amplitudes of others: a change of appearance that leaves structure (fda)."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.fourier.grids import frequency_axes

AXES = (-3, -2, -1)


def with_amplitude_of(volumes: Tensor, others: Tensor, share: float = 0.1) -> Tensor:
    """Volumes whose amplitudes at low frequency are those of others; phases stay (fda eq. 3).

    Parameters
    ----------
    volumes, others
        (..., z, y, x) of one shape.
    share
        L: swapped are the frequencies up to L times the sampling frequency along every axis, in
        a cube of 2 L times the side.

    Returns
    -------
    Tensor of the same shape.

    Examples
    --------
    >>> one = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(with_amplitude_of(one, one), one, atol=1e-5)
    True
    >>> torch.allclose(with_amplitude_of(one, 3 * one, share=0.5), 3 * one, atol=1e-5)
    True
    """
    spectrum = torch.fft.rfftn(volumes.float(), dim=AXES)
    other = torch.fft.rfftn(others.float(), dim=AXES).abs()
    inside = torch.ones((), device=volumes.device)
    for frequencies in frequency_axes(volumes.shape[-3:], half=True, device=volumes.device):
        inside = inside * (frequencies.abs() <= share)
    amplitude = torch.where(inside > 0, other, spectrum.abs())
    mixed: Tensor = torch.fft.irfftn(torch.polar(amplitude, spectrum.angle()), s=volumes.shape[-3:], dim=AXES)
    return mixed
