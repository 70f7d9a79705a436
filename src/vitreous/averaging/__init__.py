"""Subtomograms to poses and half maps: alignment within the missing wedge, averages."""

from vitreous.averaging.alignment import Alignment, align
from vitreous.averaging.config import SearchConfig
from vitreous.averaging.rotations import angles_between, nearby_rotations, rotation_grid, symmetry_group

__all__ = [
    "Alignment",
    "SearchConfig",
    "align",
    "angles_between",
    "nearby_rotations",
    "rotation_grid",
    "symmetry_group",
]
