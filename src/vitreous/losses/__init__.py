"""Stateless objectives on tensors."""

from vitreous.losses.restoration import edge_maps, masked_mean_square, total_variation
from vitreous.losses.wedge import measured_fourier_loss

__all__ = ["edge_maps", "masked_mean_square", "measured_fourier_loss", "total_variation"]
