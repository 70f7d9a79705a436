"""Translate file conventions to ours, lazily."""

from __future__ import annotations

from vitreous.io.atomic import atomic_folder, atomic_path, check_writable, write_text_atomic
from vitreous.io.digest import file_sha256
from vitreous.io.halves import find_half
from vitreous.io.tilts import read_tilt_angles
from vitreous.io.volumes import open_volume, volume_warnings, write_volume

__all__ = [
    "atomic_folder",
    "atomic_path",
    "check_writable",
    "file_sha256",
    "find_half",
    "open_volume",
    "read_tilt_angles",
    "volume_warnings",
    "write_text_atomic",
    "write_volume",
]
