"""Volume to scored picks."""

from vitreous.picking.dog import DogConfig, Picked, blob_diameter, dog_bytes, pick_blobs
from vitreous.picking.peaks import Picks

__all__ = ["DogConfig", "Picked", "Picks", "blob_diameter", "dog_bytes", "pick_blobs"]
