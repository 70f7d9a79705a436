"""Immutable domain values, protocols and errors; imports nothing of vitreous."""

from vitreous.core.blocks import inside_mask, read_block, reflected_indices
from vitreous.core.errors import InputError, Interrupted, TrainingDiverged, VitreousError
from vitreous.core.normalization import AS_IS, Normalization, VoxelStatistics, measure_voxels
from vitreous.core.poses import Poses
from vitreous.core.progress import Progress, SilentProgress
from vitreous.core.structures import AtomicModel, Template
from vitreous.core.volume import FileHeader, Spacing, Volume, as_spacing

__all__ = [
    "AS_IS",
    "AtomicModel",
    "FileHeader",
    "InputError",
    "Interrupted",
    "Normalization",
    "Poses",
    "Progress",
    "SilentProgress",
    "Spacing",
    "Template",
    "TrainingDiverged",
    "VitreousError",
    "Volume",
    "VoxelStatistics",
    "as_spacing",
    "inside_mask",
    "measure_voxels",
    "read_block",
    "reflected_indices",
]
