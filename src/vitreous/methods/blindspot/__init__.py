"""Blind-spot denoising: no voxel's output depends on its own input."""

from vitreous.methods.blindspot.method import BlindSpot
from vitreous.methods.blindspot.network import BlindSpotConfig, build_network

__all__ = ["BlindSpot", "BlindSpotConfig", "build_network"]
