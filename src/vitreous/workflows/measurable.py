"""Open a tomogram whose noise is to be measured and whose specimens are to be simulated."""

from __future__ import annotations

from pathlib import Path

from vitreous.core import InputError, Volume
from vitreous.io import open_volume
from vitreous.workflows.cubic_voxels import cubic_spacing
from vitreous.workflows.denoise import SMALLEST_SIDE


def open_measurable(path: Path, given_angstrom: float | None) -> tuple[Volume, float]:
    """A tomogram (z, y, x) and the edge of its voxels in Å.

    Parameters
    ----------
    path
        The file.
    given_angstrom
        Voxel spacing that the user said; None for that of the file.

    Raises
    ------
    InputError
        If it cannot be read, has no known voxel spacing or unequal ones, or is too small.
    """
    volume = open_volume(path, voxel_spacing_angstrom=given_angstrom)
    spacing = cubic_spacing(volume, path, given_angstrom)
    check_size(volume, path)
    return volume, spacing


def check_size(volume: Volume, path: Path) -> None:
    """Raise InputError if a volume is too small for its noise to be told."""
    if min(volume.shape) < SMALLEST_SIDE:
        text = f"is too small: {' × '.join(map(str, volume.shape))} voxels"
        raise InputError(text, path=path, remedy=f"every side needs {SMALLEST_SIDE} at least")
