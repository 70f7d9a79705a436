"""The tilt range, with how far it may be off."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization
from vitreous.fourier import estimated_tilt_range
from vitreous.methods.noise_model import NoiseSpectrum, estimate_noise_spectrum
from vitreous.methods.wedge.geometry import LEAST_MISSING_DEG
from vitreous.workflows.inspect.values import TiltRange

BIAS_DEG = {"noise": 2.0, "signal": 6.0}  # half a tilt step and the width of patches; what signal shows alone
LEAST_SIDE = 24  # voxels: shorter ones show no angles
LEAST_PART = 40  # voxels along an edge of the parts that are compared
PARTS = 2  # along y, and along x


def measured_tilt_range(
    data: NDArray[Any], normalization: Normalization, spectrum: NoiseSpectrum
) -> TiltRange | None:
    """Read the tilt range off a volume's spectrum, and its error off the spectra of its quarters.

    Parameters
    ----------
    data
        (z, y, x) grey values, may be memory-mapped.
    normalization
        Constants that standardize them.
    spectrum
        Of the whole volume.

    Returns
    -------
    None if no missing wedge is seen.
    """
    if min(data.shape) < LEAST_SIDE:
        return None
    seen_in: Literal["noise", "signal"] = "noise"
    axis = spectrum.tilt_axis if spectrum.tilt_axis_seen else 1
    limits = told(spectrum.power, axis) if spectrum.tilt_axis_seen else None
    if limits is None and not spectrum.tilt_axis_seen:
        seen_in, limits = "signal", told(spectrum.total, axis)
    if limits is None:
        return None
    found = []
    for part in quarters(data):
        own = estimate_noise_spectrum(part, normalization)
        alone = told(own.power if seen_in == "noise" else own.total, axis)
        if alone is not None:
            found.append(alone)
    spread = float(np.std(found, axis=0, ddof=1).max() / np.sqrt(len(found))) if len(found) > 1 else 0.0
    bias = BIAS_DEG[seen_in] if len(found) > 1 else 2 * BIAS_DEG[seen_in]
    return TiltRange(*limits, float(np.hypot(bias, spread)), axis, seen_in)


def told(power: Tensor, axis: int) -> tuple[float, float] | None:
    """The tilt range that a spectrum shows, unless it leaves out next to nothing."""
    limits = estimated_tilt_range(power, axis)
    if limits is None or limits[1] - limits[0] > 180 - LEAST_MISSING_DEG:
        return None
    return limits


def quarters(data: NDArray[Any]) -> list[NDArray[Any]]:
    """Parts of a volume, two along y and x each where it is wide enough; none if it is nowhere."""
    counts = [PARTS if side >= PARTS * LEAST_PART else 1 for side in data.shape[1:]]
    if counts == [1, 1]:
        return []
    return [
        part for half in np.array_split(data, counts[0], 1) for part in np.array_split(half, counts[1], 2)
    ]
