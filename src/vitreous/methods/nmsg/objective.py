"""What NMSG trains its three networks on, all in one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.losses import masked_mean_square, total_variation
from vitreous.methods.blindspot.method import gaussian_blur
from vitreous.methods.method import PreparedVolume, batch_of
from vitreous.methods.nmsg.config import NmsgConfig
from vitreous.methods.nmsg.network import adversarial_loss
from vitreous.methods.nmsg.patches import noise_deviation, noise_patches
from vitreous.methods.noise_model import recorrupted_pair
from vitreous.training import Patch, PatchSampler, Phase


class NmsgObjective:
    """The denoiser's loss on noisier patches, then that of the game which teaches the noise.

    The two share no parameter: the denoiser's noise is detached from the generator. Each has an update
    of its own in a step, so that neither's gradient is clipped for the size of the other's.

    Parameters
    ----------
    network
        An `NmsgNetwork`.
    volumes
        Prepared by `Nmsg.prepare`.
    config
        Settings.
    device
        Where it is trained.
    """

    def __init__(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], config: NmsgConfig, device: torch.device
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.parts: Any = network
        self.sampler = PatchSampler([v.volume for v in volumes], config.patch_side)
        self.deviations = torch.tensor([noise_deviation(v) for v in volumes])
        self.quiet = torch.cat(
            [
                noise_patches(v.volume, config.noise_side, config.quiet_share, config.noise_from) / d
                for v, d in zip(volumes, self.deviations, strict=True)
            ]
        )

    def phases(self, generator: torch.Generator) -> Iterator[Phase]:
        """Draw a batch for the denoiser, then one for synthesizer and critic."""
        patches = [self.sampler.draw(generator) for _ in range(self.config.batch)]
        where = " and ".join(p.where for p in patches)
        yield Phase(self._restoration(patches, generator), list(self.parts.denoiser.parameters()), where)
        players = [*self.parts.synthesizer.parameters(), *self.parts.critic.parameters()]
        yield Phase(self._adversarial(generator), players, "the noise of the volume")

    def _restoration(self, patches: Sequence[Patch], generator: torch.Generator) -> Tensor:
        noisy = batch_of([p.values for p in patches], self.device)
        inside = batch_of([p.inside for p in patches], self.device)
        with torch.no_grad():
            drawn = self._noise(len(patches), self.config.patch_side, generator)[:, 0]
        noise = torch.stack(
            [self.deviations[p.volume] * n.flip(p.flips) for n, p in zip(drawn, patches, strict=True)]
        )[:, None]
        noisier, target = recorrupted_pair(noisy, noise, 1.0)
        if self.config.pairs == "noisier":
            target = noisy
        prediction = self.network(noisier).float()
        loss = masked_mean_square(prediction, target, inside)
        return loss + sparsity_guidance(prediction, noisy, inside, self.config)

    def _adversarial(self, generator: torch.Generator) -> Tensor:
        count, side = self.config.noise_batch, self.config.noise_side
        chosen = torch.randint(len(self.quiet), (count,), generator=generator).tolist()
        mirrors = (torch.rand(count, generator=generator) < 0.5).tolist()
        # At a point: noise whose tilt range is not symmetric looks another in a mirror.
        crops = [
            self.quiet[i].flip((0, 1, 2) if mirror else ()) for i, mirror in zip(chosen, mirrors, strict=True)
        ]
        # In float32: the penalty's second derivative and the periodograms are beyond bfloat16.
        with torch.autocast(self.device.type, enabled=False):
            made = self._noise(count, side, generator)
            real = batch_of(crops, self.device)
            return adversarial_loss(self.parts.critic, real, made, self.config.gradient_penalty)

    def _noise(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        """Noise (count, 1, side, side, side) from the synthesizer, about unit variance."""
        longer = side + 2 * self.parts.synthesizer.radius
        numbers = torch.randn((count, longer, longer, longer), generator=generator)
        noise: Tensor = self.parts.synthesizer(batch_of(numbers.unbind(0), self.device))
        return noise


def sparsity_guidance(prediction: Tensor, noisy: Tensor, inside: Tensor, config: NmsgConfig) -> Tensor:
    """The L1 norm of a prediction's gradient and its mean square distance to the smoothed volume, weighted.

    All (b, 1, z, y, x); a weight of zero costs nothing.
    """
    total = prediction.new_zeros(())
    if config.sparsity:
        total = total + config.sparsity * total_variation(prediction, inside)
    if config.guidance:
        smooth = gaussian_blur(noisy, config.smooth_sigma)
        total = total + config.guidance * masked_mean_square(prediction, smooth, inside)
    return total
