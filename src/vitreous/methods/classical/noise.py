"""What filters ask about the noise, from the spectrum that the noise model estimates too."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vitreous.filters.structure_tensor import gaussian_kernel
from vitreous.fourier import frequency_axes
from vitreous.methods.noise_model import estimate_noise_spectrum
from vitreous.training import TrainingVolume


def noise_power(volume: TrainingVolume) -> Tensor:
    """Estimated noise spectrum in grey values squared, FFT-ordered; its mean is the noise's variance."""
    estimate = estimate_noise_spectrum(volume.data, volume.normalization, volume.mask)
    return estimate.power * volume.normalization.deviation**2


def noise_deviation(power: Tensor) -> float:
    """Standard deviation of noise with this spectrum."""
    return math.sqrt(float(power.mean()))


def squared_gradient(power: Tensor, smoothing: float) -> float:
    """Mean |∇n_σ|² of noise with this spectrum, as `filters.diffuse` smooths it and takes differences.

    The transfer function of a central difference is i sin(2πf).

    Examples
    --------
    >>> white = torch.ones(8, 8, 8)
    >>> round(squared_gradient(white, 0.0), 3)  # half the variance of one voxel for each axis
    1.5
    """
    centre, *sides = gaussian_kernel(smoothing)
    smooth, slope = power, torch.zeros(())
    for f in frequency_axes(power.shape):
        transfer = sum(
            (2 * w * torch.cos(2 * math.pi * i * f) for i, w in enumerate(sides, 1)), centre + 0 * f
        )
        smooth = smooth * transfer**2
        slope = slope + torch.sin(2 * math.pi * f) ** 2
    return float((smooth * slope).mean())
