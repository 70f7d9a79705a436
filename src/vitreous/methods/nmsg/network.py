"""The three networks of NMSG as one module, so that one optimizer and one checkpoint hold them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.fourier.spectrum import hann_window
from vitreous.networks import UNet3d, gradient_reversed

SMALL = 0.1  # of what is drawn for a network's weights, where it is to begin near the identity
FLOOR = 0.01  # of a periodogram in units of variance, below which its logarithm says nothing


class NmsgNetwork(nn.Module):
    """A denoising U-Net beside the noise synthesizer and the critic that the noise is learned with.

    Called, it denoises: tiles and prediction see the U-Net alone.

    Parameters
    ----------
    width, levels
        Of the U-Net.
    noise_side
        Side of the noise patches that the critic judges.
    """

    def __init__(self, *, width: int, levels: int, noise_side: int) -> None:
        super().__init__()
        self.denoiser = UNet3d(width=width, levels=levels)
        self.synthesizer = NoiseSynthesizer()
        self.critic = NoiseCritic(noise_side)
        self.stride, self.receptive_radius = self.denoiser.stride, self.denoiser.receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """Denoise (batch, 1, z, y, x)."""
        denoised: Tensor = self.denoiser(x)
        return denoised


class NoiseSynthesizer(nn.Module):
    """White Gaussian numbers to noise of the same kind everywhere: convolutions without padding.

    A filter sets the spectrum, a small network beside it what is not Gaussian; at first the noise is
    nearly the numbers themselves. Without padding, overlapping numbers give overlapping noise.

    Parameters
    ----------
    radius
        Reach of the filter, 2 or more: the noise is smaller by so many voxels on either side.
    width
        Channels of the small network.
    """

    def __init__(self, radius: int = 4, width: int = 8) -> None:
        super().__init__()
        self.radius = radius
        side = 2 * radius + 1
        kernel = torch.randn(side, side, side) * SMALL / side**1.5
        kernel[radius, radius, radius] = 1
        self.kernel = nn.Parameter(kernel)
        last = nn.Conv3d(width, 1, 1, bias=False)
        with torch.no_grad():
            last.weight.mul_(SMALL)
        self.bent = nn.Sequential(
            nn.Conv3d(1, width, 3), nn.LeakyReLU(0.1), nn.Conv3d(width, width, 3), nn.LeakyReLU(0.1), last
        )

    def forward(self, numbers: Tensor) -> Tensor:
        """Map (batch, 1, z, y, x) to noise whose sides are shorter by 2 `radius`."""
        cut = self.radius - 2  # the small network reaches two voxels
        inner = [slice(cut, side - cut) for side in numbers.shape[2:]]
        noise: Tensor = filtered(numbers, self.kernel) + self.bent(numbers[:, :, *inner])
        return noise


def filtered(values: Tensor, kernel: Tensor) -> Tensor:
    """Correlation of (…, z, y, x) with a kernel (z, y, x), where all of the kernel lies inside.

    By Fourier transform: torch's convolutions are slow, or unfold everything, for a large kernel of a
    single channel.
    """
    shape, axes = values.shape[-3:], (-3, -2, -1)
    transform = torch.fft.rfftn(values.float(), dim=axes)
    transform = transform * torch.fft.rfftn(kernel.float(), s=shape, dim=axes).conj()
    whole: Tensor = torch.fft.irfftn(transform, s=shape, dim=axes)
    z, y, x = (n - k + 1 for n, k in zip(shape, kernel.shape, strict=True))
    return whole[..., :z, :y, :x]


class NoiseCritic(nn.Module):
    """One number for a patch of noise: higher where it takes it for noise of the volume.

    It looks at small neighbourhoods, and at the logarithm of the periodogram: the former says how the
    values are distributed, the latter how they are correlated over the whole patch.

    Parameters
    ----------
    side
        Of the cubic patches.
    width
        Channels of the first convolution.
    """

    def __init__(self, side: int, width: int = 8) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv3d(1, width, 3),
            nn.LeakyReLU(0.1),
            nn.Conv3d(width, 2 * width, 3, stride=2),
            nn.LeakyReLU(0.1),
            nn.Conv3d(2 * width, 2 * width, 3),
            nn.LeakyReLU(0.1),
        )
        self.head = nn.Linear(2 * width, 1)
        self.spectral = nn.Parameter(torch.zeros(side, side, side // 2 + 1))
        self.window: Tensor
        self.register_buffer("window", hann_window((side,) * 3), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Map (batch, 1, side, side, side) to (batch,)."""
        local = self.head(self.local(patches).mean((2, 3, 4)))[:, 0]
        transform = torch.fft.rfftn(patches[:, 0] * self.window, dim=(1, 2, 3))
        power = transform.abs().square() / self.window.numel()
        spectral = ((power + FLOOR).log() * self.spectral).sum((1, 2, 3))
        judgement: Tensor = local + spectral
        return judgement


def adversarial_loss(critic: nn.Module, real: Tensor, made: Tensor, penalty: float) -> Tensor:
    """A loss whose descent trains the critic to tell real from made, and the maker to be taken for real.

    log(1 + exp(D(made) - D(real))), with the gradient that goes back to the maker reversed (dann): the
    two sides want the opposite of one number, so that one optimizer serves both. `penalty` weighs half
    the squared gradient of D at real patches (gan-convergence, eq. 9), without which such a game circles
    instead of settling.

    Parameters
    ----------
    critic
        Patches (b, 1, z, y, x) to judgements (b,).
    real, made
        As many patches of either kind.
    penalty
        Weight of the gradient penalty.
    """
    real = real.detach().requires_grad_()
    judged = critic(real)
    loss = F.softplus(critic(gradient_reversed(made)) - judged).mean()
    (slope,) = torch.autograd.grad(judged.sum(), real, create_graph=True)
    return loss + 0.5 * penalty * slope.square().sum((1, 2, 3, 4)).mean()
