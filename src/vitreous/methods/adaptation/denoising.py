"""How volumes of the target are denoised before pseudo-labels are made of them (vox-uda, III-B)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.filters import bilateral, improved_bilateral
from vitreous.filters.bilateral import neighbour_spread
from vitreous.fourier import NoiseGenerator
from vitreous.methods.adaptation.config import AdaptationConfig
from vitreous.methods.adaptation.noise import high_passed
from vitreous.methods.noise_model import recorrupted_pair
from vitreous.networks import UNet3d

ALPHA = 0.7  # the noise model's


def by_improved_bilateral(values: Tensor, config: AdaptationConfig) -> Tensor:
    """IBF (vox-uda eqs 10 to 14) of volumes (n, 1, z, y, x)."""
    return improved_bilateral(
        values,
        spatial_sigma=config.spatial_sigma,
        range_sigma=config.range_sigma,
        relative=config.relative_range,
        operator=config.range_operator,
    )


def by_bilateral(values: Tensor, config: AdaptationConfig) -> Tensor:
    """BF (vox-uda eqs 8 and 9) with a window of 3³ voxels, of volumes (n, 1, z, y, x)."""
    scale = torch.ones(len(values), 1, 1, 1, 1, device=values.device)
    if config.relative_range:
        scale = neighbour_spread([values]).clamp_min(1e-6)
    kind = {"spatial_sigma": config.spatial_sigma, "range_sigma": config.range_sigma}
    return scale * bilateral(values / scale, radius=1, **kind)


def by_noise_generation(values: Tensor, config: AdaptationConfig) -> Tensor:
    """What the high-pass filter of the noise generation module leaves, taken off (vox-uda, III-B)."""
    return values - high_passed(values, config.passed_share, config.passed_part)


FILTERS: dict[str, Callable[[Tensor, AdaptationConfig], Tensor]] = {
    "none": lambda values, _: values,
    "ibf": by_improved_bilateral,
    "bf": by_bilateral,
    "ngm": by_noise_generation,
}


def recorrupted_loss(
    denoiser: UNet3d, values: Tensor, noise: NoiseGenerator, generator: torch.Generator
) -> Tensor:
    """Mean square of f(y + αn) - (y - n/α): the noise model's loss on volumes (n, 1, z, y, x)."""
    drawn = noise.draw(generator, len(values))[:, None].to(values.device)
    noisier, goal = recorrupted_pair(values, drawn, ALPHA)
    return F.mse_loss(denoiser(noisier).float(), goal)


@torch.no_grad()
def by_noise_model(
    denoiser: UNet3d, values: Tensor, noise: NoiseGenerator, generator: torch.Generator
) -> Tensor:
    """Mean of f over two opposite draws of the noise, of volumes (n, 1, z, y, x)."""
    drawn = ALPHA * noise.draw(generator, len(values))[:, None].to(values.device)
    mean: Tensor = 0.5 * (denoiser(values + drawn) + denoiser(values - drawn)).float()
    return mean
