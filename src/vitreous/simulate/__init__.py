"""Specimens, projection and reconstruction: data with known ground truth."""

from vitreous.simulate.bead_models import (
    BeadModel,
    bead_model,
    find_complex,
    phantom_names,
    template_from_beads,
)
from vitreous.simulate.complexes import SHREC_STRUCTURES, Complex
from vitreous.simulate.contents import Contents, Filaments, Gold, Particles, Sheets, Vesicles
from vitreous.simulate.crowd import crowd
from vitreous.simulate.detector import Detector
from vitreous.simulate.fiducials import make_gold
from vitreous.simulate.grand_model import GrandModel, Tally
from vitreous.simulate.helices import ACTIN, MICROTUBULE, Bead, FilamentKind
from vitreous.simulate.ice import IceLayer
from vitreous.simulate.ice_images import through_uneven_ice
from vitreous.simulate.imaging import ImagingSettings, TiltSeries, image
from vitreous.simulate.noise import wedge_filtered, white_noise
from vitreous.simulate.packing import pack
from vitreous.simulate.potential import template_from_atoms, template_from_density
from vitreous.simulate.projection import TiltGeometry, Window
from vitreous.simulate.reconstruction import (
    SirtReconstruction,
    reconstruction_bytes,
    sirt,
    weighted_back_projection,
)
from vitreous.simulate.subtomogram_set import SubtomogramSet
from vitreous.simulate.subtomograms import Subtomogram, SubtomogramSettings, SubtomogramSimulator, Which
from vitreous.simulate.tilt_scheme import TiltScheme

__all__ = [
    "ACTIN",
    "MICROTUBULE",
    "SHREC_STRUCTURES",
    "Bead",
    "BeadModel",
    "Complex",
    "Contents",
    "Detector",
    "FilamentKind",
    "Filaments",
    "Gold",
    "GrandModel",
    "IceLayer",
    "ImagingSettings",
    "Particles",
    "Sheets",
    "SirtReconstruction",
    "Subtomogram",
    "SubtomogramSet",
    "SubtomogramSettings",
    "SubtomogramSimulator",
    "Tally",
    "TiltGeometry",
    "TiltScheme",
    "TiltSeries",
    "Vesicles",
    "Which",
    "Window",
    "bead_model",
    "crowd",
    "find_complex",
    "image",
    "make_gold",
    "pack",
    "phantom_names",
    "reconstruction_bytes",
    "sirt",
    "template_from_atoms",
    "template_from_beads",
    "template_from_density",
    "through_uneven_ice",
    "wedge_filtered",
    "weighted_back_projection",
    "white_noise",
]
