"""The six networks of DUAL as one module, and what they make of each other's results."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitreous.fourier import frequency_radius, interpolate_spectrum, measured_region
from vitreous.methods.dual.config import DualConfig
from vitreous.methods.warm_start import shipped_weights
from vitreous.networks import DomainDiscriminator, NoiseDecoder, NoiseEncoder, UNet3d, initialize_orthogonally

SMALL_CHANGE = 0.1  # of a density by Gs before it has learned anything
FAINT = 0.01  # of the mean power of the noise: where there is less, nothing was measured
LOWEST = 0.05  # cycles/voxel
EVEN = 1e-6  # variance of a mask below which it is not divided by its deviation


class DualNetworks(nn.Module):
    """Denoiser Dn, structural generator Gs, noise encoder E and decoder Gn, two discriminators; a student.

    Parameters
    ----------
    config
        Settings.

    Attributes
    ----------
    noise_power
        (side, side, side) in FFT order: the noise prior, in units of the standardized variance.
    tilts
        (3,) lowest and highest tilt angle in degrees, and the tilt axis, 1 for y and 2 for x.
    signal_transfer
        (n,) amplitude that a tomogram has of a density's, at evenly spaced |k| from 0 to Nyquist.
    student
        The denoiser that learns from simulated tomograms after the game, and then predicts; None if there is
        none, and Dn does. See `StudentObjective`.
    codes, filled
        Queue of noise codes, the newest last, and how many of its rows are in use.
    """

    noise_power: Tensor
    tilts: Tensor
    signal_transfer: Tensor
    codes: Tensor
    filled: Tensor

    def __init__(self, config: DualConfig) -> None:
        super().__init__()
        width, judges = config.width, config.judge_width
        self.prior = config.noise_prior
        self.denoiser = UNet3d(width=width, levels=config.levels, norm=config.norm)
        self.structural = UNet3d(width=width, levels=config.levels, norm=config.norm)
        self.encoder = NoiseEncoder(config.codes, width=judges)
        self.decoder = NoiseDecoder(config.codes, config.patch_side, width=judges)
        self.judge_noisy = DomainDiscriminator(width=judges, spectral=config.spectral)
        self.judge_clean = DomainDiscriminator(width=judges, spectral=config.spectral)
        initialize_orthogonally(self)
        if self.prior:
            with torch.no_grad():
                self.structural.head.weight.mul_(SMALL_CHANGE)
        self.student = student_of(config)
        self.stride = self.denoiser.stride
        self.receptive_radius = 0  # blocks overlap by half and are blended, whatever the network sees
        self.register_buffer("noise_power", torch.ones((config.patch_side,) * 3))
        self.register_buffer("tilts", torch.tensor([-90.0, 90.0, 1.0]))
        self.register_buffer("signal_transfer", torch.ones(config.patch_side // 2 + 1))
        self.register_buffer("codes", torch.zeros(config.queue, config.codes))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Denoised blocks: map standardized (batch, 1, z, y, x) to the same shape."""
        out: Tensor = self.denoiser(x) if self.student is None else self.student(x)
        return out

    def mask_of(self, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise masks Gn(codes) (batch, 1, side, side, side), their voxels permuted with a generator.

        Permuted (P of dual eq. 1), a mask is white noise with the histogram that Gn gave it, or with a prior
        a Gaussian one; as it is (eq. 2), it is as smooth as the code can make it.
        """
        masks: Tensor = self.decoder(codes)
        if self.prior:
            centred = masks - masks.mean(dim=(1, 2, 3, 4), keepdim=True)
            variance = centred.square().mean(dim=(1, 2, 3, 4), keepdim=True)
            masks = centred / (variance + EVEN).sqrt()
            strength = (variance / (variance + EVEN)).sqrt()
            # The gradient is that of the standardized mask: ranks have none.
            masks = masks + (strength * normal_scores(masks) - masks).detach()
        return masks if generator is None else permuted(masks, generator)

    def masks_for(self, count: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Permuted masks (count, 1, z, y, x) of any shape, of as many random codes as fill one."""
        voxels = math.prod(shape)
        pieces = -(-voxels // self.noise_power.numel())
        codes = torch.randn((count * pieces, self.codes.shape[1]), generator=generator)
        masks = self.mask_of(codes.to(self.codes.device)).reshape(count, 1, -1)
        return permuted(masks, generator)[..., :voxels].reshape(count, 1, *shape)

    def shaped(self, masks: Tensor) -> Tensor:
        """Masks (batch, 1, z, y, x) with the spectrum of the prior; as they are without one."""
        if not self.prior:
            return masks
        return self.filtered(masks, self.amplitude(masks.shape[-3:]))

    @staticmethod
    def filtered(volumes: Tensor, transfer: Tensor) -> Tensor:
        """Volumes (batch, 1, z, y, x) times a function on their `rfftn` grid."""
        axes = (-3, -2, -1)
        transform = torch.fft.rfftn(volumes.float(), dim=axes) * transfer.to(volumes.device)
        result: Tensor = torch.fft.irfftn(transform, s=volumes.shape[-3:], dim=axes)
        return result

    def amplitude(self, shape: Sequence[int]) -> Tensor:
        """Square root of the prior's spectrum on the `rfftn` grid of a shape (z, y, x)."""
        power = self.noise_power.float()
        if tuple(shape) == tuple(power.shape):
            return power[..., : shape[-1] // 2 + 1].clamp_min(0).sqrt()
        return interpolate_spectrum(power.cpu(), shape, half=True).clamp_min(0).sqrt()

    def tomogram(self, density: Tensor, masks: Tensor) -> Tensor:
        """A tomogram from densities and unshaped masks (dual eqs 1 and 2); both (batch, 1, z, y, x)."""
        if not self.prior:
            return self.seen(density + masks)
        return self.seen(density) + self.shaped(masks)

    def seen(self, density: Tensor) -> Tensor:
        """Gs: what the microscope makes of a density; with a prior what it changes of it."""
        out: Tensor = self.structural(density)
        if not self.prior:
            return out
        return self.filtered(density + out, self.transfer(density.shape[-3:]))

    def departure(self, density: Tensor) -> Tensor:
        """Power of what Gs changes of the prior's signal, as a share of that signal's; 0 without a prior."""
        if not self.prior:
            return torch.zeros((), device=density.device)
        transfer = self.transfer(density.shape[-3:])
        change, signal = (self.filtered(v, transfer) for v in (self.structural(density), density))
        return change.square().mean() / signal.square().mean().clamp_min(EVEN)

    def transfer(self, shape: Sequence[int]) -> Tensor:
        """What the prior passes of each frequency, on the `rfftn` grid of a shape (z, y, x)."""
        nodes = self.signal_transfer.float()
        place = frequency_radius(shape, half=True).to(nodes.device) * (2 * (len(nodes) - 1))
        place = place.clamp_max(len(nodes) - 1)
        below = place.floor().long().clamp_max(len(nodes) - 2)
        passed = torch.lerp(nodes[below], nodes[below + 1], place - below)
        return passed * self.measured(shape).to(passed.device)

    def measured(self, shape: Sequence[int]) -> Tensor:
        """Where a signal can be, on the `rfftn` grid of a shape: 1 where the tilts have been, 0 where not.

        Nor is there any where the prior has no power, but for the lowest frequencies, where a ramp leaves
        the noise little.
        """
        lowest, highest, axis = self.tilts.tolist()
        inside = measured_region(shape, (lowest, highest), half=True, tilt_axis=round(axis))
        power = self.amplitude(shape).square()
        share = power / (power + FAINT * power.mean()).clamp_min(1e-12)
        low = frequency_radius(shape, half=True) < LOWEST
        return torch.where(low.to(share.device), 1.0, share) * inside.to(share.device)

    @property
    def generators(self) -> list[nn.Parameter]:
        """Parameters of Dn, Gs, E and Gn."""
        parts = (self.denoiser, self.structural, self.encoder, self.decoder)
        return [parameter for part in parts for parameter in part.parameters()]

    @property
    def judges(self) -> list[nn.Parameter]:
        """Parameters of both discriminators."""
        return [*self.judge_noisy.parameters(), *self.judge_clean.parameters()]

    @property
    def known_codes(self) -> Tensor:
        """The part of the queue that is in use, (n, K)."""
        return self.codes[len(self.codes) - int(self.filled) :]

    @torch.no_grad()
    def remember(self, codes: Tensor) -> None:
        """Put codes (batch, K) at the end of the queue."""
        self.codes.copy_(torch.cat([self.codes, codes.detach().float()])[-len(self.codes) :])
        self.filled.add_(len(codes)).clamp_(max=len(self.codes))


def permuted(masks: Tensor, generator: torch.Generator) -> Tensor:
    """P of dual eq. 1: the voxels of each mask (batch, ...) in a random order."""
    flat = masks.flatten(1)
    order = torch.stack([torch.randperm(flat.shape[1], generator=generator) for _ in flat])
    return flat.gather(1, order.to(flat.device)).reshape(masks.shape)


def normal_scores(masks: Tensor) -> Tensor:
    """Masks (batch, ...) whose voxels keep their order, and have the histogram of Gaussian noise.

    Examples
    --------
    >>> normal_scores(torch.tensor([[0.0, 9.0, 1.0]])).mul(10).round().tolist()
    [[-12.0, 12.0, 0.0]]
    """
    flat = masks.flatten(1)
    count = flat.shape[1]
    places = (torch.arange(count, dtype=torch.float64, device=masks.device) + 0.5) / count
    scores = torch.special.ndtri(places)
    scores = (scores / scores.square().mean().sqrt()).to(masks.dtype).expand_as(flat)
    return torch.empty_like(flat).scatter_(1, flat.argsort(1), scores).reshape(masks.shape)


def student_of(config: DualConfig) -> UNet3d | None:
    """The student before the game has taught it anything; it begins with the shipped weights if they fit."""
    if not config.student_ratio:
        return None
    network = UNet3d(width=config.student.width, levels=config.student.levels)
    if config.student.is_warm:
        network.load_state_dict(shipped_weights())
    return network
