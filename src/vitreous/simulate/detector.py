"""A counting detector: how it blurs the signal, and the noise it makes of single electrons."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Array = NDArray[np.float32]


class Detector(BaseModel):
    """MTF and DQE as curves of two and three numbers.

    With f the frequency over the Nyquist frequency of the physical pixels,
    MTF(f) = 1 / (1 + (1/MTF(1) - 1)·f²), a Lorentzian [vulovic], and DQE(f) = DQE(0) + (DQE(1) - DQE(0))·f.
    The defaults are near those of direct detectors that count, at 300 kV.

    Parameters
    ----------
    mtf_at_nyquist
        MTF(1); 1 is a detector that does not blur.
    dqe_at_zero, dqe_at_nyquist
        DQE(0) and DQE(1); 1 is a detector that adds no noise.
    binning
        Physical pixels along the side of an image pixel, at least 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mtf_at_nyquist: float = Field(0.4, gt=0, le=1)
    dqe_at_zero: float = Field(0.9, gt=0, le=1)
    dqe_at_nyquist: float = Field(0.4, gt=0, le=1)
    binning: float = Field(1.0, ge=1)

    def mtf(self, shape: tuple[int, int]) -> Array:
        """Gain of the signal on the `rfft2` grid of an image (y, x)."""
        f = self._over_nyquist(shape)
        gain: Array = (1 / (1 + (1 / self.mtf_at_nyquist - 1) * f**2)).astype(np.float32)
        return gain

    def noise_gain(self, shape: tuple[int, int]) -> Array:
        """Gain of the counting noise, MTF/√DQE, on the `rfft2` grid of an image (y, x)."""
        f = np.minimum(self._over_nyquist(shape), 1)
        dqe = self.dqe_at_zero + (self.dqe_at_nyquist - self.dqe_at_zero) * f
        gain: Array = (self.mtf(shape) / np.sqrt(dqe)).astype(np.float32)
        return gain

    def noise(self, counts: NDArray[np.int64], expected: NDArray[np.float64]) -> Array:
        """What the detector makes of the difference between counted and expected electrons (y, x)."""
        transform = scipy.fft.rfft2((counts - expected).astype(np.float32))
        coloured: Array = scipy.fft.irfft2(transform * self.noise_gain(counts.shape), s=counts.shape)
        return coloured

    def _over_nyquist(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
        frequency: NDArray[np.float64] = np.hypot(y, x) / (0.5 * self.binning)
        return frequency


def count_electrons(
    expected: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Electrons counted in the even and in the odd frames of an image.

    Both are independent and Poisson with half of the expected number, and their sum is Poisson with
    all of it.

    Parameters
    ----------
    expected
        Mean number of electrons in each pixel, at least 0.
    rng
        Draws the numbers.
    """
    counts = rng.poisson(expected)
    even = rng.binomial(counts, 0.5)
    return even, counts - even
