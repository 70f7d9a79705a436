"""Whether what stands out of a tomogram is dark or bright, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.stats import norm

PARTICLE_ANGSTROM, WIDER = 30.0, 3.0  # σ of the narrow Gaussian, and how much wider the other is
LEAST_SIGMA = 1.5  # voxels
BLOCK = 24  # voxels: skewness of blocks that far apart is taken as independent
FEWEST_BLOCKS = 8
CAUTION = 2.0  # standard errors count as this many fewer: specimens differ in more than chance
SURE = 0.9
MOST_SURE = 0.999

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Polarity:
    """Contrast of dense matter against the ice.

    Parameters
    ----------
    protein
        "dark" as in raw tomograms, "bright", or "unclear" if neither is likelier than 0.9.
    probability_dark
        From 0 to 1.
    skewness, standard_error
        Of the band-passed volume: what it rests on.
    """

    protein: Literal["dark", "bright", "unclear"]
    probability_dark: float
    skewness: float
    standard_error: float


def measure_polarity(
    volume: Array, voxel_spacing_angstrom: float, leave_out: NDArray[np.bool_] | None = None
) -> Polarity:
    """Judge by the sign of the skewness after a band-pass that keeps particles and filaments.

    Matter stands apart in a space that is mostly ice, so that it gives the histogram its one long tail. The
    standard error comes from leaving out blocks (jackknife); as specimens differ in more than chance,
    half as many standard errors are turned into a probability as there are.

    Parameters
    ----------
    volume
        (z, y, x), standardized.
    voxel_spacing_angstrom
        Edge of its voxels.
    leave_out
        (z, y, x): gold and what was cut out, which count as ice.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(40, 40, 40)).astype(np.float32)
    >>> noise[8:12, 20:24, ::10] -= 9
    >>> measure_polarity(noise, 10.0).protein
    'dark'
    """
    band, sigma = matter_band(volume, voxel_spacing_angstrom, leave_out)
    margin = [round(sigma) if side > 8 * sigma else 0 for side in band.shape]
    band = band[tuple(slice(m, side - m) for m, side in zip(margin, band.shape, strict=True))]
    skewness, error = jackknifed_skewness(band)
    dark = float(norm.cdf(-skewness / max(error, 1e-9) / CAUTION))
    sure = max(dark, 1 - dark) > SURE
    protein: Literal["dark", "bright", "unclear"] = (
        ("dark" if dark > 0.5 else "bright") if sure else "unclear"
    )
    return Polarity(protein, float(np.clip(dark, 1 - MOST_SURE, MOST_SURE)), skewness, error)


def matter_band(
    volume: Array,
    voxel_spacing_angstrom: float,
    leave_out: NDArray[np.bool_] | None = None,
    wider: float = WIDER,
) -> tuple[Array, float]:
    """What is as large as particles and filaments, and the σ in voxels of the narrower of two Gaussians."""
    kept = volume
    if leave_out is not None and not leave_out.all():
        kept = np.where(leave_out, np.median(volume[~leave_out]), volume)
    sigma = max(PARTICLE_ANGSTROM / voxel_spacing_angstrom, LEAST_SIGMA)
    return ndi.gaussian_filter(kept, sigma) - ndi.gaussian_filter(kept, wider * sigma), sigma


def jackknifed_skewness(values: Array) -> tuple[float, float]:
    """Skewness of a volume and its standard error from leaving out one block after the other.

    Examples
    --------
    >>> skewness, error = jackknifed_skewness(np.random.default_rng(0).normal(size=(32, 32, 32)))
    >>> bool(abs(skewness) < 3 * error), bool(0.007 < error < 0.03)  # √(6 / n) is 0.0135
    (True, True)
    """
    counts = [max(1, side // BLOCK) for side in values.shape]
    while np.prod(counts) < FEWEST_BLOCKS and max(values.shape) > 2 * max(counts):
        longest = int(np.argmax([side / n for side, n in zip(values.shape, counts, strict=True)]))
        counts[longest] += 1
    blocks = [values]
    for axis, count in enumerate(counts):
        blocks = [part for block in blocks for part in np.array_split(block, count, axis)]
    powers = np.array([[np.sum(b.astype(np.float64) ** k) for k in range(4)] for b in blocks])
    total = powers.sum(axis=0)
    without = np.array([skewness_of(total - one) for one in powers])
    spread = np.sum((without - without.mean()) ** 2)
    return skewness_of(total), float(np.sqrt((len(blocks) - 1) / len(blocks) * spread))


def skewness_of(powers: NDArray[np.float64]) -> float:
    """Skewness from the number of values and the sums of their first three powers."""
    mean, second, third = powers[1:] / powers[0]
    variance = second - mean**2
    return float((third - 3 * mean * second + 2 * mean**3) / variance**1.5) if variance > 0 else 0.0
