"""What the game begins with: the spectrum of the noise, and what is passed of each frequency of a density."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vitreous.fourier import estimated_tilt_range, frequency_radius, interpolate_spectrum, shell_means
from vitreous.fourier.turning import whole_spectrum
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.method import PreparedVolume
from vitreous.methods.noise_model.method import seen_spectrum
from vitreous.methods.noise_model.spectrum import UNCERTAIN, mean_periodogram
from vitreous.training import TrainingVolume

MOST_NOISE, LEAST_NOISE = 0.995, 0.05  # share of the variance: beyond it the estimate is chance
MOST_PASSED = 5.0  # smoothed densities have next to nothing at high frequency: that says nothing of transfer
CLEAR = 0.15  # of the noise's power: the spectrum of the noise has been a tenth too low in a shell


def set_prior(
    network: DualNetworks, volumes: Sequence[PreparedVolume], clean: Sequence[TrainingVolume]
) -> None:
    """Give the networks the mean noise spectrum of the volumes, and what their signal is of the densities.

    Raises
    ------
    ValueError
        If the volumes were not prepared by `Dual.prepare`.
    """
    side = network.noise_power.shape[0]
    noise = mean_of([seen_spectrum(v) for v in volumes], side)
    total = mean_of([v.total_spectrum for v in volumes], side)
    share = float(np.mean([min(max(v.noise_share, LEAST_NOISE), MOST_NOISE) for v in volumes]))
    network.noise_power.copy_(noise)
    network.tilts.copy_(torch.tensor(tilts_of(volumes)))
    densities = mean_of([mean_periodogram(v.data, v.normalization, v.mask) for v in clean], side)
    count, measured = len(network.signal_transfer), network.measured(noise.shape).cpu()
    level = float((1 - share) * total.mean()) ** 0.5
    network.signal_transfer.copy_(signal_transfer(noise, total, densities, measured, level, count))


def tilts_of(volumes: Sequence[PreparedVolume]) -> tuple[float, float, float]:
    """Lowest and highest tilt angle in degrees of all volumes, and their axis.

    All angles if the noise of one shows no gap, or the axes differ.
    """
    found = [tilts_seen(v) for v in volumes]
    ranges = [limits for limits, _ in found if limits is not None]
    axes = {axis for _, axis in found}
    if len(ranges) < len(found) or len(axes) > 1:
        return (-90.0, 90.0, 1.0)
    return (min(low for low, _ in ranges), max(high for _, high in ranges), float(axes.pop()))


def tilts_seen(volume: PreparedVolume) -> tuple[tuple[float, float] | None, int]:
    """The tilt range in degrees that a volume's noise shows, None if it shows no gap, and the axis."""
    likely = volume.tilt_axis or 1
    for axis in (likely, 3 - likely):
        limits = estimated_tilt_range(seen_spectrum(volume), axis)
        if limits is not None:
            return limits, axis
    return None, likely


def signal_transfer(
    noise: Tensor, total: Tensor, densities: Tensor, measured: Tensor, level: float, count: int
) -> Tensor:
    """Amplitude that is passed of each frequency, at `count` evenly spaced |k| from 0 to Nyquist.

    What tomograms have beyond their noise, where they were measured, over the power of densities like theirs:
    contrast transfer without its sign, envelope and interpolation together. From the first shell on in which
    the noise may hide it, it goes evenly to nothing at Nyquist, or is as little as was measured.

    Parameters
    ----------
    noise, total, densities
        Mean power spectra (side, side, side) of the noise, the tomograms with it, and standardized densities.
    measured
        Weights of their frequencies, (side, side, side // 2 + 1): 0 where the tilts have not been.
    level
        What is passed of all frequencies where none can be told from the noise.
    count
        Of the result.

    Examples
    --------
    >>> flat = torch.ones(8, 8, 8)
    >>> signal_transfer(flat, 1.25 * flat, flat, torch.ones(8, 8, 5), 1.0, 3).tolist()
    [0.5, 0.5, 0.5]
    """
    step = 0.5 / (count - 1)
    edges = [0.0] + [(i + 0.5) * step for i in range(count)]
    held = (frequency_radius(noise.shape) > 0).double()  # their means were taken off
    where = torch.fft.ifftshift(whole_spectrum(measured)) * held
    n, both = (shell_means(p, edges, where).numpy() for p in (noise, total))
    power = np.maximum(shell_means(densities, edges, held).numpy(), 1e-12)
    signal = np.maximum(both - n, 0)
    shows = ((signal > CLEAR * n) & (signal < MOST_PASSED**2 * power)) | np.isnan(n)
    clear = np.flatnonzero(np.logical_and.accumulate(shows) & ~np.isnan(n))
    if not len(clear):
        return torch.full((count,), level)
    known = np.sqrt(signal[clear] / power[clear])
    if clear[-1] < count - 1:
        clear, known = np.append(clear, count - 1), np.append(known, 0)
    passed = np.interp(np.arange(count), clear, known)
    most = np.sqrt(np.maximum(signal, UNCERTAIN * n) / power)
    return torch.from_numpy(np.fmin(passed, most)).float()


def mean_of(spectra: Sequence[Tensor | None], side: int) -> Tensor:
    """Mean of spectra on the grid of a cube."""
    known = [interpolate_spectrum(s, (side,) * 3) for s in spectra if s is not None]
    if len(known) != len(spectra):
        raise ValueError("the volumes were not prepared by Dual.prepare")
    return torch.stack(known).mean(0)
