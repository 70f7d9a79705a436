"""Frozen, seeded cases: a clean volume, noise of one kind, everything a row needs to be scored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vitreous.simulate import (
    Phantom,
    TiltGeometry,
    make_phantom,
    reconstructed_noise,
    wedge_filtered,
    white_noise,
)

SIDE = 120
TILT_RANGE_DEG = (-60.0, 60.0)
TILTS_DEG = tuple(float(t) for t in range(-60, 61, 3))
TRAINING_SEEDS = (101, 102, 103)  # phantoms that supervised networks see; never scored

Array = NDArray[np.float32]


@dataclass(frozen=True)
class CaseKind:
    """How a case is made.

    `noise_over_signal` is the ratio of standard deviations over the whole volume; `sigma` the
    noise's deviation as a share of the clean volume's range; one of them is None.
    """

    description: str
    geometry: str
    particles: int
    sigma: float | None = None
    noise_over_signal: float | None = None


CASES = {
    "white": CaseKind("white noise, σ = 0.2 of the range", "white", 75, sigma=0.2),
    "wedge": CaseKind("signal and noise within a ±60° wedge, σ = 0.15 of the range", "wedge", 75, sigma=0.15),
    "crowded": CaseKind("the same with signal everywhere", "wedge", 6000, sigma=0.15),
    "wbp-1": CaseKind("back-projected, noise/signal 1", "wbp", 300, noise_over_signal=1),
    "wbp-4": CaseKind("back-projected, noise/signal 4", "wbp", 300, noise_over_signal=4),
    "wbp-12": CaseKind("back-projected, noise/signal 12", "wbp", 300, noise_over_signal=12),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One volume to denoise: `noisy` = `clean` + `noise`, and two halves with independent noise.

    The halves have twice the variance each, and `noisy` is their mean, as frame halves are.
    """

    clean: Array
    noise: Array
    halves: tuple[Array, Array]
    phantom: Phantom

    @property
    def noisy(self) -> Array:
        """What a method gets to see."""
        return self.clean + self.noise

    @property
    def data_range(self) -> float:
        """Range of the clean volume, for PSNR and SSIM."""
        return float(np.ptp(self.clean))


@lru_cache(maxsize=6)
def make_case(name: str, seed: int) -> Case:
    """The case `name` with its own phantom and noise for each seed."""
    kind = CASES[name]
    shape = (SIDE,) * 3
    phantom = make_phantom(shape, particles=kind.particles, seed=seed)
    rng = np.random.default_rng(1000 + seed)
    first, second = (unit_noise(kind.geometry, rng) for _ in range(2))
    clean = phantom.density
    if kind.geometry == "wedge":
        clean = wedge_filtered(clean, TILT_RANGE_DEG)
    if kind.geometry == "wbp":
        geometry = TiltGeometry(SIDE, SIDE, TILTS_DEG)
        clean = geometry.reconstruct(geometry.project(clean))
    scale = (
        kind.sigma * np.ptp(clean) if kind.sigma is not None else (kind.noise_over_signal or 0) * clean.std()
    )
    noise, other = first * np.float32(scale), second * np.float32(scale)
    return Case(clean, noise, (clean + noise + other, clean + noise - other), phantom)


def unit_noise(geometry: str, rng: np.random.Generator) -> Array:
    """Noise of unit variance as the geometry shapes it."""
    shape = (SIDE,) * 3
    if geometry == "white":
        return white_noise(shape, rng)
    if geometry == "wbp":
        return reconstructed_noise(shape, TILTS_DEG, rng)
    noise = wedge_filtered(white_noise(shape, rng), TILT_RANGE_DEG)
    unit: Array = noise / noise.std()
    return unit
