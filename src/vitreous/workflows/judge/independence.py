"""Whether two tomograms show one specimen under independent noises."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vitreous.fourier import frequency_radius, interpolate_spectrum
from vitreous.workflows.annotate.subject import Subject

COARSE = (0.02, 0.2)  # cycles/voxel: where particles are seen
BANDS = ((0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5))
LEAST_NOISE = 0.1  # share of a band's power: of less no correlation can be told
TINY = 1e-12


@dataclass(frozen=True)
class Likeness:
    """How two tomograms are alike.

    Parameters
    ----------
    specimen
        Correlation where particles are seen.
    expected
        What it would be if both showed the same specimen, as far as their noise is known.
    noise
        Correlation of the noises: what the specimen does not explain, in the band where that is most; of
        independent ones about 0, of a half and the whole 0.7.
    """

    specimen: float
    expected: float
    noise: float


def likeness_of(first: Subject, second: Subject) -> Likeness:
    """Compare two tomograms of one shape in the voxels of the search.

    Signal and noise share the power of a band as the noise spectra tell; of independent noises only the
    signals correlate, by the root of the product of their shares.
    """
    pair = [torch.from_numpy(subject.working) for subject in (first, second)]
    transforms = [torch.fft.rfftn(volume) for volume in pair]
    noises = [
        interpolate_spectrum(subject.noise, volume.shape, half=True) * volume.numel()
        for subject, volume in zip((first, second), pair, strict=True)
    ]
    radius = frequency_radius(pair[0].shape, half=True)

    def compared(band: tuple[float, float]) -> tuple[float, float, float]:
        """Correlation of a band, and how much of it equal signals, or else equal noises, would explain."""
        there = (radius >= band[0]) & (radius < band[1])
        a, b = (transform[there] for transform in transforms)
        powers = [float(part.abs().square().sum()) + TINY for part in (a, b)]
        correlation = float((a * b.conj()).real.sum()) / (powers[0] * powers[1]) ** 0.5
        shares = [signal_share(noise[there], power) for noise, power in zip(noises, powers, strict=True)]
        explained = (shares[0] * shares[1]) ** 0.5
        return correlation, explained, ((1 - shares[0]) * (1 - shares[1])) ** 0.5

    specimen, expected, _ = compared(COARSE)
    noise = [
        (correlation - explained) / rest
        for correlation, explained, rest in map(compared, BANDS)
        if rest > LEAST_NOISE
    ]
    return Likeness(specimen, expected, max(noise, default=0.0))


def signal_share(noise: Tensor, power: float) -> float:
    """Of a power that is partly noise's, what is left for the signal."""
    return min(1.0, max(0.0, 1.0 - float(noise.sum()) / power))
