"""Subtomograms drawn larger or smaller, so that a network does not learn how large particles are."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.training import LabelledSamples
from vitreous.training.samples import standardized


class ZoomedLabelled:
    """Labelled samples, each scaled about its middle by a factor drawn evenly on a logarithmic scale.

    What a smaller picture lacks at its borders is mirrored, labels and all. Values are interpolated linearly
    and standardized again, labels are those of the nearest voxel.

    Parameters
    ----------
    samples
        Where volumes come from.
    zoom
        Smallest and largest factor; with (1, 1) nothing is changed.

    Raises
    ------
    ValueError
        If the factors are not positive, or in the wrong order.
    """

    def __init__(self, samples: LabelledSamples, zoom: tuple[float, float]) -> None:
        if not 0 < zoom[0] <= zoom[1]:
            raise ValueError(f"{zoom} is no smallest and largest factor")
        self.samples, self.zoom = samples, zoom

    @property
    def original(self) -> LabelledSamples:
        """The volumes as they are."""
        return self.samples.original

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As the samples', scaled."""
        values, labels = self.samples.draw(count, generator)
        if self.zoom == (1.0, 1.0):
            return values, labels
        low, high = (math.log(factor) for factor in self.zoom)
        factors = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
        return zoomed(values, labels, factors)


def zoomed(values: Tensor, labels: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Volumes (n, 1, z, y, x) and labels (n, z, y, x), things in them larger by one factor (n,) each."""
    theta = torch.zeros(len(values), 3, 4, device=values.device)
    theta[:, range(3), range(3)] = (1 / factors.to(values))[:, None]
    grid = F.affine_grid(theta, list(values.shape), align_corners=False)
    scaled = F.grid_sample(values, grid, padding_mode="reflection", align_corners=False)
    nearest = F.grid_sample(
        labels[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    return standardized(scaled), nearest[:, 0].round().long()
