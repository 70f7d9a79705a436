"""The two configurations of the blind-spot network."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import nn

from vitreous.methods.method import LearnedConfig
from vitreous.networks import DilatedBlindSpot, PhaseLattice, UNet3d, VolumeShuffleBackbone


class LossWeights(BaseModel):
    """Weights λ1 … λ4 of volume-shuffle eq. 11; a weight of zero switches its term off.

    The guidance and edge terms compare with filtered *input*, so they carry the voxel's own noise
    into the target that blindness keeps out of the network; the paper has them, the default has not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reconstruction: float = 1.0
    guidance: float = 0.0
    edge: float = 0.0
    total_variation: float = 0.0


class BlindSpotConfig(LearnedConfig):
    """Settings of the blind-spot method.

    `backbone` is "unet" (a U-Net on each phase lattice), "volume-shuffle" (the paper's network in
    lattice form) or "volume-shuffle-dilated" (the same as the paper writes it, for comparison).
    `validation_share` of the patches are held out and show whether the network learns the noise by heart.
    """

    backbone: Literal["unet", "volume-shuffle", "volume-shuffle-dilated"] = "unet"
    levels: NonNegativeInt = 1
    widths: tuple[PositiveInt, ...] = (24, 48, 96)
    blocks: PositiveInt = 2
    patch_side: PositiveInt = 60
    batch: PositiveInt = 1
    losses: LossWeights = LossWeights()
    guidance_sigma: PositiveFloat = 1.0
    bilateral_range_factor: float = 2.5
    validation_share: float = Field(0.0, ge=0, lt=1)

    @classmethod
    def paper(cls) -> Self:
        """The paper's network, losses and optimizer (widths and blocks from the authors' later code).

        Steps stand for its 15 epochs over a volume's patches. A fifth of them is held out for the
        validation curve; nothing is selected by it. TV is a mean, and the bilateral range is
        2.5 times the robust noise deviation, as fixed values do nothing on standardized data.
        """
        return cls(
            backbone="volume-shuffle",
            patch_side=108,
            batch=2,
            learning_rate=2e-4,
            betas=(0.5, 0.999),
            schedule="constant",
            losses=LossWeights(reconstruction=0.8, guidance=0.5, edge=0.05, total_variation=0.01),
            validation_share=0.2,
        )


def build_network(config: BlindSpotConfig) -> nn.Module:
    """The blind-spot network of a configuration; its first and only input is the noisy volume.

    Examples
    --------
    >>> type(build_network(BlindSpotConfig())).__name__
    'PhaseLattice'
    """
    if config.backbone == "unet":
        return PhaseLattice(
            UNet3d(config.width, 1, width=config.width, levels=config.levels), width=config.width
        )
    if config.backbone == "volume-shuffle":
        return PhaseLattice(
            VolumeShuffleBackbone(config.widths, blocks=config.blocks), width=config.widths[0]
        )
    backbone = VolumeShuffleBackbone(config.widths, blocks=config.blocks, modulus=3)
    return DilatedBlindSpot(backbone, width=config.widths[0])
