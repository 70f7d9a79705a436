"""Denoising with wedge filling from one volume: recorrupted halves, rotated, with a second wedge cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitreous.core import read_block
from vitreous.fourier import NoiseGenerator
from vitreous.inference import Tile
from vitreous.inference.predict import Predictor
from vitreous.losses import measured_fourier_loss
from vitreous.methods.method import PreparedVolume, batches_of, placed, predict_mirrored
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig, recorrupted_pair
from vitreous.methods.noise_model.method import (
    RecorruptedObjective,
    fixed_alpha,
    gain_over,
    levelled,
    seen_spectrum,
)
from vitreous.methods.periodic import PeriodicFields
from vitreous.methods.wedge.config import FillingConfig, fixed_wedge
from vitreous.methods.wedge.geometry import merged
from vitreous.methods.wedge.method import WedgeMethod
from vitreous.methods.wedge.patches import Placement, RotatedPatches, emptied, mirroring
from vitreous.methods.wedge.preparation import with_wedge


class WedgeFilling(WedgeMethod[FillingConfig]):
    """Fill the missing wedge and denoise, from one volume or from two halves (DeepDeWedge, § 1.3).

    The input of training is y + αn, the target y - n/α (two halves take their places where there are
    two), both cut as the same rotated cube. The input loses a second wedge in the cube's own frame; the
    loss looks where the target was measured. What the network learns to put into the second wedge it
    then puts into the first one of y + αn.

    That is the second training. The first one only denoises, as the noise model does (§ 1.2) or two halves
    do: what it makes of the volume is the result in the measured region.
    """

    name: ClassVar[str] = "noise-model"
    config_type = FillingConfig
    takes_halves: ClassVar[bool] = True

    @property
    def rounds(self) -> int:
        """Denoising, then filling."""
        return 2

    @property
    def denoises_first(self) -> bool:
        """Always."""
        return True

    def at_round(self, number: int) -> Self:
        """Filling takes a share of the steps of denoising."""
        steps, begins = self.config.steps, number > self.config.round
        update: dict[str, int] = {"round": number}
        if steps is not None and begins:
            update["steps"] = max(1, round(self.config.filling_share * steps))
        return type(self)(self.config.model_copy(update=update), precision=self.precision)

    def refilled(self, volume: PreparedVolume, prediction: NDArray[np.float32]) -> PreparedVolume:
        """The volume, with what the first round made of it kept for the end."""
        return replace(volume, denoised=prediction)

    def completed(self, volume: PreparedVolume, prediction: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the second round filled in, the first one's result in the measured region."""
        if volume.denoised is None:
            return prediction
        return merged(volume.denoised, prediction, self.wedge)

    def adapted(self, volumes: Sequence[PreparedVolume]) -> Self:
        """The noise model's settings, and the wedge."""
        fixed = NoiseModel(self.config).adapted(volumes).config
        update = fixed.model_dump(include=set(NoiseModelConfig.model_fields))
        config = with_wedge(self.config.model_copy(update=update), volumes)
        return type(self)(config, precision=self.precision)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> RecorruptedObjective | FillingObjective:
        """Pairs from all volumes: as they lie in the first round, rotated in the second."""
        network, halves = placed(network, device), any(v.volume.target is not None for v in volumes)
        if self.config.round:
            return FillingObjective(network, volumes, self.config, device)
        if halves:
            upright = self.config.model_copy(update={"upright_share": 1.0})
            return FillingObjective(network, volumes, upright, device)
        return RecorruptedObjective(network, volumes, self.config, device)

    def members(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> list[Predictor]:
        """Equally good predictions, whose mean is the result and whose spread its uncertainty.

        They differ in the noise drawn, every second time the last with its sign turned, and in the
        mirror image. Two halves need no noise: there the members are the mirror images that have the
        same wedge.
        """
        network = placed(network, device).eval()
        mirrors = fixed_wedge(self.config).mirrors
        if volume.volume.target is not None:
            return [self._member(network, volume, device, None, 0.0, mirror) for mirror in mirrors]
        if not self.config.round:
            return NoiseModel(self.config, precision=self.precision).members(network, volume, device, seed)
        spectrum, alpha = seen_spectrum(volume), fixed_alpha(self.config)
        fields = PeriodicFields(lambda shape, g: NoiseGenerator(spectrum, shape).draw(g)[0], seed)
        return [
            self._member(
                network,
                volume,
                device,
                (fields, draw // 2),
                -alpha if draw % 2 else alpha,
                mirrors[draw // 2 % 4],
            )
            for draw in range(self.config.draws)
        ]

    def _member(
        self,
        network: nn.Module,
        volume: PreparedVolume,
        device: torch.device,
        noise: tuple[PeriodicFields, int] | None,
        strength: float,
        mirror: int,
    ) -> Predictor:
        def predict(block: Tensor, tile: Tile) -> Tensor:
            gain = gain_over(volume, tile.start, tile.shape)
            level = levelled(volume, block, gain)
            if noise is not None:
                fields, index = noise
                grid = [np.arange(s, s + n) for s, n in zip(tile.start, tile.shape, strict=True)]
                level = level + strength * fields.cut(index, grid)
            return predict_mirrored(network, level, mirror, device, self.precision) * gain.to(device)

        return predict


class FillingObjective:
    """The Fourier loss between the two members of a pair, one of them with a second wedge.

    Parameters
    ----------
    network
        What is trained.
    volumes
        Prepared by `WedgeFilling.prepare`.
    config
        Settings, the wedge fixed.
    device
        Where it is trained.
    """

    def __init__(
        self,
        network: nn.Module,
        volumes: Sequence[PreparedVolume],
        config: FillingConfig,
        device: torch.device,
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.volumes, self.wedge = volumes, fixed_wedge(config)
        self.patches = RotatedPatches([v.network_volume for v in volumes], config.patch_side)
        self.kept = self.wedge.region((config.patch_side,) * 3)

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare."""
        drawn = [self._drawn(generator) for _ in range(self.config.batch)]
        x, t, m, kept, measured = batches_of([tensors for tensors, _ in drawn], self.device)
        difference = (self.network(x).float() - t) * m
        return measured_fourier_loss(difference, kept, measured), " and ".join(where for _, where in drawn)

    def _drawn(self, generator: torch.Generator) -> tuple[tuple[Tensor, ...], str]:
        """Input, target, where they lie in the volume, what each has of Fourier space; the place."""
        upright = torch.rand((), generator=generator).item() < self.config.upright_share
        placement = self.patches.draw(generator, mirroring if upright else None)
        first, second = self._pair(placement, generator)
        shape = self.volumes[placement.volume].network_volume.data.shape
        tensors = (
            first if upright else emptied(first, self.kept),
            second,
            torch.from_numpy(placement.inside(shape)),
            torch.ones_like(self.kept) if upright else self.kept,
            self.wedge.region(first.shape, torch.from_numpy(placement.rotation)),
        )
        return tensors, placement.where

    def _pair(self, placement: Placement, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Input and target, the input not emptied yet."""
        volume = self.volumes[placement.volume]
        source, start, shape = volume.network_volume, placement.start, placement.shape
        values = torch.from_numpy(source.normalization.apply(read_block(source.data, start, shape)))
        if source.target is not None:
            other = torch.from_numpy(source.normalization.apply(read_block(source.target, start, shape)))
            pair = (values, other)
            if torch.rand((), generator=generator).item() < 0.5:
                pair = pair[::-1]
        else:
            level = levelled(volume, values, gain_over(volume, start, shape))
            noise = NoiseGenerator(seen_spectrum(volume), shape).draw(generator)[0]
            pair = recorrupted_pair(level, noise, fixed_alpha(self.config))
        first, second = (torch.from_numpy(placement.cut(part.numpy())) for part in pair)
        return first, second
