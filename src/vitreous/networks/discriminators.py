"""Discriminators that judge overlapping parts of a volume, and its spectrum alike (dual, Fig. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from vitreous.networks.convolution import Conv3d


class PatchDiscriminator(nn.Module):
    """Three stride-2 convolutions and a head: one logit for each block of 8³ voxels (PatchGAN).

    Parameters
    ----------
    width
        Channels of the first layer; doubled by each of the next two.
    spectral
        Whether every layer is held to a Lipschitz constant of one (spectral normalization).
    inputs
        Channels of what is judged, 1 for volumes.
    """

    def __init__(self, *, width: int, spectral: bool = False, inputs: int = 1) -> None:
        super().__init__()
        convolutions = [
            Conv3d(inputs, width, 4, stride=2, padding=1),
            Conv3d(width, 2 * width, 4, stride=2, padding=1),
            Conv3d(2 * width, 4 * width, 4, stride=2, padding=1),
            Conv3d(4 * width, 1, 3, padding=1),
        ]
        layers: list[nn.Module] = []
        for index, convolution in enumerate(convolutions):
            layers += [nn.LeakyReLU(0.2, inplace=True)] if index else []
            layers.append(spectral_norm(convolution) if spectral else convolution)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, z, y, x), sides multiples of 8, to logits (batch, 1, z / 8, y / 8, x / 8)."""
        logits: Tensor = self.layers(x)
        return logits

    def features(self, x: Tensor) -> list[Tensor]:
        """What each of the strided layers makes of (batch, inputs, z, y, x)."""
        found = []
        for layer in list(self.layers.children())[:-1]:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return found


class DomainDiscriminator(nn.Module):
    """Tells real volumes of a domain from fake ones by their voxels and by their log-spectrum.

    Parameters
    ----------
    width, spectral
        Those of both `PatchDiscriminator`s.
    """

    def __init__(self, *, width: int, spectral: bool = False) -> None:
        super().__init__()
        self.of_volume = PatchDiscriminator(width=width, spectral=spectral)
        self.of_spectrum = PatchDiscriminator(width=width, spectral=spectral)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, z, y, x), sides multiples of 8, to logits (batch, n): high for real."""
        logits = [self.of_volume(x), self.of_spectrum(log_spectrum(x))]
        return torch.cat([each.flatten(1) for each in logits], dim=1)

    def features(self, x: Tensor) -> list[Tensor]:
        """What the strided layers of both parts make of (batch, 1, z, y, x), in order."""
        return [*self.of_volume.features(x), *self.of_spectrum.features(log_spectrum(x))]


def log_spectrum(x: Tensor) -> Tensor:
    """log(1 + |F|) of volumes (batch, 1, z, y, x), F unitary, zero frequency at n // 2 of each axis.

    Unitary, so that white noise of unit variance has |F| about 1 whatever the size.

    Examples
    --------
    >>> spectrum = log_spectrum(torch.ones(1, 1, 8, 8, 8))
    >>> round(float(spectrum[0, 0, 4, 4, 4].exp() - 1), 3), int((spectrum > 1e-6).sum())
    (22.627, 1)
    """
    axes = (-3, -2, -1)
    transform = torch.fft.fftshift(torch.fft.fftn(x.float(), dim=axes, norm="ortho"), dim=axes)
    return torch.log1p(transform.abs())
