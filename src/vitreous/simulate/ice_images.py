"""What ice of uneven thickness does to the images of a tilt series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitreous.simulate.ice import IceLayer
from vitreous.simulate.imaging import LEAST_COSINE, TiltSeries

Array = NDArray[np.float32]


def through_uneven_ice(series: TiltSeries, ice: IceLayer, mean_free_path_angstrom: float) -> TiltSeries:
    """The series as it would be behind ice whose thickness varies over the field of view.

    Of the electrons behind even ice, the share exp(-ΔT / (Λ·cos t)) is left where the ice is ΔT
    thicker than in the middle: so much brighter or darker is the image, and its counting noise goes
    with the square root.

    Parameters
    ----------
    series
        Taken behind ice as thick everywhere as in the middle.
    ice
        The true thickness.
    mean_free_path_angstrom
        Λ, the mean free path in ice in Å.
    """
    if not (any(ice.gradient) or ice.meniscus_angstrom):
        return series
    transmitted = np.stack(
        [_transmitted(series, ice, angle, mean_free_path_angstrom) for angle in series.tilt_angles_deg]
    )
    spread = np.sqrt(transmitted)
    return replace(
        series,
        noise_free=(1 + series.noise_free) * transmitted - 1,
        even_noise=series.even_noise * spread,
        odd_noise=series.odd_noise * spread,
    )


def _transmitted(series: TiltSeries, ice: IceLayer, tilt_deg: float, mean_free_path_angstrom: float) -> Array:
    """(y, x) electrons over those behind ice as thick as in the middle, at one tilt."""
    cosine = max(float(np.cos(np.deg2rad(tilt_deg))), LEAST_COSINE)
    height, width = series.noise_free.shape[1:]
    # Foreshortened: the image shows more of the layer than its own width, from which columns are drawn.
    wide = int(np.ceil((width - 1) / cosine)) + 2
    layer = ice.thickness_map((height, wide), series.pixel_spacing_angstrom)
    position = (np.arange(width) - (width - 1) / 2) / cosine + (wide - 1) / 2
    left = np.floor(position).astype(int)
    share = (position - left).astype(np.float32)
    thickness = layer[:, left] * (1 - share) + layer[:, left + 1] * share
    path = (thickness - np.float32(ice.thickness_angstrom)) / np.float32(cosine * mean_free_path_angstrom)
    transmitted: Array = np.exp(-path)
    return transmitted
