"""Settings of DUAL, and those of the paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from vitreous.methods.method import LearnedConfig
from vitreous.methods.warm_start import WIDTH, WarmConfig
from vitreous.training import TrainingSettings


class DualConfig(LearnedConfig):
    """Settings of DUAL: narrow for CPUs; `paper` has the published ones.

    Parameters
    ----------
    levels, norm
        Halvings of the U-Nets, and whether they have instance normalization. The paper's have; it takes
        out of every tile how dense it is, and costs half of the time.
    codes
        Length K of a noise code; the paper does not say.
    judge_width
        Channels of the first layer of discriminators, encoder and decoder.
    spectral
        Spectral normalization of the discriminators.
    noise_prior
        The noise is added after Gs, not before it, as a detector does; its masks are standardized and
        Gaussian, as sums of many electrons are, and the spectrum that the noise model estimates from the
        tomograms gives them strength and shape. What the microscope passes of each frequency is read off the
        spectra of both domains, and nothing where the tilts have not been; Gs has to learn what else it does
        to the specimen, and no noise.
    through_denoiser
        Whether the reconstruction of tomograms trains the denoiser too, as published, and not Gs and the
        noise alone: it rewards a denoiser that hands noise on. The reconstruction of densities trains Gs
        in either case: without it the game went off after 90 steps of a trial.
    reconstruction, adversarial, divergence, feature_matching
        Weights λ1, λ2, λ3 of dual eq. 3, and of feature matching.
    departure
        Weight of what Gs changes of the prior's signal, as a share of its power. Left alone it unlearns in
        240 steps what the spectra say: of a held-out specimen its signal correlated with the microscope's at
        0.88 and 0.93 in place of 0.96, and was a fifth to a half too weak.
    bounded_divergence
        log(1 + KL) instead of the KL of dual eq. 9: the same minimum, but codes that have drifted together
        do not outweigh everything else. In a trial of 600 steps the KL rose to 2500.
    student_ratio
        Steps that the student is trained for after the game, for each step of it: the U-Net that denoises in
        the end, and learns it from tomograms which the trained networks simulate. 0: none, as published, and
        the game's own denoiser does.
    student_width, student_side
        Channels of the student, and its patches in voxels.
    queue
        Noise codes that mean and covariance are estimated from, with those of the batch.
    gradient_clip
        Largest norm of the gradients of Dn, Gs, E and Gn together, and of the discriminators'.
    boxes, box_side
        Of the built-in clean domain: simulated grand models.
    protein
        Whether it is dark or bright in the tomograms, for the built-in clean domain; "seen": as the first
        tomogram looks, dark where that does not tell.
    gold
        Whether gold beads stay in the denoised volume, or ice takes their place; None: they stay if the clean
        domain has some.
    binning
        The networks see the tomograms binned; None: where 97 % of the variance is noise, as far as there is
        no signal beyond.
    voxel_spacing_angstrom
        Of what the networks see; fixed by the training.
    """

    steps: PositiveInt | None = 240
    learning_rate: PositiveFloat = 1e-3
    batch: PositiveInt = 2
    patch_side: PositiveInt = Field(32, multiple_of=8)
    width: PositiveInt = 8
    levels: NonNegativeInt = Field(2, le=3)
    norm: bool = False
    codes: PositiveInt = 8
    judge_width: PositiveInt = 8
    spectral: bool = False
    noise_prior: bool = True
    through_denoiser: bool = False
    reconstruction: NonNegativeFloat = 1.0
    adversarial: NonNegativeFloat = 1.0
    divergence: NonNegativeFloat = 0.1
    feature_matching: NonNegativeFloat = 0.0
    departure: NonNegativeFloat = 30.0
    bounded_divergence: bool = True
    student_ratio: NonNegativeFloat = 2.5
    student_width: PositiveInt = WIDTH
    student_side: PositiveInt = Field(48, multiple_of=4, ge=16)
    queue: PositiveInt = 256
    gradient_clip: PositiveFloat = 1.0
    weight_decay: NonNegativeFloat = 1e-6
    boxes: PositiveInt = 3
    box_side: PositiveInt = 96
    protein: Literal["dark", "bright", "seen"] = "seen"
    gold: bool | None = None
    binning: PositiveInt | None = None
    voxel_spacing_angstrom: PositiveFloat | None = None

    @classmethod
    def paper(cls) -> DualConfig:
        """The published recipe, where it is stated; K and batch are ours.

        20 epochs of four 512 × 512 × 180 tomograms, in 32³ subvolumes without overlap.
        """
        return cls(
            steps=20 * 4 * (16 * 16 * 5) // 16,
            learning_rate=1e-4,
            schedule="constant",
            batch=16,
            width=32,
            levels=3,
            norm=True,
            judge_width=32,
            noise_prior=False,
            departure=0,
            binning=1,
            through_denoiser=True,
            bounded_divergence=False,
            student_ratio=0,
            gradient_clip=1e9,  # none: that of the divergence alone would leave the others nothing
        )

    @property
    def student(self) -> WarmConfig:
        """Settings of the student and its training."""
        steps = max(1, round(self.student_ratio * (self.steps or 1)))
        return WarmConfig(steps=steps, width=self.student_width, patch_side=self.student_side)

    def training_settings(self, seed: int, device: torch.device, precision: str) -> TrainingSettings:
        """What the training loop needs of this configuration."""
        settings = super().training_settings(seed, device, precision)
        return replace(settings, weight_decay=self.weight_decay, gradient_clip=self.gradient_clip)
