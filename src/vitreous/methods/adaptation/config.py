"""Settings of domain adaptation, and those of the paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from vitreous.filters.bilateral import Operator
from vitreous.methods.adaptation.noise import NoiseKind, Passed, Reading
from vitreous.methods.method import LearnedConfig
from vitreous.training import TrainingSettings


def in_order(factors: tuple[float, float]) -> tuple[float, float]:
    """The smallest and the largest factor; ValueError if they are not in this order."""
    if factors[0] > factors[1]:
        raise ValueError("the smallest factor comes first")
    return factors


class AdaptationConfig(LearnedConfig):
    """Settings of Vox-UDA and of what it is compared with: narrow for CPUs; `paper` has the published ones.

    Parameters
    ----------
    steps, learning_rate, schedule
        The published rate, 1e-3 that falls to a tenth after each third ("steps"), asks for 300 epochs: of a
        few hundred steps too few are worth their while. After 200 steps on the source alone a trial had
        Dice 0.67 on the target, and 0.81 with these.
    batch
        Volumes of either domain in a step.
    patch_side
        Side of the volumes.
    width, norm
        Of the segmentation network.
    zoom
        Smallest and largest factor by which labelled volumes are scaled at random: structures of the target
        may be of another size than those of the source, and a network learns sizes before anything else.
        (1, 1) is as published.
    class_weights
        Of each class in cross entropies, the background first, where some are rare; () counts all alike.
        Equal weights gave a chaperonin 0.14 Dice, and RuBisCO none, after as many steps as took them to 0.62
        and 0.67 with the inverse roots of their shares of the voxels.
    deep_supervision
        Weight of the segmentation loss of each scale's own logits (voxresnet); vox-uda has none.
    noise, noise_samples, passed_share, passed_part, noise_level
        What is added to source volumes, from how many of the target its strength is read in each step,
        through which filter and how; see `adaptation.noise`. "spectrum" is noise with the power spectrum
        that the noise model finds in the target.
    noise_amount
        "target" adds as much as the target has, as published, whatever the source has already; "missing"
        adds what the source lacks of the target's share of noise, and nothing to a source that is the
        noisier of the two.
    consistency
        λ of vox-uda eq. 7, from fine to coarse.
    adversarial
        Weight of the domain discriminator behind gradient reversal. If None each method has its own: 0.03 in
        those that are nothing without it, and 0 in vox-uda, which then does without. At the published 1 the
        game outweighs all else in a few hundred steps. At 0.03 it still broke one or two of five trainings,
        which then called hardly anything of the target a particle.
    judge_width
        Channels of the first layer of discriminators.
    pseudo_labels
        Weight of the cross entropy with the teacher's labels; 0 goes without.
    pseudo_from
        Share of the steps after which it begins.
    threshold
        η: what the teacher is less sure of is not kept.
    momentum, slow_momentum
        Of the teacher, and of the second one of LE-UDA.
    denoiser
        What the teacher's volumes are denoised with: "ibf" (as published), "bf", "ngm" or "noise-model", a
        network trained beside the others; "none" leaves them as they are. A network that has seen things in
        all sizes takes what a filter leaves of noise for large ones: 76 Dice with "ibf", 84 without.
    swapped_share
        L of the Fourier amplitudes that ASC and LE-UDA swap between domains.
    agreement
        Weight of the consistency with teachers in ASC and LE-UDA, reached after half of the steps.
    temperature, distillation
        Of LE-UDA's second teacher: what its logits are divided by, and its weight.
    cycle
        Weight of the reconstruction of volumes that PDAM has translated to and fro.
    spatial_sigma, range_sigma, relative_range, range_operator
        σ_d in voxels and σ_r of the bilateral filters, the latter in units of what noise makes
        neighbours differ by if `relative_range`, and Δ of IBF; see `filters.improved_bilateral`.
    """

    steps: PositiveInt | None = 240
    learning_rate: PositiveFloat = 1e-2
    batch: PositiveInt = 8
    patch_side: PositiveInt = Field(32, multiple_of=8)
    width: PositiveInt = 8
    norm: Literal["group", "batch", "none"] = "group"
    zoom: Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(in_order)] = (0.5, 2.5)
    class_weights: tuple[NonNegativeFloat, ...] = ()
    deep_supervision: NonNegativeFloat = 0.0
    gradient_clip: PositiveFloat = 1.0
    noise: NoiseKind = "gaussian"
    noise_samples: PositiveInt = 10
    passed_share: float = Field(0.244, gt=0, lt=1)
    passed_part: Passed = "cube"
    noise_level: Reading = "calibrated"
    noise_amount: Literal["missing", "target"] = "missing"
    consistency: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = (
        0.2,
        0.2,
        0.3,
        0.3,
    )
    adversarial: NonNegativeFloat | None = None
    judge_width: PositiveInt = 8
    pseudo_labels: NonNegativeFloat = 1.0
    pseudo_from: float = Field(1 / 3, ge=0, le=1)
    threshold: float = Field(0.85, ge=0, lt=1)
    momentum: float = Field(0.99, ge=0, lt=1)
    slow_momentum: float = Field(0.999, ge=0, lt=1)
    swapped_share: float = Field(0.1, gt=0, le=0.5)
    agreement: NonNegativeFloat = 10.0
    temperature: PositiveFloat = 2.0
    distillation: NonNegativeFloat = 1.0
    cycle: NonNegativeFloat = 10.0
    denoiser: Literal["none", "ibf", "bf", "ngm", "noise-model"] = "none"
    spatial_sigma: PositiveFloat = 120.0
    range_sigma: PositiveFloat = 1.0
    relative_range: bool = True
    range_operator: Operator = "sobel"

    @classmethod
    def paper(cls) -> AdaptationConfig:
        """The published recipe: 300 epochs of 3,000 source subtomograms in batches of 16."""
        return cls(
            steps=300 * 3000 // 16,
            learning_rate=1e-3,
            schedule="steps",
            batch=16,
            width=32,
            norm="batch",
            zoom=(1.0, 1.0),
            denoiser="ibf",
            gradient_clip=1e9,
            adversarial=1.0,
            judge_width=32,
            noise_level="variance-of-mean",
            noise_amount="target",
            range_sigma=1.2,
            relative_range=False,
            range_operator="laplacian",
        )

    def training_settings(self, seed: int, device: torch.device, precision: str) -> TrainingSettings:
        """What the training loop needs of this configuration."""
        return replace(super().training_settings(seed, device, precision), gradient_clip=self.gradient_clip)
