"""What every wedge-filling method offers beyond what a learned denoising method does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitreous.inference import Tile
from vitreous.inference.predict import Predictor
from vitreous.methods.method import PreparedVolume, placed, predict_mirrored
from vitreous.methods.wedge.config import WedgeConfig, fixed_wedge
from vitreous.methods.wedge.geometry import MissingWedge
from vitreous.methods.wedge.preparation import prepared_for_filling, with_wedge
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import Trainable, TrainingVolume

ConfigT = TypeVar("ConfigT", bound=WedgeConfig)
Array = NDArray[np.float32]


class WedgeMethod(ABC, Generic[ConfigT]):
    """A method that fills the missing wedge of the very volumes it learns from.

    Parameters
    ----------
    config
        Settings; those of `config_type` if None.
    precision
        "float32" or "bfloat16", for prediction.

    Attributes
    ----------
    takes_halves
        Whether it can learn from two half tomograms.
    rounds
        Number of trainings, each from where the last one ended.
    denoises_first
        Whether what the round before the last one predicts is the result in the measured region.
    """

    name: ClassVar[str]
    config_type: type[ConfigT]
    tile: int | None = None
    takes_halves: ClassVar[bool] = False

    def __init__(self, config: ConfigT | None = None, *, precision: str = "float32") -> None:
        self.config: ConfigT = config or self.config_type()
        self.precision = precision

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return unet_bytes_per_voxel(self.config.width)

    @property
    def rounds(self) -> int:
        """Number of trainings: one is all, unless a method says otherwise."""
        return 1

    @property
    def denoises_first(self) -> bool:
        """Whether the last round fills the missing region alone, of what an earlier one denoised."""
        return False

    @property
    def wedge(self) -> MissingWedge:
        """What is missing; known after `adapted`."""
        return fixed_wedge(self.config)

    def at_round(self, number: int) -> Self:
        """The method as it trains in a round, counted from 0."""
        return type(self)(self.config.model_copy(update={"round": number}), precision=self.precision)

    def refilled(self, volume: PreparedVolume, prediction: Array) -> PreparedVolume:
        """What the next round trains on, given what the network makes of the volume now."""
        return volume

    def seen(self, volume: PreparedVolume) -> list[NDArray[Any]]:
        """The arrays whose predictions are averaged, given what the last round trained on."""
        source = volume.network_volume
        return [source.data] if source.target is None else [source.data, source.target]

    def completed(self, volume: PreparedVolume, prediction: Array) -> Array:
        """The result, given what the last round trained on and its mean prediction, in grey values."""
        return prediction

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """What the noise model finds out; with two halves, the noise of their mean. And the tilt range."""
        return prepared_for_filling(volume, self.config)

    def adapted(self, volumes: Sequence[PreparedVolume]) -> Self:
        """The method with the wedge fixed."""
        return type(self)(with_wedge(self.config, volumes), precision=self.precision)

    def build_network(self, seed: int) -> nn.Module:
        """A U-Net."""
        return self.config.build_unet(seed)

    @abstractmethod
    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> Trainable:
        """What to train the network on in this round."""

    def members(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Sequence[Predictor]:
        """Equally good predictions, whose mean is the result and whose spread its uncertainty.

        Here the mirror images that have the same wedge.
        """
        network = placed(network, device).eval()

        def member(mirror: int) -> Predictor:
            return lambda block, tile: predict_mirrored(network, block, mirror, device, self.precision)

        return [member(mirror) for mirror in self.wedge.mirrors]

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean of the members."""
        members = self.members(network, volume, device, seed)

        def predict(block: Tensor, tile: Tile) -> Tensor:
            return torch.stack([member(block, tile) for member in members]).mean(0)

        return predict
