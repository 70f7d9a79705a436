"""Noise2Noise on even and odd tomograms (cryoCARE's idea); with true targets, supervised training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from vitreous.fourier import patch_spectra, symmetrize
from vitreous.losses import masked_mean_square
from vitreous.methods.method import PreparedVolume, VolumeIndependent, batch_of, binned, placed
from vitreous.methods.noise_model.spectrum import patch_cuts
from vitreous.methods.warm_start import WarmConfig
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import PatchSampler, TrainingVolume


class PairConfig(WarmConfig):
    """Settings of training on pairs.

    `symmetric`: both members are noisy, and either may be the input (Noise2Noise); otherwise the
    target is the truth (supervised). `binning`: work on volumes Fourier-binned by this factor.
    """

    symmetric: bool = True
    binning: PositiveInt = 1


class Noise2Noise(VolumeIndependent[PairConfig]):
    """Train a U-Net from one half tomogram to the other; the prediction is of one volume.

    The halves must differ in noise only. Halves split by frames do; halves split by tilts sample
    different planes of Fourier space, so part of their difference is signal.
    """

    name: ClassVar[str] = "n2n"
    config_type = PairConfig

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return unet_bytes_per_voxel(self.config.width)

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Bin both members if the configuration says so; with two noisy ones, the noise of their mean."""
        binning = self.config.binning
        spectrum = (
            pair_noise_spectrum(volume) if self.config.symmetric and volume.target is not None else None
        )
        working = None if binning == 1 else binned(volume, binning)
        return PreparedVolume(
            volume, spectrum, binning=binning, working=working, summary=self.config.beginning
        )

    def build_network(self, seed: int) -> nn.Module:
        """A U-Net, the same as the noise model's."""
        return self.config.build_unet(seed)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> PairObjective:
        """Pairs from all volumes, each of which must have a target."""
        return PairObjective(
            placed(network, device), [v.network_volume for v in volumes], self.config, device
        )


def pair_noise_spectrum(volume: TrainingVolume) -> Tensor:
    """Noise spectrum of the mean of two volumes that differ in noise alone: |E - O|²/4.

    Parameters
    ----------
    volume
        One of the two, with the other as its target.

    Returns
    -------
    S(k), (z, y, x) in FFT order, in units of the variance that the volume is standardized by.
    """
    if volume.target is None:
        raise ValueError("the volume has no partner")
    data, target, apply = volume.data, volume.target, volume.normalization.apply
    cuts = patch_cuts(data.shape, volume.mask)
    differences = (torch.from_numpy((apply(data[c]) - apply(target[c])) / 2) for c in cuts)
    return symmetrize(patch_spectra(differences).mean(0))


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
