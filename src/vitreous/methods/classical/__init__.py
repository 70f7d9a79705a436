"""Filters as methods: the simplest comparisons."""

from vitreous.methods.classical.method import (
    Bilateral,
    BlockMatching,
    Deconvolution,
    Diffusion,
    Gaussian,
    Lowpass,
    Median,
    NonLocalMeans,
)

__all__ = [
    "Bilateral",
    "BlockMatching",
    "Deconvolution",
    "Diffusion",
    "Gaussian",
    "Lowpass",
    "Median",
    "NonLocalMeans",
]
