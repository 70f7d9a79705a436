"""Classical denoisers of arrays and tensors."""

from vitreous.filters.bilateral import bilateral, improved_bilateral, variance_removed
from vitreous.filters.bm4d import bm4d, bm4d_package
from vitreous.filters.deconvolution import deconvolve
from vitreous.filters.diffusion import diffuse
from vitreous.filters.linear import gaussian, lowpass, median
from vitreous.filters.nlm import nlm

__all__ = [
    "bilateral",
    "bm4d",
    "bm4d_package",
    "deconvolve",
    "diffuse",
    "gaussian",
    "improved_bilateral",
    "lowpass",
    "median",
    "nlm",
    "variance_removed",
]
