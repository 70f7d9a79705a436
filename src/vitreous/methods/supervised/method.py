"""Supervised denoising: networks of the papers, trained on pairs simulated in the tomogram's own style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self, TypeVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from vitreous.core import AS_IS
from vitreous.inference.predict import Predictor
from vitreous.losses import masked_mean_square
from vitreous.methods.method import (
    LearnedConfig,
    PreparedVolume,
    VolumeIndependent,
    batch_of,
    batches_of,
    mirror_mean,
    placed,
)
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig
from vitreous.methods.noise_model.method import PatchNoise, seen_spectrum
from vitreous.methods.supervised.pairs import (
    CLEAR_SKEWNESS,
    clean_boxes,
    described,
    skewness_of_blocks,
    style_of,
)
from vitreous.networks import DnCnn3d, FfdNet3d, VNet3d
from vitreous.training import Patch, PatchSampler, TrainingVolume

SEEN = ("noise share of variance", "Fourier space filled by noise", "tilt axis", "network works on")
UNCLEAR = (
    "The grey values do not tell whether protein is dark or bright; it was taken to be dark. If it is not, "
    'say so: protein = "bright" in a file for --config.'
)


class SupervisedConfig(LearnedConfig):
    """Settings that the supervised methods share.

    `binning` is chosen from the noise spectrum when None. `boxes` specimens of `box_side`³ voxels are
    simulated for each tomogram. `noise_levels`: the noise of a training patch is the tomogram's times
    a factor between the two. `protein`: whether it is dark, as in raw tomograms, or bright; read off the
    tomogram when None.
    """

    binning: PositiveInt | None = None
    boxes: PositiveInt = 3
    box_side: PositiveInt = 96
    noise_levels: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)
    protein: Literal["dark", "bright"] | None = None


class DnCnnConfig(SupervisedConfig):
    """Settings of DnCNN; the published one has width 64 and depth 17."""

    depth: PositiveInt = 10


class FfdNetConfig(SupervisedConfig):
    """Settings of FFDNet; the published one has width 64 and depth 15."""

    width: PositiveInt = 64
    depth: PositiveInt = 6
    noise_levels: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.4)


class VNetConfig(SupervisedConfig):
    """Settings of V-Net; the published one has 4 levels and kernels of 5³."""

    levels: PositiveInt = 2
    kernel_side: PositiveInt = 3


ConfigT = TypeVar("ConfigT", bound=SupervisedConfig)


class Supervised(VolumeIndependent[ConfigT]):
    """Train from simulated noisy specimens to the clean ones; subclasses say which network.

    The specimens have the tomogram's voxel spacing, missing wedge and signal strength, the noise its
    estimated spectrum. What the specimen of the tomogram looks like is not asked: where it differs
    from the simulated ones, this is no upper bound.
    """

    sees_level: ClassVar[bool] = False  # whether channel 1 of the network's input is the noise level

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Estimate the noise spectrum and choose the binning, as the noise model does."""
        config = self.config
        prepared = NoiseModel(NoiseModelConfig(binning=config.binning)).prepare(volume)
        sign, clear = self.contrast(prepared)
        summary = {key: text for key, text in prepared.summary.items() if key in SEEN}
        summary["protein"] = "bright" if sign > 0 else "dark"
        if volume.voxel_spacing_angstrom is not None:  # a trained network does without
            summary["trained on"] = described(style_of(prepared), config.boxes, config.box_side)
        warnings = () if clear else (UNCLEAR,)
        return replace(prepared, summary=summary, warnings=warnings, gain=None, stabilizer=None)

    def contrast(self, volume: PreparedVolume) -> tuple[int, bool]:
        """1 where protein is bright and -1 where it is dark, and whether there is no doubt about it."""
        if self.config.protein is not None:
            return (1 if self.config.protein == "bright" else -1), True
        skewness = skewness_of_blocks(volume.network_volume)
        return (1 if skewness > CLEAR_SKEWNESS else -1), abs(skewness) > CLEAR_SKEWNESS

    def adapted(self, volumes: Sequence[PreparedVolume]) -> Self:
        """The weakest binning that any of the volumes asks for."""
        binning = min(v.binning for v in volumes)
        return type(self)(self.config.model_copy(update={"binning": binning}), precision=self.precision)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> SimulatedObjective:
        """Pairs in the style of all volumes; simulating them takes seconds the first time."""
        return SimulatedObjective(
            placed(network, device), volumes, self.config, device, sees_level=self.sees_level
        )

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean over the eight mirror images, of the volume with bright protein."""
        if self.sees_level:
            network = AtLevel(network, noise_deviation(volume))
        sign, predict = self.contrast(volume)[0], mirror_mean(network, device, self.precision)
        return lambda block, tile: sign * predict(sign * block, tile)


class DnCnn(Supervised[DnCnnConfig]):
    """Supervised DnCNN."""

    name: ClassVar[str] = "dncnn"
    config_type = DnCnnConfig

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return 16.0 * self.config.width

    def build_network(self, seed: int) -> nn.Module:
        """A DnCNN."""
        torch.manual_seed(seed)
        return DnCnn3d(width=self.config.width, depth=self.config.depth)


class FfdNet(Supervised[FfdNetConfig]):
    """Supervised FFDNet; it is told the noise level that the tomogram's spectrum has."""

    name: ClassVar[str] = "ffdnet"
    config_type = FfdNetConfig
    sees_level = True

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return 32.0 + 1.25 * self.config.width

    def build_network(self, seed: int) -> nn.Module:
        """An FFDNet."""
        torch.manual_seed(seed)
        return FfdNet3d(width=self.config.width, depth=self.config.depth)


class VNet(Supervised[VNetConfig]):
    """Supervised V-Net."""

    name: ClassVar[str] = "vnet"
    config_type = VNetConfig

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return 40.0 * self.config.width

    def build_network(self, seed: int) -> nn.Module:
        """A V-Net."""
        torch.manual_seed(seed)
        return VNet3d(width=self.config.width, levels=self.config.levels, kernel_side=self.config.kernel_side)


class AtLevel(nn.Module):
    """A network of volume and noise level as a network of the volume alone."""

    def __init__(self, network: nn.Module, level: float) -> None:
        super().__init__()
        self.network, self.level = network, level

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, 1, z, y, x) to the same shape."""
        out: Tensor = self.network(torch.cat([x, torch.full_like(x, self.level)], dim=1))
        return out


def noise_deviation(volume: PreparedVolume) -> float:
    """Deviation of the noise that the network sees, in units of its input."""
    return math.sqrt(seen_spectrum(volume).mean())


class SimulatedObjective:
    """Mean squared error from a simulated noisy patch to the clean one.

    The noise is drawn anew in every step. Protein is always bright: a V-Net trained with
    either contrast had 1.4 times the error.

    Parameters
    ----------
    network
        What is trained.
    volumes
        Prepared by `Supervised.prepare`.
    config
        Settings.
    device
        Where it is trained.
    sees_level
        Whether the network wants the noise level as a second channel.
    """

    def __init__(
        self,
        network: nn.Module,
        volumes: Sequence[PreparedVolume],
        config: SupervisedConfig,
        device: torch.device,
        *,
        sees_level: bool,
    ) -> None:
        self.network, self.config, self.device, self.sees_level = network, config, device, sees_level
        styles = [style_of(v) for v in volumes]
        boxes = [
            TrainingVolume(box, AS_IS, name=f"simulated box {index + 1}")
            for style in styles
            for index, box in enumerate(clean_boxes(style, config.boxes, config.box_side))
        ]
        self.sampler = PatchSampler(boxes, config.patch_side)
        self.noise = [PatchNoise(v, config.patch_side) for v in volumes]
        self.deviations = [noise_deviation(v) for v in volumes]

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare."""
        patches = [self.sampler.draw(generator) for _ in range(self.config.batch)]
        pairs = [self._pair(patch, generator) for patch in patches]
        noisy, clean, levels = batches_of(pairs, self.device)
        inside = batch_of([p.inside for p in patches], self.device)
        x = torch.cat([noisy, levels], dim=1) if self.sees_level else noisy
        loss = masked_mean_square(self.network(x).float(), clean, inside)
        return loss, " and ".join(p.where for p in patches)

    def _pair(self, patch: Patch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy patch, clean patch, and the level of its noise in every voxel."""
        which = patch.volume // self.config.boxes
        lowest, highest = self.config.noise_levels
        factor = lowest + (highest - lowest) * torch.rand((), generator=generator).item()
        noise = factor * self.noise[which].draw(patch, generator)
        level = torch.full_like(noise, factor * self.deviations[which])
        return patch.values + noise, patch.values, level
