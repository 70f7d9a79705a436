"""How far apart the statistics of two volumes are: whether simulated noise is like real noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

REACH = 3  # voxels
CELL = 1 / 16  # cycles/voxel
FAINT = 0.01  # of the reference's mean power: cells with less count as nearly empty, and are not told apart

Widths = tuple[float, float, float]


def histogram_distance(volume: NDArray[Any], reference: NDArray[Any]) -> float:
    """Mean distance by which grey values must move to turn one histogram into the other.

    The 1-Wasserstein distance of the marginal distributions, without bins.

    Parameters
    ----------
    volume, reference
        Of any shapes, standardized: the result is in deviations.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=1000)
    >>> round(histogram_distance(values + 0.25, values), 6)
    0.25
    """
    return float(wasserstein_distance(np.ravel(volume), np.ravel(reference)))


def autocorrelation(volume: NDArray[Any], reach: int = REACH) -> NDArray[np.float64]:
    """Normalized autocorrelation of a volume at all lags of up to `reach` voxels along each axis.

    Products of voxels that are both in the volume are averaged: nothing is periodic.

    Parameters
    ----------
    volume
        (z, y, x), not constant.
    reach
        Less than any side.

    Returns
    -------
    (2 reach + 1,)³, 1 in its middle, where the lag is 0.

    Raises
    ------
    ValueError
        If the volume is constant, or not larger than the reach.

    Examples
    --------
    >>> stripes = np.tile([1.0, -1.0], (6, 6, 4))
    >>> autocorrelation(stripes, 1)[1, 1].round(6).tolist()
    [-1.0, 1.0, -1.0]
    """
    values = np.asarray(volume, np.float64)
    if min(values.shape) <= reach or values.min() == values.max():
        raise ValueError(f"no autocorrelation: the volume is constant or no larger than {reach} voxels")
    padded = [n + reach for n in values.shape]
    transform = scipy.fft.rfftn(values - values.mean(), padded)
    products = scipy.fft.irfftn(np.abs(transform) ** 2, padded)
    lags = np.arange(-reach, reach + 1)
    sums = products[np.ix_(lags, lags, lags)]
    for axis, side in enumerate(values.shape):
        sums = sums / (side - np.abs(lags)).reshape([-1 if a == axis else 1 for a in range(3)])
    result: NDArray[np.float64] = sums / sums[reach, reach, reach]
    return result


def autocorrelation_distance(volume: NDArray[Any], reference: NDArray[Any], reach: int = REACH) -> float:
    """Root mean square difference of normalized autocorrelations, over all lags but 0.

    Parameters
    ----------
    volume, reference
        (z, y, x), not constant.
    reach
        Longest lag along each axis, in voxels.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(16, 16, 16))
    >>> autocorrelation_distance(5 * noise, noise) < 1e-9
    True
    """
    squares = (autocorrelation(volume, reach) - autocorrelation(reference, reach)) ** 2
    return float(np.sqrt(squares.sum() / (squares.size - 1)))


def spectrum_distance(
    volume: NDArray[Any], reference: NDArray[Any], widths: Widths = (CELL, CELL, CELL)
) -> float:
    """Mean absolute log ratio of 3-D power spectra, over all of Fourier space, a missing wedge included.

    Power is averaged over cells, boxes around multiples of their widths, since that of single frequencies of
    noise varies as much as its mean. Where cells are all but empty, as in a missing wedge, a hundredth of the
    reference's mean power is added to both before the ratio: what is empty in both counts as alike, and
    power where the reference has none as log 100 if it is as much as elsewhere.

    Parameters
    ----------
    volume, reference
        (z, y, x) of the same shape, standardized: the scale counts. The mean does not.
    widths
        Of the cells along (kz, ky, kx), in cycles/voxel; 0 for single frequencies, 1 for a whole axis.

    Returns
    -------
    Natural logarithm: 0.1 is 10 % of the power. Not 0 for two draws of the same noise: m frequencies in a
    cell leave about 1.1 / √m.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(32, 32, 32))
    >>> round(spectrum_distance(2 * noise, noise), 2)  # log 4, less what is added
    1.37
    """
    if np.shape(volume) != np.shape(reference):
        raise ValueError(f"shapes {np.shape(volume)} and {np.shape(reference)} have no cells in common")
    ours, theirs = cell_powers(volume, widths), cell_powers(reference, widths)
    faint = FAINT * theirs.mean()
    return float(np.abs(np.log((ours + faint) / (theirs + faint))).mean())


def cell_powers(volume: NDArray[Any], widths: Widths) -> NDArray[np.float64]:
    """Mean power of each cell of Fourier space, (cells along kz, ky, kx ≥ 0), sorted by frequency.

    Examples
    --------
    >>> cell_powers(np.random.default_rng(0).normal(size=(32, 32, 32)), (0.125, 0.125, 0.125)).shape
    (9, 9, 5)
    """
    values = np.asarray(volume, np.float64)
    transform = scipy.fft.rfftn(values - values.mean(), norm="ortho")
    means: NDArray[np.float64] = transform.real**2 + transform.imag**2
    for axis, (side, width) in enumerate(zip(values.shape, widths, strict=True)):
        frequency = np.fft.rfftfreq(side) if axis == 2 else np.fft.fftfreq(side)
        number = np.rint(frequency / (width or 1 / side)).astype(int)
        order = np.argsort(number, kind="stable")
        _, first, count = np.unique(number[order], return_index=True, return_counts=True)
        sums = np.add.reduceat(np.take(means, order, axis), first, axis)
        means = sums / count.reshape([-1 if a == axis else 1 for a in range(3)])
    return means
