"""How much of what a denoiser removes is removed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Normalization

Array = NDArray[np.float32]


def with_strength(
    prediction: Array, data: NDArray[Any], normalization: Normalization, strength: float
) -> tuple[Array, float]:
    """Grey values between the volume as it is (0) and all noise removed (1).

    The prediction, of unknown scale, is brought to the volume's grey values by least squares,
    a·v + b. What is left of the volume beside that fit is then uncorrelated with it: the calibrated
    residual, of which the share `strength` is taken off. The noise's variance falls with its square.

    Parameters
    ----------
    prediction
        (z, y, x) in any units.
    data
        The volume, same shape, may be memory-mapped.
    normalization
        Its constants; voxels that are not finite become the mean.
    strength
        0 … 1.

    Returns
    -------
    The result, and the correlation of prediction and volume, which is not positive if the prediction
    has the wrong contrast.

    Examples
    --------
    >>> volume = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    >>> as_it_is = Normalization(0.0, 1.0, -np.inf, np.inf)
    >>> result, correlation = with_strength(volume / 3, volume, as_it_is, 1.0)
    >>> bool(np.allclose(result, volume, atol=1e-5)), round(correlation, 3)
    (True, 1.0)
    """
    sums = np.zeros(5)
    for z in range(data.shape[0]):
        v, y = prediction[z].astype(np.float64), normalization.apply(data[z]).astype(np.float64)
        sums += (v.sum(), y.sum(), np.square(v).sum(), np.square(y).sum(), (v * y).sum())
    v_mean, y_mean, v_square, y_square, product = sums / prediction.size
    v_variance, y_variance = v_square - v_mean**2, y_square - y_mean**2
    covariance = product - v_mean * y_mean
    slope = covariance / max(v_variance, 1e-12)
    result = np.empty(prediction.shape, np.float32)
    for z in range(data.shape[0]):
        fitted = normalization.invert((slope * (prediction[z] - v_mean) + y_mean).astype(np.float32))
        grey = np.asarray(data[z], np.float32)
        grey = np.where(np.isfinite(grey), grey, np.float32(normalization.mean))
        result[z] = grey - np.float32(strength) * (grey - fitted)
    return result, float(covariance / max(v_variance * y_variance, 1e-24) ** 0.5)
