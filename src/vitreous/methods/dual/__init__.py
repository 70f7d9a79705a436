"""DUAL: simultaneous simulation and denoising from unpaired data."""

from vitreous.methods.dual.config import DualConfig
from vitreous.methods.dual.gold import without_gold
from vitreous.methods.dual.method import Dual, standardized_density
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.dual.objective import doubts
from vitreous.methods.dual.simulation import simulated_tomogram, simulated_tomograms

__all__ = [
    "Dual",
    "DualConfig",
    "DualNetworks",
    "doubts",
    "simulated_tomogram",
    "simulated_tomograms",
    "standardized_density",
    "without_gold",
]
