"""DUAL: simultaneous simulation and denoising from unpaired data."""

from vitreous.methods.dual.config import DualConfig
from vitreous.methods.dual.method import Dual, standardized_density
from vitreous.methods.dual.networks import DualNetworks

__all__ = ["Dual", "DualConfig", "DualNetworks", "standardized_density"]
