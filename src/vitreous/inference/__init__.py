"""Tile, predict and put back together; memory estimates."""

from vitreous.inference.binning import bin_volume, unbin_volume
from vitreous.inference.blend import blend_tiles, blended_slabs
from vitreous.inference.device import ComputeDevice, choose_device
from vitreous.inference.memory import MemoryPlan, available_memory, parse_memory, plan_tiles
from vitreous.inference.predict import predict_tiled
from vitreous.inference.tiles import Tile, tiles_of

__all__ = [
    "ComputeDevice",
    "MemoryPlan",
    "Tile",
    "available_memory",
    "bin_volume",
    "blend_tiles",
    "blended_slabs",
    "choose_device",
    "parse_memory",
    "plan_tiles",
    "predict_tiled",
    "tiles_of",
    "unbin_volume",
]
