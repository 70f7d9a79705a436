"""What every denoising method offers, so that workflows can treat them alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from vitreous.inference.predict import Predictor
from vitreous.training import Objective, TrainingSettings, TrainingVolume


class LearnedConfig(BaseModel):
    """Settings that all learned methods share; each method's own config adds to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    steps: int = 1000
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["cosine", "constant"] = "cosine"
    batch: int = 2
    patch_side: int = 48
    width: int = 16

    def training_settings(self, seed: int, device: torch.device, precision: str) -> TrainingSettings:
        """What the training loop needs of this configuration."""
        return TrainingSettings(
            steps=self.steps,
            learning_rate=self.learning_rate,
            seed=seed,
            device=device,
            precision=precision,
            betas=self.betas,
            schedule=self.schedule,
        )


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """A volume with what a method found out about it before any training.

    `noise_spectrum` is FFT-ordered in units of the standardized volume's variance (None for methods
    without one); `summary` says in words what was found; `warnings` what may spoil the result.
    """

    volume: TrainingVolume
    noise_spectrum: Tensor | None = None
    summary: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class ClassicalMethod(Protocol):
    """A filter: no training."""

    name: ClassVar[str]

    def denoise(self, data: NDArray[Any], spacing_angstrom: float | None) -> NDArray[np.float32]:
        """Filtered copy of (z, y, x) grey values."""


class LearnedMethod(Protocol):
    """A method that trains a network on the very volumes it denoises.

    `margin` and `stride` are what the network asks of tiles (`inference.tiles_of`);
    `tile` is the block side it must be given, None for any.
    """

    name: ClassVar[str]
    config: LearnedConfig
    tile: int | None

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Look at one volume: cheap, deterministic, no training."""

    def build_network(self, seed: int) -> nn.Module:
        """The untrained network, initialized from `seed`; it has `stride` and `receptive_radius`."""

    def objective(self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device) -> Objective:
        """What to train the network on."""

    def predictor(self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int) -> Predictor:
        """The trained network as a function of blocks of `volume`."""


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on its device, in the memory layout that 3-D convolutions are fastest in."""
    return network.to(device=device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]


def batch_of(crops: Sequence[Tensor], device: torch.device) -> Tensor:
    """Crops (z, y, x) as one batch (n, 1, z, y, x) on the device, channels last."""
    return torch.stack(list(crops))[:, None].to(device=device, memory_format=torch.channels_last_3d)


def mirrored(index: int) -> tuple[int, ...]:
    """The axes of the index-th of the eight mirror images of a volume."""
    return tuple(axis for axis in range(3) if (index >> axis) & 1)


def predict_block(network: nn.Module, block: Tensor, device: torch.device, precision: str) -> Tensor:
    """One forward pass on a block (z, y, x), float32, on the device."""
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        out: Tensor = network(batch_of([block], device))
    return out[0, 0].float()

