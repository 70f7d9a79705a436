"""An IsoNet-type baseline: rounds of restoring an emptied wedge, each round filling the last one's volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from vitreous.core import InputError, measure_voxels, read_block
from vitreous.filters import deconvolve
from vitreous.fourier import NoiseGenerator
from vitreous.losses import measured_fourier_loss
from vitreous.methods.method import PreparedVolume, batches_of, placed
from vitreous.methods.noise_model.method import seen_spectrum
from vitreous.methods.wedge.config import WedgeConfig, fixed_wedge
from vitreous.methods.wedge.geometry import merged
from vitreous.methods.wedge.method import WedgeMethod
from vitreous.methods.wedge.patches import RotatedPatches, emptied, right_angles
from vitreous.methods.wedge.preparation import prepared_for_filling
from vitreous.training import TrainingVolume


class IsoNetConfig(WedgeConfig):
    """Settings of the IsoNet-type baseline [isonet].

    `steps` are those of one round, `noise_levels` what is added to the input in each: deviation as a
    share of the volume's. The paper has 30 rounds of ten epochs and levels from 0.05 to 0.2; fewer and
    longer ones keep to the order of things at a size that two cores can do. With `defocus_um` the volume
    is deconvolved first, as the paper recommends. Random weights, like the paper's. `binning` is
    always 1: what a round fills is the volume itself.
    """

    steps: PositiveInt | None = 100
    learning_rate: float = Field(4e-4, gt=0)
    warm_start: bool = False
    binning: Literal[1] = 1
    noise_levels: tuple[NonNegativeFloat, ...] = (0.0, 0.0, 0.1, 0.2)
    defocus_um: float | None = None


class IsoNet(WedgeMethod[IsoNetConfig]):
    """Learn to put back a wedge that is cut out of rotated patches of the volume itself.

    Round for round the volume's own missing region is filled with what the network predicts, so that
    the targets of the next round have no wedge of their own; in later rounds noise is added to the input.
    """

    name: ClassVar[str] = "isonet"
    config_type = IsoNetConfig

    @property
    def rounds(self) -> int:
        """One for each noise level."""
        return len(self.config.noise_levels)

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """The tilt range and the noise spectrum of the volume, deconvolved if its defocus is given."""
        if self.config.defocus_um is not None:
            if volume.voxel_spacing_angstrom is None:
                text = "has no voxel spacing, which the deconvolution needs"
                raise InputError(text, path=volume.name, remedy="give it with --voxel-size")
            sharp = deconvolve(
                volume.data,
                spacing_angstrom=volume.voxel_spacing_angstrom,
                defocus_um=self.config.defocus_um,
            )
            volume = replace(
                volume, data=sharp, normalization=measure_voxels(sharp, volume.mask).normalization
            )
        return replace(prepared_for_filling(volume, self.config), gain=None)

    def refilled(self, volume: PreparedVolume, prediction: NDArray[np.float32]) -> PreparedVolume:
        """The volume with the prediction in its missing region, which becomes the partner of its patches."""
        measured = volume.volume.normalization.apply(volume.volume.data)
        prediction = volume.volume.normalization.apply(prediction)
        filled = volume.volume.normalization.invert(merged(measured, prediction, self.wedge))
        return replace(volume, volume=replace(volume.volume, target=filled))

    def seen(self, volume: PreparedVolume) -> list[NDArray[Any]]:
        """The volume as it was measured, whatever it was filled with."""
        return [volume.volume.data]

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> RestoringObjective:
        """Rotated patches of all volumes, filled as far as the rounds have come."""
        return RestoringObjective(placed(network, device), volumes, self.config, device)


class RestoringObjective:
    """Mean squared error from an emptied, perhaps noisier patch to the patch itself.

    Parameters
    ----------
    network
        What is trained.
    volumes
        Prepared by `IsoNet.prepare`; the filled volume, from the second round on, is their target.
    config
        Settings, the wedge fixed.
    device
        Where it is trained.
    """

    def __init__(
        self,
        network: nn.Module,
        volumes: Sequence[PreparedVolume],
        config: IsoNetConfig,
        device: torch.device,
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.volumes = volumes
        self.patches = RotatedPatches([v.volume for v in volumes], config.patch_side)
        shape = (config.patch_side,) * 3
        self.kept = fixed_wedge(config).region(shape)
        self.noise = [NoiseGenerator(seen_spectrum(v), shape) for v in volumes]

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare."""
        drawn = [self._drawn(generator) for _ in range(self.config.batch)]
        x, t, m = batches_of([tensors for tensors, _ in drawn], self.device)
        everything = torch.ones(1, device=self.device)
        difference = (self.network(x).float() - t) * m
        return measured_fourier_loss(difference, everything, everything), " and ".join(w for _, w in drawn)

    def _drawn(self, generator: torch.Generator) -> tuple[tuple[Tensor, ...], str]:
        """Input, target and where they lie in the volume; and where, in words."""
        placement = self.patches.draw(generator, right_angles)
        volume = self.volumes[placement.volume].volume
        source = volume.data if volume.target is None else volume.target
        block = read_block(source, placement.start, placement.shape)
        cube = torch.from_numpy(placement.cut(volume.normalization.apply(block)))
        noise = self.noise[placement.volume].draw(generator)[0]
        level = self.config.noise_levels[self.config.round]
        inside = torch.from_numpy(placement.inside(volume.data.shape))
        return (emptied(cube, self.kept) + level / noise.std() * noise, cube, inside), placement.where
