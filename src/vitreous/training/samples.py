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


class UnlabelledSamples(Protocol):
    """Volumes of which nothing is known."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Standardized volumes (count, 1, z, y, x) float32; see `LabelledSamples.draw`."""
