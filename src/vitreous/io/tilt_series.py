"""Tilt series: stacks of images whose third axis is no length."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from vitreous.core.errors import InputError
from vitreous.core.volume import Volume
from vitreous.io.volumes import open_volume

_SQUARE_WITHIN = 0.01


def open_tilt_series(path: str | Path, *, pixel_spacing_angstrom: float | None = None) -> Volume:
    """Open a stack of images as a `Volume` of (tilt, y, x), its spacing that of the pixels on every axis.

    Unlike that of a volume, the header of a stack need not say anything about its third axis.

    Parameters
    ----------
    path
        As for `open_volume`.
    pixel_spacing_angstrom
        Pixel spacing in Å that overrides what the file says.

    Raises
    ------
    InputError
        If the file is no stack of images, or its pixels are not square or of unknown size.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from vitreous.io import write_volume
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_volume(Path(folder) / "a.mrc", Volume(np.ones((3, 4, 5)), 10.0))
    ...     open_tilt_series(file).voxel_spacing_angstrom
    (10.0, 10.0, 10.0)
    """
    stack = open_volume(path, voxel_spacing_angstrom=pixel_spacing_angstrom, allow_damaged=True)
    if stack.voxel_spacing_angstrom is not None:
        _, along_y, along_x = stack.voxel_spacing_angstrom
    else:
        along_y, along_x = _header_pixels(Path(path))
    if not (0 < along_y < math.inf and 0 < along_x < math.inf):
        raise InputError("the file has no usable pixel spacing", path=path, remedy="give --voxel-size in Å")
    if abs(along_y - along_x) > _SQUARE_WITHIN * along_x:
        raise InputError(
            f"the pixels are not square: {along_x:.4g} × {along_y:.4g} Å",
            path=path,
            remedy="give --voxel-size in Å, or resample the images",
        )
    return replace(stack, voxel_spacing_angstrom=(along_x, along_x, along_x))


def _header_pixels(path: Path) -> tuple[float, float]:
    """Pixel spacing (y, x) of a header whose spacing along z makes no sense; zeros if none does."""
    if path.is_dir():
        return 0.0, 0.0
    import mrcfile

    with mrcfile.open(path, permissive=True, header_only=True) as file:
        cell, counts = file.header.cella, (int(file.header.my), int(file.header.mx))
    if min(counts) < 1:
        return 0.0, 0.0
    return float(cell.y) / counts[0], float(cell.x) / counts[1]
