"""The images and angles of a tilt series, checked and brought to one scale."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Volume
from vitreous.io import open_tilt_series, read_tilt_angles

Array = NDArray[np.float32]
LARGEST_THICKNESS = 8  # in widths of the images


@dataclass(frozen=True, eq=False)
class OpenedSeries:
    """A tilt series that can be reconstructed: images (tilt, y, x), and one angle in degrees for each."""

    stack: Volume
    angles: tuple[float, ...]

    @property
    def pixel_spacing_angstrom(self) -> float:
        """Pixel spacing in Å."""
        spacing = self.stack.voxel_spacing_angstrom
        assert spacing is not None  # open_tilt_series sees to it
        return spacing[0]


def open_series(
    images: Path, tilts: Path, *, least: int, pixel_spacing_angstrom: float | None = None
) -> OpenedSeries:
    """Open a stack of images and the file of their angles.

    Parameters
    ----------
    images, tilts
        The two files.
    least
        How many different angles are needed.
    pixel_spacing_angstrom
        Pixel spacing in Å that overrides what the file says.

    Raises
    ------
    InputError
        If either cannot be used, or they do not belong together.
    """
    stack = open_tilt_series(images, pixel_spacing_angstrom=pixel_spacing_angstrom)
    angles = read_tilt_angles(tilts)
    if len(angles) != stack.shape[0]:
        raise InputError(
            f"holds {len(angles)} tilt angles, and {images} has {stack.shape[0]} images",
            path=tilts,
            remedy="give one angle for each image",
        )
    different = len(set(angles))
    if different < least:
        raise InputError(
            f"{different} different tilt angles are too few", path=tilts, remedy=f"give at least {least}"
        )
    return OpenedSeries(stack, angles)


def depth_of(thickness: str | None, series: OpenedSeries) -> int:
    """Voxels along z of a thickness in voxels ("300") or Å ("3000A"); half the images' width if None.

    Examples
    --------
    >>> depth_of("300A", OpenedSeries(Volume(np.zeros((2, 30, 40)), 10.0), (-3.0, 3.0)))
    30
    """
    width = series.stack.shape[2]
    if thickness is None:
        return max(1, width // 2)
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(Å|A)?\s*", thickness, re.IGNORECASE)
    depth = 0.0
    if match is not None:
        depth = float(match[1]) / (series.pixel_spacing_angstrom if match[2] else 1)
    if not 1 <= depth <= LARGEST_THICKNESS * width:
        raise InputError(
            f"--thickness {thickness} makes no tomogram of images {width} pixels wide",
            remedy="write for example --thickness 300 (voxels) or --thickness 3000A",
        )
    return round(depth)


def prepared_images(stack: Volume, *, keep_scale: bool) -> tuple[Array, tuple[str, ...]]:
    """The images as float32 with nothing missing, and what was odd about them.

    Raises
    ------
    InputError
        If an image is constant or holds no number at all.
    """
    images = np.array(stack.data, np.float32)
    missing = 0
    for number, one in enumerate(images):
        finite = np.isfinite(one)
        known = one[finite]
        if known.size == 0 or known.min() == known.max():
            raise InputError(
                f"image {number + 1} of {len(images)} is empty: all its pixels are equal or not finite",
                path=stack.path,
                remedy="leave it out of the stack and of the file of tilt angles",
            )
        mean, deviation = known.mean(dtype=np.float64), known.std(dtype=np.float64)
        missing += one.size - known.size
        one[~finite] = mean
        if not keep_scale:
            one -= np.float32(mean)
            one /= np.float32(deviation)
    doubt = f"{missing} pixels are NaN or infinite; they were taken as the mean of their image."
    return images, (doubt,) if missing else ()
