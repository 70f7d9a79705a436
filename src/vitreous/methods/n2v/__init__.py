"""Noise2Void: predict hidden voxels from what surrounds them."""

from vitreous.methods.n2v.method import Noise2Void, Noise2VoidConfig

__all__ = ["Noise2Void", "Noise2VoidConfig"]
