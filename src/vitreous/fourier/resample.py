"""Band-limited change of the sampling, by cropping or padding the Fourier transform."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.fourier.spectrum import interpolate_spectrum


def resample(volume: Tensor, shape: Sequence[int], *, rolloff: float = 0.0) -> Tensor:
    """Values of a periodic volume on another grid over the same field; grey values are kept.

    Parameters
    ----------
    volume
        Real (z, y, x), all sides even.
    shape
        New sides, all even. Sample 0 stays where it is.
    rolloff
        Share of the kept band, below the lower Nyquist frequency of each axis, over which a cosine
        edge falls to zero; it keeps jumps at the borders from ringing far into the volume.

    Returns
    -------
    Real tensor of `shape`. What lies above the lower of the two Nyquist frequencies is lost.

    Examples
    --------
    >>> resample(torch.ones(8, 8, 8), (4, 12, 8)).unique()
    tensor([1.])
    """
    axes = tuple(range(volume.ndim))
    transform = torch.fft.fftshift(torch.fft.fftn(volume.float()), dim=axes)
    pads = [(new - side) // 2 for new, side in zip(shape, volume.shape, strict=True)]
    transform = F.pad(transform, [p for p in reversed(pads) for p in (p, p)])
    for axis, (new, side) in enumerate(zip(shape, volume.shape, strict=True)):
        if new != side:  # the lowest frequency kept has no positive partner: without it the result is real
            unpaired = max(0, (new - side) // 2)
            transform = transform.index_fill(axis, torch.tensor([unpaired], device=transform.device), 0)
            if rolloff > 0:
                edge = torch.fft.fftshift(cosine_edge(torch.fft.fftfreq(new) * new / min(new, side), rolloff))
                transform = transform * edge.to(transform.device).reshape(
                    [-1 if a == axis else 1 for a in axes]
                )
    scale = torch.tensor(list(shape)).prod().item() / volume.numel()
    resampled: Tensor = torch.fft.ifftn(torch.fft.ifftshift(transform, dim=axes)).real * scale
    return resampled


def cosine_edge(frequency: Tensor, rolloff: float) -> Tensor:
    """One, falling to zero over the last `rolloff` share of the band up to |frequency| = 0.5."""
    position = (frequency.abs() / 0.5 - (1 - rolloff)) / rolloff
    return 0.5 * (1 + torch.cos(torch.pi * position.clamp(0, 1)))


def crop_spectrum(spectrum: Tensor, factor: int, *, rolloff: float = 0.0) -> Tensor:
    """Noise spectrum of a volume after `resample` to 1/factor of its sides.

    Parameters
    ----------
    spectrum
        (z, y, x) in FFT order, in units of variance.
    factor
        How many times fewer samples each axis has.
    rolloff
        That of `resample`.

    Returns
    -------
    Tensor in FFT order on a grid 1/factor as fine; its mean is the variance that is left.

    Examples
    --------
    >>> float(crop_spectrum(torch.full((32, 32, 32), 8.0), 2).mean())
    1.0
    """
    kept = [max(2, side // factor // 2 * 2) for side in spectrum.shape]
    fine = [n * factor for n in kept]  # the same steps of frequency on both grids
    if fine != list(spectrum.shape):
        spectrum = interpolate_spectrum(spectrum, fine)
    centred = torch.fft.fftshift(spectrum)
    cuts = [slice((side - n) // 2, (side + n) // 2) for side, n in zip(fine, kept, strict=True)]
    cropped: Tensor = torch.fft.ifftshift(centred[tuple(cuts)]) / factor**spectrum.ndim
    if rolloff > 0:
        for axis, side in enumerate(cropped.shape):
            edge = cosine_edge(torch.fft.fftfreq(side), rolloff) ** 2
            cropped = cropped * edge.reshape([-1 if a == axis else 1 for a in range(cropped.ndim)])
    return cropped
