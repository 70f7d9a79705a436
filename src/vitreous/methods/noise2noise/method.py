"""Noise2Noise on even and odd tomograms (cryoCARE's idea); with true targets, supervised training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from vitreous.inference.predict import Predictor
from vitreous.losses import masked_mean_square
from vitreous.methods.method import (
    LearnedConfig,
    PreparedVolume,
    batch_of,
    binned,
    mirror_mean,
    placed,
)
from vitreous.networks import UNet3d
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import PatchSampler, TrainingVolume


class PairConfig(LearnedConfig):
    """Settings of training on pairs.

    `symmetric`: both members are noisy, and either may be the input (Noise2Noise); otherwise the
    target is the truth (supervised). `binning`: work on volumes Fourier-binned by this factor.
    """

    levels: int = 2
    symmetric: bool = True
    binning: int = 1


class Noise2Noise:
    """Train a U-Net from one half tomogram to the other; the prediction is of one volume.

    The halves must differ in noise only. Halves split by frames do; halves split by tilts sample
    different planes of Fourier space, so part of their difference is signal.

    Parameters
    ----------
    config
        Settings.
    precision
        "float32" or "bfloat16", for prediction.
    """

    name: ClassVar[str] = "n2n"
    stages: int = 1
    tile: int | None = None

    def __init__(self, config: PairConfig | None = None, *, precision: str = "float32") -> None:
        self.config: PairConfig = config or PairConfig()
        self.precision = precision

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return unet_bytes_per_voxel(self.config.width)

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Bin both members if the configuration says so."""
        if self.config.binning == 1:
            return PreparedVolume(volume)
        return PreparedVolume(
            volume, binning=self.config.binning, working=binned(volume, self.config.binning)
        )

    def adapted(self, volumes: Sequence[PreparedVolume]) -> Noise2Noise:
        """The method itself: nothing depends on the volumes."""
        return self

    def build_network(self, seed: int) -> nn.Module:
        """A U-Net, the same as the noise model's."""
        torch.manual_seed(seed)
        return UNet3d(width=self.config.width, levels=self.config.levels)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device, stage: int
    ) -> PairObjective:
        """Pairs from all volumes, each of which must have a target."""
        return PairObjective(
            placed(network, device), [v.network_volume for v in volumes], self.config, device
        )

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean over the eight mirror images."""
        return mirror_mean(network, device, self.precision)


class PairObjective:
    """Mean squared error from a patch to its partner."""

    def __init__(
        self, network: nn.Module, volumes: Sequence[TrainingVolume], config: PairConfig, device: torch.device
    ) -> None:
        if any(v.target is None for v in volumes):
            raise ValueError("every volume needs a target")
        self.network, self.config, self.device = network, config, device
        self.sampler = PatchSampler(volumes, config.patch_side)

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare."""
        inputs, targets, insides, places = [], [], [], []
        for _ in range(self.config.batch):
            patch = self.sampler.draw(generator)
            assert patch.target is not None  # checked in __init__
            pair = (patch.values, patch.target)
            if self.config.symmetric and torch.rand((), generator=generator).item() < 0.5:
                pair = pair[::-1]
            inputs.append(pair[0])
            targets.append(pair[1])
            insides.append(patch.inside)
            places.append(patch.where)
        x, t, m = (batch_of(part, self.device) for part in (inputs, targets, insides))
        return masked_mean_square(self.network(x).float(), t, m), " and ".join(places)
