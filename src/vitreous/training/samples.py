"""Where the training of a segmentation draws from: labelled volumes, and others without labels."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class LabelledSamples(Protocol):
    """Volumes with a class for every voxel."""

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Standardized volumes (count, 1, z, y, x) float32, and labels (count, z, y, x) int64 from 0.

        The same state of the generator gives the same draw.
        """

    @property
    def original(self) -> LabelledSamples:
        """The same volumes before they are scaled or shifted: of these, noise is measured."""


class UnlabelledSamples(Protocol):
    """Volumes of which nothing is known."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Standardized volumes (count, 1, z, y, x) float32; see `LabelledSamples.draw`."""


def standardized(volumes: Tensor) -> Tensor:
    """Volumes (n, 1, z, y, x) of mean 0 and deviation 1, each for itself; constant ones become 0."""
    axes = (1, 2, 3, 4)
    centred = volumes - volumes.mean(axes, keepdim=True)
    deviation = centred.square().mean(axes, keepdim=True).sqrt()
    return centred / torch.where(deviation > 0, deviation, torch.ones_like(deviation))
