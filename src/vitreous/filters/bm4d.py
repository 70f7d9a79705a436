"""BM4D, from the package of its authors where that is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError

THRESHOLD, WIENER = 3.0, 0.4  # the package's own values for white noise, in units of the noise


def bm4d(volume: NDArray[Any], *, noise_power: float | NDArray[Any]) -> NDArray[np.float32]:
    """Block-matching and 4-D collaborative filtering [bm4d].

    The package `bm4d` is free for non-commercial use only, so it is no part of vitreous and is installed
    apart, with `pip install vitreous[bm4d]`. It uses all cores, and its results may differ in the last
    digits from run to run.

    Parameters
    ----------
    volume
        (z, y, x).
    noise_power
        Variance of white noise in grey values squared, or the spectrum of coloured noise: (z, y, x) in FFT
        order, with the variance as its mean.

    Returns
    -------
    float32 array of the same shape.

    Raises
    ------
    InputError
        If the package is not installed.
    """
    package = bm4d_package()
    values = np.asarray(volume, np.float32)
    power = np.asarray(noise_power, np.float64)
    profile = package.BM4DProfile()
    # Without these it looks thresholds for coloured noise up by functions that numpy 2.4 no longer has.
    profile.lambda_thr, profile.mu2 = THRESHOLD, WIENER
    noise = power * values.size if power.ndim else np.sqrt(power)
    return np.asarray(package.bm4d(values, noise, profile=profile), np.float32).reshape(values.shape)


def bm4d_package() -> Any:
    """The package of BM4D's authors; InputError where it is missing."""
    try:
        import bm4d as package
    except ImportError as error:
        text = "bm4d is not installed, as its licence allows non-commercial use only"
        raise InputError(text, remedy="if that suits you: pip install vitreous[bm4d]") from error
    return package
