"""Power spectra of patches, and Gaussian noise drawn from a spectrum.

A spectrum S is a full FFT-ordered tensor in units of variance: white noise of variance v has
S(k) = v at every k, and the mean of S over all k is the variance of the noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.fourier.grids import frequency_axes


def hann_window(shape: Sequence[int]) -> Tensor:
    """Separable Hann window of unit mean square, so that windowed periodograms stay unbiased."""
    window = torch.ones((), dtype=torch.float32)
    for axis, side in enumerate(shape):
        w = torch.hann_window(side + 2, periodic=False)[1:-1]
        window = window * w.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return window / window.square().mean().sqrt()


def patch_spectra(patches: Iterable[Tensor]) -> Tensor:
    """Windowed periodograms |FFT|²/N of patches, each with its mean taken off.

    Parameters
    ----------
    patches
        Real tensors of one shape (z, y, x).

    Returns
    -------
    Tensor (n, z, y, x) in FFT order, in units of variance.
    """
    return torch.stack([_periodogram(patch.float()) for patch in patches])


def _periodogram(patch: Tensor) -> Tensor:
    window = hann_window(patch.shape)
    # The windowed mean is removed: the plain mean would leave power at the lowest frequencies.
    mean = (patch * window**2).mean()
    spectrum: Tensor = torch.fft.fftn((patch - mean) * window).abs().square() / patch.numel()
    return spectrum


def symmetrize(spectrum: Tensor) -> Tensor:
    """Average of S(k) and S(-k): what the spectrum of real-valued noise must satisfy."""
    axes = tuple(range(spectrum.ndim))
    return 0.5 * (spectrum + spectrum.flip(axes).roll((1,) * spectrum.ndim, axes))


def interpolate_spectrum(spectrum: Tensor, shape: Sequence[int], *, half: bool = False) -> Tensor:
    """Linear interpolation of a spectrum onto the FFT grid of another shape.

    Parameters
    ----------
    spectrum
        (z, y, x) in FFT order.
    shape
        Real-space shape of the wanted grid.
    half
        Whether the result follows `torch.fft.rfftn` along the last axis.

    Returns
    -------
    Tensor in FFT order.

    Examples
    --------
    >>> flat = interpolate_spectrum(torch.full((8, 8, 8), 3.0), (5, 6, 7), half=True)
    >>> flat.shape, bool(torch.allclose(flat, torch.tensor(3.0)))
    (torch.Size([5, 6, 4]), True)
    """
    centred = torch.fft.fftshift(spectrum)
    # One wrapped sample at the end of each axis, so that +0.5 reads what -0.5 holds.
    padded = F.pad(centred[None, None], (0, 1) * 3, mode="circular")
    coordinates = []
    for f, side in zip(frequency_axes(shape, half=half), spectrum.shape, strict=True):
        index = f * side + side // 2
        coordinates.append(index / side * 2 - 1)  # align_corners over side + 1 samples
    z, y, x = coordinates
    zeros = torch.zeros_like(z + y + x)
    grid = torch.stack([zeros + x, zeros + y, zeros + z], dim=-1)[None]
    return F.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=True)[0, 0]


class NoiseGenerator:
    """Draws Gaussian noise with a given spectrum, of one shape, periodic in every axis.

    Parameters
    ----------
    spectrum
        (z, y, x) in FFT order, in units of variance; of any shape (it is interpolated).
    shape
        Shape of the noise to draw.
    device
        Where the Fourier transforms run; the random numbers follow the generator's device.
    """

    def __init__(self, spectrum: Tensor, shape: Sequence[int], device: torch.device | None = None) -> None:
        self.shape = tuple(shape)
        self.amplitude = interpolate_spectrum(spectrum, self.shape, half=True).clamp_min(0).sqrt().to(device)

    def draw(self, generator: torch.Generator, count: int = 1) -> Tensor:
        """`count` independent fields of zero mean, shape (count, z, y, x), float32."""
        white = torch.randn((count, *self.shape), generator=generator, device=generator.device)
        transform = torch.fft.rfftn(white.to(self.amplitude.device), dim=(1, 2, 3)) * self.amplitude
        fields: Tensor = torch.fft.irfftn(transform, s=self.shape, dim=(1, 2, 3))
        return fields
