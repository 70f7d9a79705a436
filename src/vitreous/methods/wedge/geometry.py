"""The missing wedge of one tomogram: given, or read off its noise spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import InputError
from vitreous.fourier import estimated_tilt_range, measured_region, measured_weight

EDGE_DEG = 5.0  # of the cosine between what was measured and what was filled in
LEAST_MISSING_DEG = 4.0  # a narrower gap is not told from none in patches
AXES = {"y": 1, "x": 2}
MIRRORS = {1: (0, 2, 5, 7), 2: (0, 4, 3, 7)}  # of the eight images, those that leave a wedge in place

Array = NDArray[np.float32]


@dataclass(frozen=True)
class MissingWedge:
    """Which part of Fourier space a single-axis tilt series left out.

    Parameters
    ----------
    tilt_range_deg
        Signed lowest and highest tilt angle, with the sign of `fourier.measured_region`.
    tilt_axis
        1 for y, 2 for x.
    """

    tilt_range_deg: tuple[float, float]
    tilt_axis: int = 1

    @property
    def mirrors(self) -> tuple[int, ...]:
        """Which of the eight mirror images of a volume have the same wedge."""
        return MIRRORS[self.tilt_axis]

    @property
    def described(self) -> str:
        """In words.

        Examples
        --------
        >>> MissingWedge((-60.0, 55.4)).described
        'tilts of -60° … 55° about y, 36 % of the angles missing'
        """
        lowest, highest = self.tilt_range_deg
        axis = "y" if self.tilt_axis == 1 else "x"
        missing = f"{1 - (highest - lowest) / 180:.0%}".replace("%", " %")
        return f"tilts of {lowest:.0f}° … {highest:.0f}° about {axis}, {missing} of the angles missing"

    def region(self, shape: Sequence[int], rotation: Tensor | None = None) -> Tensor:
        """The measured frequencies of a patch as 0 and 1, (z, y, x // 2 + 1); see `measured_region`."""
        return measured_region(
            shape, self.tilt_range_deg, half=True, tilt_axis=self.tilt_axis, rotation=rotation
        ).float()


def check_tilt_range(tilt_range_deg: tuple[float, float]) -> None:
    """Raise InputError for a range that no tilt series has, or that leaves nothing out."""
    lowest, highest = tilt_range_deg
    named = f"--tilt-range {lowest:g} {highest:g}"
    if not (-90 <= lowest <= 90 and -90 <= highest <= 90):
        raise InputError(f"{named}: tilts lie between -90 and 90 degrees", remedy="correct it")
    if lowest >= highest:
        raise InputError(f"{named}: the lowest tilt comes first", remedy="give the lowest, then the highest")
    if highest - lowest > 180 - LEAST_MISSING_DEG:
        raise InputError(f"{named}: nothing is missing, so there is nothing to fill", remedy="use denoise")


def missing_wedge(
    spectrum: Tensor,
    name: str,
    *,
    tilt_range_deg: tuple[float, float] | None = None,
    tilt_axis: int | None = None,
    likely_axis: int = 1,
) -> MissingWedge:
    """The wedge of a volume, from what is given and its noise spectrum.

    Parameters
    ----------
    spectrum
        Noise power S(k), (z, y, x) in FFT order.
    name
        What messages call the volume.
    tilt_range_deg, tilt_axis
        Where they are known.
    likely_axis
        The tilt axis to look at first.

    Raises
    ------
    InputError
        If the range is neither given nor to be seen in the noise.
    """
    wanted = (likely_axis, 3 - likely_axis) if tilt_axis is None else (tilt_axis,)
    seen = {axis: estimated_tilt_range(spectrum, axis) for axis in wanted}
    found = next(((axis, limits) for axis, limits in seen.items() if limits is not None), None)
    if tilt_range_deg is not None:
        check_tilt_range(tilt_range_deg)
        return MissingWedge(tilt_range_deg, tilt_axis or (1 if found is None else found[0]))
    if found is None or found[1][1] - found[1][0] > 180 - LEAST_MISSING_DEG:
        text = "its noise shows no missing wedge, so the tilt range cannot be told"
        raise InputError(text, path=name, remedy="give --tilt-range MIN MAX")
    return MissingWedge(found[1], found[0])


def region_of(volume: Array, wedge: MissingWedge, *, missing: bool) -> Array:
    """What a volume (z, y, x) holds in the missing region, or in the measured one; float32.

    The two add up to the volume, and have the edge between them that `merged` has.
    """
    outside = merged(np.zeros_like(volume), volume.copy(), wedge)
    return outside if missing else volume - outside


def merged(measured: Array, filled: Array, wedge: MissingWedge) -> Array:
    """What `measured` holds in the measured region, what `filled` holds in the missing one.

    The edge between them lies in the missing region: of the measured one nothing changes.

    Parameters
    ----------
    measured, filled
        (z, y, x) of one shape. `filled` is overwritten.
    wedge
        Which part of Fourier space is missing.

    Returns
    -------
    float32 array. Peak memory beside the two: three times their size.
    """
    filled -= measured
    transform = scipy.fft.rfftn(filled, overwrite_x=True)
    weight = measured_weight(
        measured.shape, wedge.tilt_range_deg, edge_deg=EDGE_DEG, tilt_axis=wedge.tilt_axis
    ).numpy()
    transform *= 1 - weight
    result: Array = scipy.fft.irfftn(transform, s=measured.shape, overwrite_x=True)
    result += measured
    return result
