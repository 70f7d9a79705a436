"""Volume to scored picks."""

from vitreous.picking.dog import DogConfig, Picked, blob_diameter, dog_bytes, pick_blobs, sigmas_voxel
from vitreous.picking.peaks import Picks

__all__ = ["DogConfig", "Picked", "Picks", "blob_diameter", "dog_bytes", "pick_blobs", "sigmas_voxel"]
