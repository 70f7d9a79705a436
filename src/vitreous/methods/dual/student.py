"""The denoiser that DUAL's own simulation teaches: densities, and tomograms made of them, are pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitreous.losses import masked_mean_square
from vitreous.methods.dual.beads import Bead, overlaid
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
    beads
        Gold of the tomograms, which a share of the patches get and the result shall not have.
    config
        Settings.
    device
        Where it is trained.
    """

    def __init__(
        self,
        teacher: DualNetworks,
        clean: Sequence[TrainingVolume],
        beads: Sequence[Bead],
        config: DualConfig,
        device: torch.device,
    ) -> None:
        if teacher.student is None:
            raise ValueError("the networks have no student")
        self.network: nn.Module = teacher.student
        self.teacher, self.beads, self.config, self.device = teacher, beads, config, device
        self.sampler = PatchSampler(clean, config.student_side)
        generator = torch.Generator().manual_seed(MEASURE_SEED)
        patches = [self.sampler.draw(generator) for _ in range(MEASURED)]
        seen = torch.cat([self.simulated(patch, generator) for patch in patches])
        self.ice = float(torch.stack([patch.values for patch in patches]).median())
        self.mean, self.deviation = float(seen.mean()), float(seen.std())

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a patch, simulate a tomogram of it, standardized as tomograms are, and compare.

        Both are mirrored at random, as the tomogram is that the student will be shown: a mirrored wedge or
        gradient of the noise must be no surprise.
        """
        patch = self.sampler.draw(generator)
        standardized = (self.simulated(patch, generator) - self.mean) / self.deviation
        tomogram, density = self.with_gold(standardized[0, 0].cpu(), patch.values, generator)
        flips = mirrored(int(torch.randint(8, (), generator=generator)))
        shown, wanted, inside = (
            batch_of([part.flip(flips)], self.device) for part in (tomogram, density, patch.inside)
        )
        found = self.network(shown).float()
        return masked_mean_square(found, wanted, inside), patch.where

    def with_gold(
        self, tomogram: Tensor, density: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A patch (z, y, x) and its density, or the same with a bead laid over, if there are any."""
        if not self.beads or float(torch.rand((), generator=generator)) >= self.config.gold_share:
            return tomogram, density
        bead = self.beads[int(torch.randint(len(self.beads), (), generator=generator))]
        return overlaid(tomogram, density, self.ice, bead, generator)

    @torch.no_grad()
    def simulated(self, patch: Patch, generator: torch.Generator) -> Tensor:
        """A tomogram (1, 1, z, y, x) of a patch of the clean domain, with a draw of the noise."""
        density = batch_of([patch.values], self.device)
        return self.teacher.tomogram(density, self.teacher.masks_for(1, density.shape[-3:], generator))
