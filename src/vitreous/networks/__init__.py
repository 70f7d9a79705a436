"""Networks: one readable file each; they know nothing of files, noise or training."""

from vitreous.networks.phase_lattice import DilatedBlindSpot, PhaseLattice, VolumeShuffleBackbone
from vitreous.networks.unet3d import UNet3d

__all__ = ["DilatedBlindSpot", "PhaseLattice", "UNet3d", "VolumeShuffleBackbone"]
