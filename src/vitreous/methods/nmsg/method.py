"""NMSG on one volume: training pairs with noise that a generator learned from the volume's quiet places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from vitreous.inference import Tile
from vitreous.inference.predict import Predictor
from vitreous.methods.method import PreparedVolume, batch_of, placed, predict_mirrored
from vitreous.methods.nmsg.config import NmsgConfig
from vitreous.methods.nmsg.network import NmsgNetwork
from vitreous.methods.nmsg.objective import NmsgObjective
from vitreous.methods.nmsg.patches import noise_deviation, noise_patches
from vitreous.methods.periodic import PeriodicFields
from vitreous.methods.plain_unet import PlainUNet
from vitreous.training import TrainingVolume


class Nmsg(PlainUNet[NmsgConfig]):
    """Train from noisier to noisy with noise that is learned adversarially (nmsg, noisier2noise).

    With y = x + n and z = y + n', n' distributed as n, the best prediction of y from z is
    (E[x | z] + z)/2, whatever the distribution, as n and n' are interchangeable in z. So half of what
    regression from z to y takes off is missing, and E[x | z] is what regression to 2y - z = y - n'
    gives: the target of "corrected" pairs. It is recorruption with α = 1 (r2r), which for that one α
    needs no Gaussian noise, only a generator of the noise as it is.

    The published method learns the noise first, from 2-D slices; here generator, critic and denoiser
    learn in the same steps, which one optimizer, one checkpoint and one time budget then serve, and the
    noise is 3-D, from all over the volume. It reads off a reconstruction of filtered projections where
    gradients are sparse; a volume alone has none, so that sparsity is an L1 norm, the same as SC-Net's.
    """

    name: ClassVar[str] = "nmsg"
    config_type = NmsgConfig

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Find out how strong the noise is; its kind is learned in training."""
        config = self.config
        patches = noise_patches(volume, config.noise_side, config.quiet_share, config.noise_from)
        share = min(float(patches.var()), 1.0)
        summary = {
            "noise share of variance": f"{share:.0%}",
            "noise learned from": f"{len(patches)} patches of {config.noise_side}³ voxels",
        }
        return PreparedVolume(volume, noise_share=share, summary=summary)

    def build_network(self, seed: int) -> nn.Module:
        """U-Net, noise synthesizer and critic."""
        torch.manual_seed(seed)
        config = self.config
        return NmsgNetwork(width=config.width, levels=config.levels, noise_side=config.noise_side)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> NmsgObjective:
        """Noise and its removal, from patches of all volumes."""
        return NmsgObjective(placed(network, device), volumes, self.config, device)

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean over noise draws, each seen in another of the eight mirror images; of "noisier" without."""
        if self.config.pairs == "noisier":
            return super().predictor(network, volume, device, seed)
        network = placed(network, device).eval()
        synthesizer: Any = network.synthesizer
        deviation = noise_deviation(volume)
        numbers = PeriodicFields(lambda shape, generator: torch.randn(shape, generator=generator), seed)

        def noise(draw: int, tile: Tile) -> Tensor:
            reach = synthesizer.radius
            grid = [np.arange(s - reach, s + n + reach) for s, n in zip(tile.start, tile.shape, strict=True)]
            with torch.no_grad():
                made: Tensor = synthesizer(batch_of([numbers.cut(draw, grid)], device))
            return deviation * made[0, 0]

        def predict(block: Tensor, tile: Tile) -> Tensor:
            total = torch.zeros(block.shape, device=device)
            for draw in range(self.config.draws):
                noisier = block.to(device) + noise(draw, tile)
                total += predict_mirrored(network, noisier, draw, device, self.precision)
            return total / self.config.draws

        return predict
