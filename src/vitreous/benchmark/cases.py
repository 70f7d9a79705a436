"""Frozen, seeded cases: a clean volume, noise of one kind, everything a row needs to be scored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vitreous.simulate import (
    GrandModel,
    ImagingSettings,
    TiltGeometry,
    TiltScheme,
    crowd,
    image,
    wedge_filtered,
    weighted_back_projection,
    white_noise,
)

SIDE = 120
SPACING_ANGSTROM = 10.0
TILT_RANGE_DEG = (-60.0, 60.0)
TILT_STEP_DEG = 3.0
TILTS_DEG = tuple(float(t) for t in np.arange(TILT_RANGE_DEG[0], TILT_RANGE_DEG[1] + 1, TILT_STEP_DEG))
TRAINING_SEEDS = (101, 102, 103)  # specimens that supervised networks see; never scored

Array = NDArray[np.float32]
Halves = tuple[Array, Array, Array]  # the clean volume, and the noise of the even and of the odd half


@dataclass(frozen=True)
class CaseKind:
    """How a case is made.

    Parameters
    ----------
    description
        In words.
    geometry
        What shapes the noise: "white", "wedge" (signal and noise restricted to the measured region),
        "wbp" (white in the projections, then back-projected) or "ctf" (a tilt series with CTF, radiation
        damage and counting noise, back-projected).
    occupancy
        Share of the box that particles fill; a membrane comes on top.
    sigma
        Deviation of the noise as a share of the clean volume's range, or None.
    noise_over_signal
        Ratio of standard deviations over the whole volume, or None.
    """

    description: str
    geometry: str
    occupancy: float
    sigma: float | None = None
    noise_over_signal: float | None = None


CASES = {
    "white": CaseKind("white noise, σ = 0.2 of the range", "white", 0.1, sigma=0.2),
    "wedge": CaseKind("signal and noise in a ±60° wedge, σ = 0.15 of the range", "wedge", 0.1, sigma=0.15),
    "crowded": CaseKind("the same with signal everywhere", "wedge", 0.43, sigma=0.15),
    "wbp-1": CaseKind("back-projected, noise/signal 1", "wbp", 0.2, noise_over_signal=1),
    "wbp-4": CaseKind("back-projected, noise/signal 4", "wbp", 0.2, noise_over_signal=4),
    "wbp-12": CaseKind("back-projected, noise/signal 12", "wbp", 0.2, noise_over_signal=12),
    "ctf-4": CaseKind("with CTF and dose, back-projected, noise/signal 4", "ctf", 0.2, noise_over_signal=4),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One volume to denoise: `noisy` = `clean` + `noise`, and two halves with independent noise.

    The halves have twice the variance each, and `noisy` is their mean, as frame halves are.
    """

    clean: Array
    noise: Array
    halves: tuple[Array, Array]
    grand_model: GrandModel

    @property
    def noisy(self) -> Array:
        """What a method gets to see."""
        return self.clean + self.noise

    @property
    def data_range(self) -> float:
        """Range of the clean volume, for PSNR and SSIM."""
        return float(np.ptp(self.clean))

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Where particles and membranes are."""
        return self.grand_model.instance_mask > 0


@lru_cache(maxsize=6)
def make_case(name: str, seed: int) -> Case:
    """The case `name` with its own specimen and noise for each seed."""
    kind = CASES[name]
    grand_model = crowd(
        (SIDE,) * 3, occupancy=kind.occupancy, seed=seed, sheets=1, voxel_spacing_angstrom=SPACING_ANGSTROM
    )
    rng = np.random.default_rng(1000 + seed)
    if kind.geometry == "wbp":
        clean, first, second = back_projected(grand_model.density, kind.noise_over_signal or 1, rng)
    elif kind.geometry == "ctf":
        clean, first, second = imaged(grand_model.density, kind.noise_over_signal or 1, seed)
    else:
        wedge = kind.geometry == "wedge"
        clean = wedge_filtered(grand_model.density, TILT_RANGE_DEG) if wedge else grand_model.density
        scale = np.float32((kind.sigma or 0) * np.ptp(clean))
        first, second = (scale * noise_within(wedge, rng) for _ in range(2))
    noise = np.float32(0.5) * (first + second)
    return Case(clean, noise, (clean + first, clean + second), grand_model)


def back_projected(density: Array, noise_over_signal: float, rng: np.random.Generator) -> Halves:
    """Reconstructions of noise-free projections, and of white noise in the projections of either half."""
    geometry = TiltGeometry(SIDE, SIDE, TILTS_DEG, oversampling=4)
    clean = weighted_back_projection(geometry.project(density), TILTS_DEG, SIDE)
    first, second = (
        weighted_back_projection(white_noise((len(TILTS_DEG), SIDE, SIDE), rng), TILTS_DEG, SIDE)
        for _ in range(2)
    )
    scale = np.float32(noise_over_signal * clean.std() / (0.5 * (first + second)).std())
    return clean, scale * first, scale * second


def imaged(density: Array, noise_over_signal: float, seed: int) -> Halves:
    """Reconstructions of a noise-free tilt series with CTF, and of the counting noise of either half."""
    lowest, highest = TILT_RANGE_DEG
    tilts = TiltScheme(lowest_deg=lowest, highest_deg=highest, step_deg=TILT_STEP_DEG)
    settings = ImagingSettings(tilts=tilts, snr=1 / noise_over_signal**2)
    series = image(density, SPACING_ANGSTROM, settings, seed=1000 + seed)
    clean, even, odd = (
        weighted_back_projection(images, series.tilt_angles_deg, SIDE)
        for images in (series.noise_free, series.even_noise, series.odd_noise)
    )
    return clean, even, odd


def noise_within(wedge: bool, rng: np.random.Generator) -> Array:
    """Noise of one half: white, or within the measured region; the mean of two has unit variance."""
    noise = white_noise((SIDE,) * 3, rng)
    if wedge:
        noise = wedge_filtered(noise, TILT_RANGE_DEG)
    unit: Array = noise * np.float32(np.sqrt(2) / noise.std())
    return unit
