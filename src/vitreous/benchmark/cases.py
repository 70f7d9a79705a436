"""Frozen, seeded cases: a clean volume, noise of one kind, everything a row needs to be scored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitreous.benchmark.specimens import CleanVolumes, Ground, Purified, Specimen
from vitreous.core import Volume
from vitreous.simulate import (
    ImagingSettings,
    TiltGeometry,
    TiltScheme,
    image,
    wedge_filtered,
    weighted_back_projection,
    white_noise,
)

TILT_STEP_DEG = 3.0
Array = NDArray[np.float32]
Halves = tuple[Array, Array, Array]  # the clean volume, and the noise of the even and of the odd half
TiltRange = tuple[float, float]
Noise = Literal["white", "poisson", "mixture", "wedge", "wbp", "ctf", "dose"]
RECONSTRUCTED: tuple[Noise, ...] = ("wbp", "ctf", "dose")  # grey values are those of a reconstruction


@dataclass(frozen=True)
class CaseKind:
    """How a case is made.

    Parameters
    ----------
    description
        In words.
    specimen
        What is in the ice.
    noise
        "white"; "poisson" (of transmitted counts); "mixture" (both, of the same
        variance together); "wedge" (within the measured region of Fourier space); "wbp" (white in the
        projections, then back-projected), "ctf" (a tilt series with CTF, radiation damage and counting
        noise, back-projected) or "dose" (the same with as much noise as the electrons make).
    level
        Deviation of the noise as a share of the clean volume's range; for "wbp" and "ctf" as a multiple
        of the clean volume's deviation; for "dose" the electrons/Å² of each tilt.
    tilt_range_deg
        What the signal is restricted to; None for a complete one.
    shape
        (z, y, x) in voxels, of 10 Å where the specimen is packed.
    as_published
        Whether DUAL has the configuration of its paper on this case, not its default.
    """

    description: str
    specimen: Specimen | Purified | CleanVolumes
    noise: Noise
    level: float
    tilt_range_deg: TiltRange | None = None
    shape: tuple[int, int, int] = (120, 120, 120)
    as_published: bool = False

    @property
    def tilts_deg(self) -> tuple[float, ...]:
        """Tilt angles of the reconstructed kinds."""
        lowest, highest = self.tilt_range_deg or (-90.0, 90.0)
        return tuple(float(t) for t in np.arange(lowest, highest + 1, TILT_STEP_DEG))


WEDGE = (-60.0, 60.0)
SPARSE, CROWDED, CELL = Specimen(0.1), Specimen(0.43), Specimen(0.2)
CASES = {
    "white": CaseKind("white noise, σ = 0.2 of the range", SPARSE, "white", 0.2),
    "wedge": CaseKind("signal and noise in a ±60° wedge, σ = 0.15", SPARSE, "wedge", 0.15, WEDGE),
    "crowded": CaseKind("the same with signal everywhere", CROWDED, "wedge", 0.15, WEDGE),
    "wbp-1": CaseKind("back-projected, noise/signal 1", CELL, "wbp", 1, WEDGE),
    "wbp-4": CaseKind("back-projected, noise/signal 4", CELL, "wbp", 4, WEDGE),
    "wbp-12": CaseKind("back-projected, noise/signal 12", CELL, "wbp", 12, WEDGE),
    "ctf-4": CaseKind("with CTF and dose, back-projected, noise/signal 4", CELL, "ctf", 4, WEDGE),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One volume to denoise: `noisy` = `clean` + `noise`, and two halves with independent noise.

    The halves have twice the variance each, and `noisy` is their mean, as frame halves are.
    """

    clean: Array
    noise: Array
    halves: tuple[Array, Array]
    ground: Ground

    @property
    def noisy(self) -> Array:
        """What a method gets to see."""
        return self.clean + self.noise

    @property
    def volume(self) -> Volume:
        """The same as a volume of known voxel spacing."""
        return Volume(self.noisy, (self.ground.spacing_angstrom,) * 3)

    @property
    def data_range(self) -> float:
        """Range of the clean volume, for PSNR and SSIM."""
        return float(np.ptp(self.clean))


@lru_cache(maxsize=6)
def make_case(kind: CaseKind, seed: int) -> Case:
    """The case of a kind with its own specimen and noise for each seed."""
    ground = kind.specimen.ground(kind.shape, seed)
    rng = np.random.default_rng(1000 + seed)
    if kind.noise == "wbp":
        clean, first, second = back_projected(ground.density, kind, rng)
    elif kind.noise in ("ctf", "dose"):
        clean, first, second = imaged(ground, kind, seed)
    else:
        limited = kind.tilt_range_deg
        clean = ground.density if limited is None else wedge_filtered(ground.density, limited)
        first, second = (half_noise(clean, kind, rng) for _ in range(2))
    noise = np.float32(0.5) * (first + second)
    return Case(clean, noise, (clean + first, clean + second), ground)


def back_projected(density: Array, kind: CaseKind, rng: np.random.Generator) -> Halves:
    """Reconstructions of noise-free projections, and of white noise in the projections of either half."""
    (depth, height, width), tilts = density.shape, kind.tilts_deg
    geometry = TiltGeometry(depth, width, tilts, oversampling=4)
    clean = weighted_back_projection(geometry.project(density), tilts, depth)
    first, second = (
        weighted_back_projection(white_noise((len(tilts), height, width), rng), tilts, depth)
        for _ in range(2)
    )
    scale = np.float32(kind.level * clean.std() / (0.5 * (first + second)).std())
    return clean, scale * first, scale * second


def imaged(ground: Ground, kind: CaseKind, seed: int) -> Halves:
    """Reconstructions of a noise-free tilt series with CTF, and of the counting noise of either half."""
    lowest, highest = kind.tilt_range_deg or (-90.0, 90.0)
    tilts = TiltScheme(lowest_deg=lowest, highest_deg=highest, step_deg=TILT_STEP_DEG)
    strength = {"snr": 1 / kind.level**2} if kind.noise == "ctf" else {"dose_e_per_angstrom2": kind.level}
    settings = ImagingSettings(tilts=tilts, **strength)
    series = image(ground.density, ground.spacing_angstrom, settings, seed=1000 + seed)
    clean, even, odd = (
        weighted_back_projection(images, series.tilt_angles_deg, ground.density.shape[0])
        for images in (series.noise_free, series.even_noise, series.odd_noise)
    )
    return clean, even, odd


def half_noise(clean: Array, kind: CaseKind, rng: np.random.Generator) -> Array:
    """Noise of one half, such that the mean of two has the level asked for."""
    deviation = np.float32(kind.level * np.ptp(clean))
    if kind.noise == "poisson":
        return deviation * np.float32(2**0.5) * counting_noise(clean, 2 * kind.level**2, rng)
    noise = white_noise(clean.shape, rng)
    if kind.noise == "mixture":
        return deviation * (noise + counting_noise(clean, 2 * kind.level**2, rng))
    if kind.noise == "wedge":
        noise = wedge_filtered(noise, kind.tilt_range_deg or (-90.0, 90.0))
    return deviation * (noise * np.float32(np.sqrt(2) / noise.std()))


def counting_noise(clean: Array, quantum: float, rng: np.random.Generator) -> Array:
    """Poisson noise of transmitted counts in multiples of a quantum of the range, in units of √quantum.

    Empty ice, the lowest density, stands for 1/quantum counts and the densest voxel for none, so that the
    noise of empty ice has variance one.
    """
    counts = (clean.max() - clean) / np.float32(np.ptp(clean) * quantum)
    noise: Array = (counts - rng.poisson(counts)).astype(np.float32) * np.float32(quantum**0.5)
    return noise
