"""Networks: one readable file each; they know nothing of files, noise or training."""

from vitreous.networks.dncnn import DnCnn3d
from vitreous.networks.ffdnet import FfdNet3d
from vitreous.networks.phase_lattice import DilatedBlindSpot, PhaseLattice, VolumeShuffleBackbone
from vitreous.networks.unet3d import UNet3d
from vitreous.networks.vnet import VNet3d

__all__ = [
    "DilatedBlindSpot",
    "DnCnn3d",
    "FfdNet3d",
    "PhaseLattice",
    "UNet3d",
    "VNet3d",
    "VolumeShuffleBackbone",
]
