"""The noise power spectrum of a tomogram, estimated from that one tomogram.

Quiet patches still hold signal at low frequency, so the spectrum cannot simply be read off them
there. A single-axis tilt series fills Fourier space slice by slice around the tilt axis: whatever
ramp, radial filter, angles and missing wedge went into the reconstruction acts across that axis,
and what the detector and any smoothing do along it acts on the other factor. Hence

    S(k) = A(kz, kx) · g(ky)

for a tilt axis along y. A is read where |ky| is high, g where the frequency across the axis is
high: both far out in Fourier space, where the specimen has little power, yet between them they give
S at the lowest frequencies too, wedge and ramp included, without being told the geometry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization
from vitreous.fourier import frequency_axes, frequency_radius, patch_spectra, shell_means, symmetrize

PATCH_SIDE = 32
MOST_PATCHES = 600
INNER_SHARE = 0.85  # of the highest frequency with power: from there on the patches are taken to be noise
BINNINGS = (2, 3)
AFFORDABLE_LOSS = 0.02
UNCERTAIN = 0.05  # relative error of the estimate: power up to that much above the noise may be noise
MOST_OUTER_POWER = 3.0  # relative to the median patch
LOW_ACROSS = 0.13
MOST_STREAK = 1.5  # likewise: noise alone spreads by a tenth to a fifth
STREAKS = 0.08  # along the tilt axis: below it streaks from the borders of the volume add to the noise
BESIDE_STREAKS = 0.25
CLEARLY = 2.0  # ratio of misfits: 11 at least for single-axis noise, 1.04 at most where there is no axis
SMALLEST_POWER = 0.05  # relative to mid frequencies: below it a band is taken to have been filtered away


@dataclass(frozen=True, eq=False)
class NoiseSpectrum:
    """An estimated noise spectrum and what it rests on.

    Parameters
    ----------
    power
        S(k), (z, y, x) in FFT order, in units of the standardized volume's variance.
    total
        Mean periodogram of all patches: signal and noise, same layout.
    tilt_axis
        1 if the slices turn about y, 2 if about x.
    tilt_axis_seen
        Whether the other axis fits much worse; if not, `tilt_axis` is chance, as for white noise.
    inner_frequency
        Where "far out" begins, in cycles/voxel.
    """

    power: Tensor
    total: Tensor
    tilt_axis: int
    tilt_axis_seen: bool
    inner_frequency: float

    @property
    def noise_share(self) -> float:
        """Share of the volume's variance that is noise."""
        return float(self.power.mean() / self.total.mean())

    @property
    def filled_share(self) -> float:
        """Share of Fourier space that the noise fills, as (mean S)² / mean S²: 1 for white noise."""
        return float(self.power.mean() ** 2 / self.power.square().mean())

    def useful_binning(self) -> int:
        """The strongest binning that costs next to nothing: how far the signal lies below the noise.

        The best linear filter leaves an error of Σ PS/(P + S). Binning also gives up what that filter
        would have kept above the new Nyquist frequency, Σ P²/(P + S); the factor is the largest for
        which this is under 2 % of that error. In very noisy tomograms the network then neither learns
        the noise of frequencies without signal nor spends its time there.
        """
        edges = [0.0] + [(i + 0.5) / PATCH_SIDE for i in range(28)]
        radius = frequency_radius(self.power.shape).flatten()
        count = torch.histogram(radius, torch.tensor(edges)).hist.double()
        noise = shell_means(self.power.clamp_min(0), edges).nan_to_num(0)
        signal = (shell_means(self.total, edges).nan_to_num(0) - (1 + UNCERTAIN) * noise).clamp_min(0)
        both = (signal + noise).clamp_min(1e-12)
        error = (count * signal * noise / both).sum()
        lost = count * signal.square() / both
        upper = torch.tensor(edges[1:])
        factors = [f for f in BINNINGS if lost[upper > 0.5 / f].sum() < AFFORDABLE_LOSS * error]
        return max(factors, default=1)


def estimate_noise_spectrum(
    data: NDArray[Any], normalization: Normalization, mask: NDArray[np.bool_] | None = None
) -> NoiseSpectrum:
    """Estimate S(k) from one volume (module docstring; METHODS of noise-model denoising).

    Parameters
    ----------
    data
        (z, y, x) grey values, may be memory-mapped; at most 600 patches are read.
    normalization
        Constants that standardize the volume; outliers such as gold are clipped by it.
    mask
        Optional specimen mask: only patches mostly inside it count.

    Returns
    -------
    NoiseSpectrum in units of the standardized variance.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> white = rng.normal(size=(64, 64, 64)).astype(np.float32)
    >>> estimate = estimate_noise_spectrum(white, Normalization(0, 1, -10, 10))
    >>> bool(abs(estimate.power.mean() - 1) < 0.05 and estimate.filled_share > 0.95)
    True
    """
    spectra = periodograms(data, normalization, mask)
    inner = INNER_SHARE * highest_frequency(spectra.mean(0))
    spectra = without_gold(spectra, inner)
    total = symmetrize(spectra.mean(0))
    fit, tilt_axis, seen = best_fit(spectra, inner)
    return NoiseSpectrum(fit, total, tilt_axis, seen, inner)


def periodograms(
    data: NDArray[Any], normalization: Normalization, mask: NDArray[np.bool_] | None = None
) -> Tensor:
    """Periodograms of patches of a standardized volume, (n, z, y, x) in FFT order."""
    cuts = patch_cuts(data.shape, mask)
    return patch_spectra(torch.from_numpy(normalization.apply(data[cut])) for cut in cuts)


def mean_periodogram(
    data: NDArray[Any], normalization: Normalization, mask: NDArray[np.bool_] | None = None
) -> Tensor:
    """Power spectrum of a standardized volume, (z, y, x) in FFT order, in units of its variance."""
    return symmetrize(periodograms(data, normalization, mask).mean(0))


def patch_cuts(volume: Sequence[int], mask: NDArray[np.bool_] | None = None) -> Iterator[tuple[slice, ...]]:
    """Where the patches lie that spectra are estimated from: of 32 voxels, even sides if there are fewer."""
    shape = tuple(min(PATCH_SIDE, side - side % 2) for side in volume)
    for start in patch_starts(volume, shape, mask):
        yield tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))


def patch_starts(
    volume: Sequence[int], patch: Sequence[int], mask: NDArray[np.bool_] | None = None
) -> list[tuple[int, ...]]:
    """Starts of half-overlapping patches, thinned to at most 600 and spread over the volume."""
    steps = []
    for side, n in zip(volume, patch, strict=True):
        count = max(1, round((side - n) / max(1, n // 2)) + 1) if side > n else 1
        steps.append(np.linspace(0, side - n, count).round().astype(int))
    starts = [tuple(int(v) for v in start) for start in product(*steps)]
    if mask is not None:
        inside = [
            s
            for s in starts
            if mask[tuple(slice(a, a + n) for a, n in zip(s, patch, strict=True))].mean() > 0.5
        ]
        starts = inside or starts
    if len(starts) > MOST_PATCHES:
        chosen = np.random.default_rng(0).choice(len(starts), MOST_PATCHES, replace=False)
        starts = [starts[i] for i in sorted(chosen)]
    return starts


def highest_frequency(total: Tensor) -> float:
    """Highest shell (cycles/voxel, at most 0.5) that still holds power: lower in filtered tomograms."""
    edges = [0.05 * i for i in range(2, 11)]
    means = shell_means(total, edges).tolist()
    middle = float(np.nanmedian(means))
    held = [upper for upper, mean in zip(edges[1:], means, strict=True) if mean > SMALLEST_POWER * middle]
    return max(held, default=0.5)


def without_gold(spectra: Tensor, inner: float) -> Tensor:
    """The spectra but those with far more power at the outer frequencies than most: sharp edges of gold."""
    outer = spectra[:, frequency_radius(spectra.shape[1:]) > inner].mean(1)
    return spectra[outer <= MOST_OUTER_POWER * outer.median()]


def without_membranes(spectra: Tensor, tilt_axis: int, inner: float) -> Tensor:
    """The spectra but those that stand out at high frequency along the tilt axis and low frequency across.

    That is where a membrane across the tilt axis has its power, and where A's lowest part is read.
    """
    axes = frequency_axes(spectra.shape[1:])
    along = axes[tilt_axis].abs().expand(spectra.shape[1:])
    across = (frequency_radius(spectra.shape[1:]) ** 2 - along**2).clamp_min(0).sqrt()
    streak = spectra[:, (along > inner) & (across < LOW_ACROSS)].mean(1)
    share = streak / spectra[:, (along > inner) & (across > LOW_ACROSS)].mean(1).clamp_min(1e-12)
    return spectra[share <= MOST_STREAK * share.median()]


def best_fit(spectra: Tensor, inner: float) -> tuple[Tensor, int, bool]:
    """The separable fit that agrees better, its tilt axis (y: 1, x: 2), whether the other is far worse."""
    powers = {axis: symmetrize(without_membranes(spectra, axis, inner).mean(0)) for axis in (1, 2)}
    fits = {axis: separable_fit(power, axis, inner) for axis, power in powers.items()}
    misfits = {axis: misfit(fits[axis], powers[axis], inner) for axis in fits}
    best, other = sorted(fits, key=lambda axis: misfits[axis])
    return fits[best], best, misfits[other] > CLEARLY * misfits[best]


def separable_fit(power: Tensor, tilt_axis: int, inner: float) -> Tensor:
    """A(across) · g(along) from the outer frequencies of a spectrum, for a tilt axis along y (1) or x (2)."""
    axes = frequency_axes(power.shape)
    along = axes[tilt_axis].abs()
    others = tuple(i for i in range(3) if i != tilt_axis)
    across = (axes[others[0]] ** 2 + axes[others[1]] ** 2).sqrt()
    # A mirror at the plane across the tilt axis leaves a single-axis geometry as it is.
    mirrored = 0.5 * (power + power.flip(tilt_axis).roll(1, tilt_axis))
    outer = (along > inner).float().expand_as(power)
    plane = (mirrored * outer).sum(tilt_axis, keepdim=True) / outer.sum(tilt_axis, keepdim=True).clamp_min(1)
    far = (across > inner).float().expand_as(power)
    profile = (mirrored * far).sum(others, keepdim=True) / (plane * far).sum(others, keepdim=True).clamp_min(
        1e-12
    )
    profile = torch.where(along < STREAKS, continued_to_zero(profile, along), profile)
    profile = profile / profile[along > inner].mean().clamp_min(1e-12)
    return plane * profile


def continued_to_zero(profile: Tensor, along: Tensor) -> Tensor:
    """The profile below `STREAKS` as its neighbours imply: log g = a + b·k², being smooth and even."""
    beside = (along >= STREAKS) & (along < BESIDE_STREAKS)
    squares, values = along[beside].square(), profile[beside].clamp_min(1e-12).log()
    offset = squares - squares.mean()
    slope = (offset * values).sum() / offset.square().sum().clamp_min(1e-12)  # thin volumes: one neighbour
    return (values.mean() + slope * (along.square() - squares.mean())).exp()


def misfit(fit: Tensor, power: Tensor, inner: float) -> float:
    """Mean absolute log ratio of fit and measurement where both are noise."""
    radius = frequency_radius(power.shape)
    outer = (radius > inner) & (radius < 0.5)
    floor = 1e-3 * power[outer].mean()
    return float((torch.log(fit[outer] + floor) - torch.log(power[outer] + floor)).abs().mean())
