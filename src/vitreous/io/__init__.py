"""Translate file conventions to ours, lazily."""

from __future__ import annotations

from vitreous.io.atomic import (
    atomic_folder,
    atomic_path,
    check_writable,
    faults_in_words,
    write_bytes_atomic,
    write_text_atomic,
)
from vitreous.io.copick import CopickPicks, read_copick_picks, write_copick_picks, write_copick_segmentation
from vitreous.io.digest import file_sha256
from vitreous.io.drafts import remove_stale
from vitreous.io.dynamo import DynamoTable, read_dynamo_table, write_dynamo_table
from vitreous.io.halves import HalfSplit, find_half, half_split
from vitreous.io.particles import Particles, particle_format, read_particles, write_particles
from vitreous.io.pose_table import read_pose_table, write_pose_table
from vitreous.io.relion import RelionParticles, read_relion_particles, read_tomogram_sizes
from vitreous.io.relion_update import ALIGNMENT_SCORE, SUBSET, write_aligned_particles
from vitreous.io.relion_writer import (
    write_relion4_particles,
    write_relion5_particles,
    write_relion5_tomograms,
)
from vitreous.io.shrec import SHREC21_CLASSES, ShrecTomogram, read_shrec21
from vitreous.io.shrec_writer import write_shrec21
from vitreous.io.star import StarTable, read_star, write_star
from vitreous.io.structure_cache import fetch_structure, structure_cache_folder
from vitreous.io.structures import read_atomic_model, read_density_map
from vitreous.io.tilt_series import open_tilt_series
from vitreous.io.tilts import read_tilt_angles
from vitreous.io.volumes import WRITTEN_SUFFIXES, open_volume, volume_warnings, write_volume, written_suffix

__all__ = [
    "ALIGNMENT_SCORE",
    "SHREC21_CLASSES",
    "SUBSET",
    "WRITTEN_SUFFIXES",
    "CopickPicks",
    "DynamoTable",
    "HalfSplit",
    "Particles",
    "RelionParticles",
    "ShrecTomogram",
    "StarTable",
    "atomic_folder",
    "atomic_path",
    "check_writable",
    "faults_in_words",
    "fetch_structure",
    "file_sha256",
    "find_half",
    "half_split",
    "open_tilt_series",
    "open_volume",
    "particle_format",
    "read_atomic_model",
    "read_copick_picks",
    "read_density_map",
    "read_dynamo_table",
    "read_particles",
    "read_pose_table",
    "read_relion_particles",
    "read_shrec21",
    "read_star",
    "read_tilt_angles",
    "read_tomogram_sizes",
    "remove_stale",
    "structure_cache_folder",
    "volume_warnings",
    "write_aligned_particles",
    "write_bytes_atomic",
    "write_copick_picks",
    "write_copick_segmentation",
    "write_dynamo_table",
    "write_particles",
    "write_pose_table",
    "write_relion4_particles",
    "write_relion5_particles",
    "write_relion5_tomograms",
    "write_shrec21",
    "write_star",
    "write_text_atomic",
    "write_volume",
    "written_suffix",
]
