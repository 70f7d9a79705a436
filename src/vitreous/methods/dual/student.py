"""The denoiser that DUAL's own simulation teaches: densities, and tomograms made of them, are pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitreous.losses import masked_mean_square
from vitreous.methods.dual.config import DualConfig
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.method import batch_of, mirrored
from vitreous.training import Patch, PatchSampler, TrainingVolume

MEASURED = 12  # patches whose mean and deviation all simulated ones are standardized by
MEASURE_SEED = 31


class StudentObjective:
    """Mean squared error between densities and what the student makes of their simulated tomograms.

    Nothing rewards a result that only looks right, as the discriminators do; and each patch has a new
    draw of the noise.

    Parameters
    ----------
    teacher
        The networks after the game; they do not change.
    clean
        The clean domain.
    config
        Settings.
    device
        Where it is trained.
    """

    def __init__(
        self,
        teacher: DualNetworks,
        clean: Sequence[TrainingVolume],
        config: DualConfig,
        device: torch.device,
    ) -> None:
        if teacher.student is None:
            raise ValueError("the networks have no student")
        self.network: nn.Module = teacher.student
        self.teacher, self.config, self.device = teacher, config, device
        self.sampler = PatchSampler(clean, config.student_side)
        generator = torch.Generator().manual_seed(MEASURE_SEED)
        seen = torch.cat([self.simulated(self.sampler.draw(generator), generator) for _ in range(MEASURED)])
        self.mean, self.deviation = float(seen.mean()), float(seen.std())

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a patch, simulate a tomogram of it, standardized as tomograms are, and compare.

        Both are mirrored at random, as the tomogram is that the student will be shown: a mirrored wedge or
        gradient of the noise must be no surprise.
        """
        patch = self.sampler.draw(generator)
        tomogram = (self.simulated(patch, generator) - self.mean) / self.deviation
        flips = mirrored(int(torch.randint(8, (), generator=generator)))
        shown, density, inside = (
            batch_of([part.flip(flips)], self.device) for part in (tomogram[0, 0], patch.values, patch.inside)
        )
        found = self.network(shown).float()
        return masked_mean_square(found, density, inside), patch.where

    @torch.no_grad()
    def simulated(self, patch: Patch, generator: torch.Generator) -> Tensor:
        """A tomogram (1, 1, z, y, x) of a patch of the clean domain, with a draw of the noise."""
        density = batch_of([patch.values], self.device)
        return self.teacher.tomogram(density, self.teacher.masks_for(1, density.shape[-3:], generator))
