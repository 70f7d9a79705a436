"""Stateless objectives on tensors."""

from vitreous.losses.restoration import edge_maps, masked_mean_square, total_variation

__all__ = ["edge_maps", "masked_mean_square", "total_variation"]
