"""Networks: one readable file each; they know nothing of files, noise or training."""

from vitreous.networks.discriminators import DomainDiscriminator, PatchDiscriminator, log_spectrum
from vitreous.networks.dncnn import DnCnn3d
from vitreous.networks.ffdnet import FfdNet3d
from vitreous.networks.gradient_reversal import gradient_reversed
from vitreous.networks.initialization import initialize_orthogonally
from vitreous.networks.noise_codes import NoiseDecoder, NoiseEncoder
from vitreous.networks.phase_lattice import DilatedBlindSpot, PhaseLattice, VolumeShuffleBackbone
from vitreous.networks.unet3d import UNet3d
from vitreous.networks.vnet import VNet3d
from vitreous.networks.voxresnet import VoxResNet

__all__ = [
    "DilatedBlindSpot",
    "DnCnn3d",
    "DomainDiscriminator",
    "FfdNet3d",
    "NoiseDecoder",
    "NoiseEncoder",
    "PatchDiscriminator",
    "PhaseLattice",
    "UNet3d",
    "VNet3d",
    "VolumeShuffleBackbone",
    "VoxResNet",
    "gradient_reversed",
    "initialize_orthogonally",
    "log_spectrum",
]
