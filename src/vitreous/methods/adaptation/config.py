"""Settings of domain adaptation, and those of the paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from vitreous.methods.method import LearnedConfig
from vitreous.training import TrainingSettings


class AdaptationConfig(LearnedConfig):
    """Settings of Vox-UDA and of what it is compared with: narrow for CPUs; `paper` has the published ones.

    Parameters
    ----------
    steps, learning_rate, schedule
        The rate falls to a tenth after each third of the steps, as published.
    batch
        Volumes of either domain in a step.
    patch_side
        Side of the volumes.
    width, norm
        Of the segmentation network.
    deep_supervision
        Weight of the segmentation loss of each scale's own logits (voxresnet); vox-uda has none.
    """

    steps: PositiveInt | None = 240
    learning_rate: PositiveFloat = 1e-3
    schedule: Literal["cosine", "constant", "steps"] = "steps"
    batch: PositiveInt = 8
    patch_side: PositiveInt = Field(32, multiple_of=8)
    width: PositiveInt = 8
    norm: Literal["group", "batch", "none"] = "group"
    deep_supervision: NonNegativeFloat = 0.0
    gradient_clip: PositiveFloat = 1.0

    @classmethod
    def paper(cls) -> AdaptationConfig:
        """The published recipe: 300 epochs of 3,000 source subtomograms in batches of 16."""
        return cls(steps=300 * 3000 // 16, batch=16, width=32, norm="batch", gradient_clip=1e9)

    def training_settings(self, seed: int, device: torch.device, precision: str) -> TrainingSettings:
        """What the training loop needs of this configuration."""
        return replace(super().training_settings(seed, device, precision), gradient_clip=self.gradient_clip)
