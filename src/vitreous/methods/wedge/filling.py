"""Denoising with wedge filling from one volume: recorrupted halves, rotated, with a second wedge cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from vitreous.core import read_block
from vitreous.fourier import NoiseGenerator
from vitreous.inference import Tile
from vitreous.inference.predict import Predictor
from vitreous.losses import measured_fourier_loss
from vitreous.methods.method import PreparedVolume, batch_of, placed, predict_mirrored
from vitreous.methods.noise2noise import pair_noise_spectrum
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig, recorrupted_pair
from vitreous.methods.noise_model.method import fixed_alpha, gain_over, levelled, seen_spectrum
from vitreous.methods.periodic import PeriodicFields
from vitreous.methods.wedge.geometry import AXES, MissingWedge, missing_wedge
from vitreous.methods.wedge.patches import Placement, RotatedPatches, emptied
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import TrainingVolume


class WedgeConfig(NoiseModelConfig):
    """Settings of the noise-model method with wedge filling; see `NoiseModelConfig` for the others.

    `tilt_range_deg` and `tilt_axis` ("y" or "x") are estimated where None. `upright_share` of the
    patches are neither rotated nor emptied: they are not interpolated, and so keep the measured region
    as sharp as plain denoising does.
    """

    tilt_range_deg: tuple[float, float] | None = None
    tilt_axis: str | None = Field(None, pattern="^[yx]$")
    upright_share: float = Field(0.25, ge=0, le=1)


class WedgeFilling:
    """Fill the missing wedge and denoise, from one volume or from two halves (DeepDeWedge, § 1.3).

    The input of training is y + αn, the target y - n/α (two halves take their places where there are
    two), both cut as the same rotated cube. The input loses a second wedge in the cube's own frame; the
    loss looks where the target was measured. What the network learns to put into the second wedge it
    then puts into the first one of y + αn.

    Parameters
    ----------
    config
        Settings.
    precision
        "float32" or "bfloat16", for prediction.
    """

    name: ClassVar[str] = "noise-model"
    tile: int | None = None
    takes_halves: ClassVar[bool] = True

    def __init__(self, config: WedgeConfig | None = None, *, precision: str = "float32") -> None:
        self.config: WedgeConfig = config or WedgeConfig()
        self.precision = precision

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return unet_bytes_per_voxel(self.config.width)

    @property
    def rounds(self) -> int:
        """One training is all."""
        return 1

    @property
    def wedge(self) -> MissingWedge:
        """What is missing; known after `adapted`."""
        return fixed_wedge(self.config)

    def at_round(self, number: int) -> WedgeFilling:
        """The method itself."""
        return self

    def refilled(self, volume: PreparedVolume, prediction: NDArray[np.float32]) -> PreparedVolume:
        """The volume as it is: there is no second round."""
        return volume

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """What the noise model finds out; with two halves, the noise of their mean. And the tilt range."""
        return prepared_for_filling(volume, self.config)

    def adapted(self, volumes: Sequence[PreparedVolume]) -> WedgeFilling:
        """The noise model's settings, and the wedge."""
        fixed = NoiseModel(self.config).adapted(volumes).config
        return WedgeFilling(with_wedge(self.config, fixed, volumes), precision=self.precision)

    def build_network(self, seed: int) -> nn.Module:
        """A U-Net."""
        return self.config.build_unet(seed)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> FillingObjective:
        """Rotated pairs from all volumes."""
        return FillingObjective(placed(network, device), volumes, self.config, device)

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

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean of the members."""
        return mean_of(self.members(network, volume, device, seed))

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


def mean_of(members: Sequence[Predictor]) -> Predictor:
    """A predictor that averages others."""
    return lambda block, tile: torch.stack([member(block, tile) for member in members]).mean(0)


def prepared_for_filling(volume: TrainingVolume, config: WedgeConfig) -> PreparedVolume:
    """A volume with its noise spectrum, and with the tilt range in words."""
    if volume.target is None:
        prepared = replace(NoiseModel(config).prepare(volume), stabilizer=None)
    else:
        prepared = PreparedVolume(volume, pair_noise_spectrum(volume), summary=config.beginning)
    wedge = wedge_of(prepared, config)
    how = "estimated from the noise" if config.tilt_range_deg is None else "as given"
    summary = {
        k: v for k, v in prepared.summary.items() if k not in ("tilt axis", "noise follows the density")
    }
    return replace(prepared, summary={**summary, "tilt range": f"{wedge.described} ({how})"})


def wedge_of(prepared: PreparedVolume, config: WedgeConfig) -> MissingWedge:
    """The wedge of a prepared volume."""
    if prepared.noise_spectrum is None:
        raise ValueError("the volume was not prepared by a method that estimates its noise")
    return missing_wedge(
        prepared.noise_spectrum,
        prepared.volume.name,
        tilt_range_deg=config.tilt_range_deg,
        tilt_axis=None if config.tilt_axis is None else AXES[config.tilt_axis],
        likely_axis=prepared.tilt_axis or 1,
    )


def with_wedge(
    config: WedgeConfig, fixed: NoiseModelConfig, volumes: Sequence[PreparedVolume]
) -> WedgeConfig:
    """The configuration with what the noise model fixed, and the first volume's wedge."""
    wedge = wedge_of(volumes[0], config)
    limits = tuple(round(v, 1) for v in wedge.tilt_range_deg)
    update = {"tilt_range_deg": limits, "tilt_axis": "y" if wedge.tilt_axis == 1 else "x"}
    settings = {**fixed.model_dump(include=set(NoiseModelConfig.model_fields)), **update}
    return config.model_copy(update=settings)


def fixed_wedge(config: WedgeConfig) -> MissingWedge:
    """The wedge of a configuration that `adapted` has fixed."""
    if config.tilt_range_deg is None or config.tilt_axis is None:
        raise ValueError("the wedge was left to the volumes: call the method's adapted() first")
    return MissingWedge(config.tilt_range_deg, AXES[config.tilt_axis])


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
        config: WedgeConfig,
        device: torch.device,
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.volumes, self.wedge = volumes, fixed_wedge(config)
        self.patches = RotatedPatches([v.network_volume for v in volumes], config.patch_side)
        self.kept = self.wedge.region((config.patch_side,) * 3)

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare."""
        inputs, targets, insides, kept, measured, places = [], [], [], [], [], []
        for _ in range(self.config.batch):
            upright = torch.rand((), generator=generator).item() < self.config.upright_share
            placement = self.patches.draw(generator, upright=upright)
            first, second = self._pair(placement, generator)
            inputs.append(first if upright else emptied(first, self.kept))
            targets.append(second)
            kept.append(torch.ones_like(self.kept) if upright else self.kept)
            measured.append(self.wedge.region(first.shape, torch.from_numpy(placement.rotation)))
            shape = self.volumes[placement.volume].network_volume.data.shape
            insides.append(torch.from_numpy(placement.inside(shape)))
            places.append(placement.where)
        x, t, m = (batch_of(part, self.device) for part in (inputs, targets, insides))
        left, seen = (torch.stack(part)[:, None].to(self.device) for part in (kept, measured))
        difference = (self.network(x).float() - t) * m
        return measured_fourier_loss(difference, left, seen), " and ".join(places)

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
