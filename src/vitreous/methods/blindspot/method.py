"""Training and prediction of the blind-spot method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from vitreous.core import inside_mask
from vitreous.filters import bilateral
from vitreous.inference import Tile
from vitreous.inference.predict import Predictor
from vitreous.losses import edge_maps, masked_mean_square, total_variation
from vitreous.methods.blindspot.network import BlindSpotConfig, build_network
from vitreous.methods.method import PreparedVolume, VolumeIndependent, batch_of, mirror_mean, placed
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import Patch, PatchSampler, TrainingVolume

MAD_TO_SIGMA = 1.4826


class BlindSpot(VolumeIndependent[BlindSpotConfig]):
    """Train a J-invariant network to predict the very volume it sees (volume-shuffle eqs 7–11).

    Right for noise that is independent between voxels. Reconstructed noise is not: there the
    network predicts the noise from its neighbours, and the noise model is the better choice.
    """

    name: ClassVar[str] = "blindspot"
    config_type = BlindSpotConfig

    def __init__(self, config: BlindSpotConfig | None = None, *, precision: str = "float32") -> None:
        super().__init__(config, precision=precision)
        # The paper's attention pools over its whole input: it must see blocks of the training size.
        self.tile = None if self.config.backbone == "unet" else self.config.patch_side

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        unet = self.config.backbone == "unet"
        return unet_bytes_per_voxel(self.config.width) if unet else 64.0 * self.config.widths[0]

    def build_network(self, seed: int) -> nn.Module:
        """The network of the configuration."""
        torch.manual_seed(seed)
        return build_network(self.config)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> BlindSpotObjective:
        """Self-prediction on random patches of all volumes."""
        return BlindSpotObjective(placed(network, device), [v.volume for v in volumes], self.config, device)

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean over the eight mirror images; beyond the volume there is nothing, as in training."""
        mean, shape = mirror_mean(network, device, self.precision), volume.volume.data.shape

        def predict(block: Tensor, tile: Tile) -> Tensor:
            inside = torch.from_numpy(inside_mask(tile.start, tile.shape, shape).copy())
            return mean(block * inside, tile)

        return predict


class BlindSpotObjective:
    """Weighted sum of reconstruction, guidance, edge and total-variation losses."""

    def __init__(
        self,
        network: nn.Module,
        volumes: Sequence[TrainingVolume],
        config: BlindSpotConfig,
        device: torch.device,
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.sampler = PatchSampler(volumes, config.patch_side, config.validation_share)

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare it with what its surroundings say of it."""
        patches = [self.sampler.draw(generator) for _ in range(self.config.batch)]
        return self._loss_of(patches), " and ".join(p.where for p in patches)

    def validation_loss(self) -> float | None:
        """Mean loss over the patches held out, if any are."""
        losses = [float(self._loss_of([patch])) for patch in self.sampler.held_out()]
        return sum(losses) / len(losses) if losses else None

    def _loss_of(self, patches: Sequence[Patch]) -> Tensor:
        noisy = batch_of([p.values for p in patches], self.device)
        inside = batch_of([p.inside for p in patches], self.device)
        # What fills a patch beyond the volume is a reflection, and would show a voxel to itself.
        return blind_spot_loss(self.network(noisy * inside).float(), noisy, inside, self.config)


def blind_spot_loss(prediction: Tensor, noisy: Tensor, inside: Tensor, config: BlindSpotConfig) -> Tensor:
    """Eq. 11 of the volume-shuffle paper on (b, 1, z, y, x) tensors; terms of weight zero cost nothing."""
    weights = config.losses
    total = weights.reconstruction * masked_mean_square(prediction, noisy, inside)
    if weights.guidance:
        smooth = gaussian_blur(noisy, config.guidance_sigma)
        total = total + weights.guidance * masked_mean_square(prediction, smooth, inside)
    if weights.edge:
        spread = config.bilateral_range_factor * robust_noise_sigma(noisy)
        reference = edge_maps(bilateral(noisy, spatial_sigma=1.0, range_sigma=spread))
        total = total + weights.edge * masked_mean_square(edge_maps(prediction), reference, inside)
    if weights.total_variation:
        total = total + weights.total_variation * total_variation(prediction, inside)
    return total


def robust_noise_sigma(volume: Tensor) -> float:
    """Noise deviation from the median absolute difference of neighbours along x."""
    difference = (volume[..., 1:] - volume[..., :-1]).abs()
    return float(MAD_TO_SIGMA * difference.median() / 2**0.5)


def gaussian_blur(volume: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian on (b, 1, z, y, x), edges replicated."""
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=volume.dtype, device=volume.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(3):
        pads = [0] * 6
        pads[2 * (2 - axis)] = pads[2 * (2 - axis) + 1] = radius
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = -1
        volume = nn.functional.conv3d(
            nn.functional.pad(volume, pads, mode="replicate"), kernel.reshape(shape)
        )
    return volume
