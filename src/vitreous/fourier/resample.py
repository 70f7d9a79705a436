"""Band-limited change of the sampling, by cropping or padding the Fourier transform."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.fourier.spectrum import interpolate_spectrum


def resample(volume: Tensor, shape: Sequence[int]) -> Tensor:
    """Values of a periodic volume on another grid over the same field; grey values are kept.

    Parameters
    ----------
    volume
        Real (z, y, x), all sides even.
    shape
        New sides, all even. Sample 0 stays where it is.

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
    scale = torch.tensor(list(shape)).prod().item() / volume.numel()
    resampled: Tensor = torch.fft.ifftn(torch.fft.ifftshift(transform, dim=axes)).real * scale
    return resampled


def crop_spectrum(spectrum: Tensor, factor: int) -> Tensor:
    """Noise spectrum of a volume after `resample` to 1/factor of its sides.

    Parameters
    ----------
    spectrum
        (z, y, x) in FFT order, in units of variance.
    factor
        How many times fewer samples each axis has.

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
    return cropped
