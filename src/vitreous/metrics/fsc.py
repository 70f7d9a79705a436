"""Fourier shell correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
RANDOMIZED_BELOW = 0.8  # FSC from which on phases are made random


def fourier_shell_correlation(
    first: NDArray[Any], second: NDArray[Any], *, mask: NDArray[np.bool_] | None = None
) -> Curve:
    """FSC of two volumes of one shape over shells one Fourier voxel of the shortest side wide.

    Parameters
    ----------
    first, second
        Real arrays (z, y, x).
    mask
        Optional region of Fourier space (rfftn layout) to which the sums are restricted.

    Returns
    -------
    Frequencies (cycles/voxel, shell centres up to 0.5) and correlations.

    Examples
    --------
    >>> v = np.random.default_rng(0).normal(size=(16, 16, 16))
    >>> bool(np.allclose(fourier_shell_correlation(v, v)[1], 1))
    True
    """
    if first.shape != second.shape:
        raise ValueError(f"shapes differ: {first.shape} and {second.shape}")
    a, b = (scipy.fft.rfftn(np.asarray(v, np.float32)) for v in (first, second))
    width = 1 / min(first.shape)
    shell = np.rint(_radius(first.shape) / width).astype(int)
    count = min(first.shape) // 2 + 1
    keep = shell < count
    if mask is not None:
        keep &= mask
    both = _columns(first.shape[-1])

    def shell_sum(values: NDArray[Any]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.bincount(
            shell[keep], weights=(values * both)[keep], minlength=count
        ).astype(np.float64)
        return sums

    cross = shell_sum((a * b.conj()).real)
    power = np.sqrt(shell_sum(np.abs(a) ** 2) * shell_sum(np.abs(b) ** 2))
    curve = np.divide(cross, power, out=np.zeros(count), where=power > 0)
    return (np.arange(1, count) * width), curve[1:]


def band_correlation(
    first: NDArray[Any],
    second: NDArray[Any],
    band: tuple[float, float],
    mask: NDArray[np.bool_] | None = None,
) -> float:
    """Correlation of two volumes over all frequencies of a band: an FSC of one wide shell.

    Parameters
    ----------
    first, second
        Real arrays (z, y, x) of one shape.
    band
        Lowest (included) and highest |k| in cycles/voxel.
    mask
        Optional region of Fourier space (rfftn layout) to which the sums are restricted.

    Examples
    --------
    >>> v = np.random.default_rng(0).normal(size=(16, 16, 16))
    >>> round(band_correlation(v, -2 * v, (0.1, 0.3)), 6)
    -1.0
    """
    a, b = (scipy.fft.rfftn(np.asarray(v, np.float32)) for v in (first, second))
    radius = _radius(first.shape)
    weights = _columns(first.shape[-1]) * ((radius >= band[0]) & (radius < band[1]))
    if mask is not None:
        weights = weights * mask
    cross, *powers = (
        np.sum(weights * part) for part in ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)
    )
    return float(cross / np.sqrt(powers[0] * powers[1])) if min(powers) > 0 else 0.0


def _radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """|k| in cycles/voxel, rfftn layout."""
    squares: NDArray[np.float64] = np.zeros(())
    for axis, side in enumerate(shape):
        f = scipy.fft.rfftfreq(side) if axis == len(shape) - 1 else scipy.fft.fftfreq(side)
        squares = squares + (f**2).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return np.sqrt(squares)


def _columns(side: int) -> NDArray[np.float64]:
    """Frequencies that a column of rfftn stands for: one in the first and an even side's last, else two."""
    both = np.full(side // 2 + 1, 2.0)
    both[0] = 1.0
    if side % 2 == 0:
        both[-1] = 1.0
    return both


def fsc_resolution(curve: Curve, spacing_angstrom: float, *, threshold: float = 0.5) -> float:
    """Resolution in Å at which the curve first falls below `threshold` (linear between shells).

    That of the last shell if it never does: twice the spacing (Nyquist) where the shortest side is even,
    a little more where it is odd. Infinite if it starts below.
    """
    frequency, values = curve
    below = np.flatnonzero(values < threshold)
    if below.size == 0:
        return float(spacing_angstrom / frequency[-1])
    i = int(below[0])
    if i == 0:
        return float("inf")
    share = (values[i - 1] - threshold) / (values[i - 1] - values[i])
    return float(spacing_angstrom / (frequency[i - 1] + share * (frequency[i] - frequency[i - 1])))


@dataclass(frozen=True, eq=False)
class MaskedFsc:
    """FSC of two half maps within a mask, and what the mask alone makes of it.

    Parameters
    ----------
    frequency
        Shell centres in cycles/voxel.
    unmasked, masked
        Without and with the mask.
    randomized
        With the mask, of maps of which phases beyond `randomized_beyond` (cycles/voxel) are random.
    corrected
        (masked - randomized) / (1 - randomized) beyond, the masked one before.
    randomized_beyond
        Where the unmasked FSC first falls below 0.8, and two shells further.
    """

    frequency: NDArray[np.float64]
    unmasked: NDArray[np.float64]
    masked: NDArray[np.float64]
    randomized: NDArray[np.float64]
    corrected: NDArray[np.float64]
    randomized_beyond: float

    @property
    def curve(self) -> Curve:
        """The corrected one."""
        return self.frequency, self.corrected


def masked_fsc(first: NDArray[Any], second: NDArray[Any], mask: NDArray[Any], *, seed: int = 0) -> MaskedFsc:
    """FSC within a soft mask, corrected for the correlation that the mask brings by itself [chen].

    Parameters
    ----------
    first, second
        Half maps (z, y, x).
    mask
        (z, y, x), 0 … 1, with a soft edge.
    seed
        Of the random phases.

    Examples
    --------
    >>> v = np.random.default_rng(0).normal(size=(16, 16, 16))
    >>> bool(masked_fsc(v, v, np.ones(v.shape)).corrected.min() > 0.99)
    True
    """
    frequency, unmasked = fourier_shell_correlation(first, second)
    masked = fourier_shell_correlation(first * mask, second * mask)[1]
    low = np.flatnonzero(unmasked < RANDOMIZED_BELOW)
    from_shell = min(int(low[0]) if low.size else len(frequency) - 1, len(frequency) - 1)
    beyond = float(frequency[from_shell])
    rng = np.random.default_rng(seed)
    halves = (phase_randomized(volume, rng, beyond) * mask for volume in (first, second))
    randomized = fourier_shell_correlation(*halves)[1]
    corrected = masked.copy()
    after = slice(from_shell + 2, None)  # the mask smears the step over the shells next to it
    corrected[after] = (masked[after] - randomized[after]) / np.maximum(1 - randomized[after], 1e-3)
    return MaskedFsc(frequency, unmasked, masked, randomized, np.clip(corrected, -1, 1), beyond)


def phase_randomized(
    density: NDArray[Any], rng: np.random.Generator, beyond: float = 0.0
) -> NDArray[np.float32]:
    """The density with the phases of white noise, its power spectrum kept: as large and as smooth.

    Parameters
    ----------
    density
        (z, y, x).
    rng
        Draws the phases.
    beyond
        Frequencies up to it, in cycles/voxel, keep their phases; the mean always does.

    Examples
    --------
    >>> ball = np.zeros((9, 9, 9), np.float32); ball[3:6, 3:6, 3:6] = 1
    >>> other = phase_randomized(ball, np.random.default_rng(0))
    >>> bool(np.isclose((other**2).sum(), (ball**2).sum(), rtol=1e-4))
    True
    """
    transform = scipy.fft.rfftn(np.asarray(density, np.float32))
    noise = scipy.fft.rfftn(rng.standard_normal(density.shape, dtype=np.float32))
    phases = noise / np.maximum(np.abs(noise), 1e-12)
    changed = np.where(_radius(density.shape) > beyond, np.abs(transform) * phases, transform)
    result: NDArray[np.float32] = scipy.fft.irfftn(changed, s=density.shape).astype(np.float32)
    return result
