"""What every wedge-filling method offers beyond what a learned denoising method does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vitreous.inference.predict import Predictor
from vitreous.methods.method import LearnedMethod, PreparedVolume
from vitreous.methods.wedge.geometry import MissingWedge


class WedgeMethod(LearnedMethod, Protocol):
    """A method that fills the missing wedge of the very volumes it learns from.

    `rounds` is how often it trains, `takes_halves` whether it can learn from two half tomograms.
    """

    takes_halves: ClassVar[bool]

    @property
    def rounds(self) -> int:
        """Number of trainings, each from where the last one ended."""

    @property
    def wedge(self) -> MissingWedge:
        """What is missing; known after `adapted`."""

    def at_round(self, number: int) -> Self:
        """The method as it trains in a round, counted from 0."""

    def refilled(self, volume: PreparedVolume, prediction: NDArray[np.float32]) -> PreparedVolume:
        """What the next round trains on, given what the network makes of the volume now."""

    def members(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Sequence[Predictor]:
        """Equally good predictions, whose mean is the result and whose spread its uncertainty."""
