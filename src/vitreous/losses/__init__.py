"""Stateless objectives on tensors."""

from vitreous.losses.adversarial import (
    code_divergence,
    discriminator_loss,
    feature_distance,
    generator_loss,
    reconstruction_loss,
)
from vitreous.losses.restoration import edge_maps, masked_mean_square, total_variation
from vitreous.losses.segmentation import (
    dice_loss,
    feature_consistency,
    kept_cross_entropy,
    segmentation_loss,
)
from vitreous.losses.wedge import measured_fourier_loss

__all__ = [
    "code_divergence",
    "dice_loss",
    "discriminator_loss",
    "edge_maps",
    "feature_consistency",
    "feature_distance",
    "generator_loss",
    "kept_cross_entropy",
    "masked_mean_square",
    "measured_fourier_loss",
    "reconstruction_loss",
    "segmentation_loss",
    "total_variation",
]
