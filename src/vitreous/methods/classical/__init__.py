"""Filters as methods: the simplest comparisons."""

from vitreous.methods.classical.method import Gaussian, Lowpass, Median

__all__ = ["Gaussian", "Lowpass", "Median"]
