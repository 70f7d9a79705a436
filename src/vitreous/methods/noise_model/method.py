"""Denoising one volume with the help of its own noise spectrum (recorrupted-to-recorrupted)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from vitreous.fourier import NoiseGenerator
from vitreous.inference import Tile
from vitreous.inference.predict import Predictor
from vitreous.losses import masked_mean_square
from vitreous.methods.method import LearnedConfig, PreparedVolume, batch_of, mirrored, placed, predict_block
from vitreous.methods.noise_model.spectrum import estimate_noise_spectrum
from vitreous.networks import UNet3d
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import PatchSampler, TrainingVolume, step_generator

WRAP = 16  # the drawn noise is periodic: a patch is cut from a block this much larger
PERIOD = 96  # of the noise added at prediction


class NoiseModelConfig(LearnedConfig):
    """Settings of the noise-model method.

    `alpha` splits the added noise between input and target; `draws` is the number of noise draws
    averaged at prediction.
    """

    alpha: float = 0.7
    draws: int = 16
    levels: int = 2


class NoiseModel:
    """Train from y + αn to y - n/α with n drawn from the estimated noise spectrum.

    For Gaussian noise of that spectrum the noises of the two are independent, so the least-squares
    optimum is E[x | y + αn]; the prediction averages it over draws (Pang et al. 2021, eqs 4–8).

    Parameters
    ----------
    config
        Settings.
    precision
        "float32" or "bfloat16", for prediction.
    """

    name: ClassVar[str] = "noise-model"
    tile: int | None = None

    def __init__(self, config: NoiseModelConfig | None = None, *, precision: str = "float32") -> None:
        self.config: NoiseModelConfig = config or NoiseModelConfig()
        self.precision = precision

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return unet_bytes_per_voxel(self.config.width)

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Estimate the noise spectrum."""
        spectrum = estimate_noise_spectrum(volume.data, volume.normalization, volume.mask)
        summary = {
            "noise share of variance": f"{min(spectrum.noise_share, 1):.0%}",
            "Fourier space filled by noise": f"{spectrum.filled_share:.0%}",
            "tilt axis": "y" if spectrum.tilt_axis == 1 else "x",
            "quiet patches": str(spectrum.patches),
        }
        return PreparedVolume(volume, spectrum.power, summary)

    def build_network(self, seed: int) -> nn.Module:
        """A U-Net."""
        torch.manual_seed(seed)
        return UNet3d(width=self.config.width, levels=self.config.levels)

    def objective(self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device) -> RecorruptedObjective:
        """Recorrupted pairs from all volumes, each with its own noise."""
        return RecorruptedObjective(placed(network, device), volumes, self.config, device)

    def predictor(self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int) -> Predictor:
        """Mean over noise draws, each seen in another of the eight mirror images.

        The noise of a draw is one periodic field fixed to the volume's coordinates: neighbouring
        tiles see the same noise where they overlap, so that tiling leaves no seams.
        """
        network = placed(network, device).eval()
        noise = _periodic_noise(volume, self.config.draws, seed)

        def predict(block: Tensor, tile: Tile) -> Tensor:
            total = torch.zeros(block.shape, device=device)
            for draw in range(self.config.draws):
                flips = mirrored(draw % 8)
                noisy = (block + self.config.alpha * noise(draw, tile)).flip(flips)
                total += predict_block(network, noisy, device, self.precision).flip(flips)
            return total / self.config.draws

        return predict


class RecorruptedObjective:
    """Mean squared error from y + αn to y - n/α on random patches."""

    def __init__(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], config: NoiseModelConfig, device: torch.device
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.sampler = PatchSampler([v.volume for v in volumes], config.patch_side)
        block = (config.patch_side + WRAP,) * 3
        self.noise = [NoiseGenerator(_spectrum(v), block) for v in volumes]

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare."""
        inputs, targets, insides, places = [], [], [], []
        for _ in range(self.config.batch):
            patch = self.sampler.draw(generator)
            block = self.noise[patch.volume].draw(generator)[0]
            noise = block[tuple(slice(0, n) for n in patch.values.shape)].flip(patch.flips)
            first, second = recorrupted_pair(patch.values, noise, self.config.alpha)
            inputs.append(first)
            targets.append(second)
            insides.append(patch.inside)
            places.append(patch.where)
        x, t, m = (batch_of(part, self.device) for part in (inputs, targets, insides))
        return masked_mean_square(self.network(x).float(), t, m), " and ".join(places)


def recorrupted_pair(values: Tensor, noise: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """y + αn and y - n/α: independent noises when n is Gaussian with the noise's own spectrum."""
    return values + alpha * noise, values - noise / alpha


def _spectrum(volume: PreparedVolume) -> Tensor:
    if volume.noise_spectrum is None:
        raise ValueError("the volume was not prepared by NoiseModel.prepare")
    return volume.noise_spectrum


def _periodic_noise(volume: PreparedVolume, draws: int, seed: int) -> Callable[[int, Tile], Tensor]:
    """A function of (draw, tile) that cuts a tile's noise from fields of period 96 voxels."""
    source = NoiseGenerator(_spectrum(volume), (PERIOD,) * 3)
    fields: list[Tensor] = []

    def cut(draw: int, tile: Tile) -> Tensor:
        while len(fields) <= draw:
            fields.append(source.draw(step_generator(seed, len(fields)))[0])
        block = fields[draw]
        for axis, (start, side) in enumerate(zip(tile.start, tile.shape, strict=True)):
            block = block.index_select(axis, torch.arange(start, start + side) % PERIOD)
        return block

    if draws < 1:
        raise ValueError("at least one draw is needed")
    return cut
