"""Volume to scored picks."""

from vitreous.picking.dog import DogConfig, blob_diameter, dog_bytes, pick_blobs, sigmas_voxel
from vitreous.picking.labels import LabelConfig, class_diameter, labels_bytes, pick_labels
from vitreous.picking.peaks import Picked, Picks

__all__ = [
    "DogConfig",
    "LabelConfig",
    "Picked",
    "Picks",
    "blob_diameter",
    "class_diameter",
    "dog_bytes",
    "labels_bytes",
    "pick_blobs",
    "pick_labels",
    "sigmas_voxel",
]
