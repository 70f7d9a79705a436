"""The whole path on a phantom: simulate, denoise, score, report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vitreous.core import Progress, Volume
from vitreous.io import write_volume
from vitreous.simulate import TiltGeometry, make_phantom, reconstructed_noise
from vitreous.workflows.denoise import DenoiseSettings
from vitreous.workflows.denoise_files import DenoiseOutcome, DenoiseRequest, denoise_file

SIDE = 112
PARTICLES = 160
TILTS_DEG = tuple(float(t) for t in range(-60, 61, 3))
NOISE_OVER_SIGNAL = 3.0
SPACING_ANGSTROM = (10.0, 10.0, 10.0)


def run_demo(folder: Path, *, seed: int, device: str, progress: Progress) -> DenoiseOutcome:
    """Reconstruct a noisy phantom from 41 simulated projections, denoise it, compare with the truth.

    `folder` receives `noisy.mrc`, `truth.mrc`, `denoised.mrc` and the run directory's files; an
    earlier demonstration there is replaced.
    """
    truth, noisy = phantom_tomogram(seed)
    paths = {name: folder / f"{name}.mrc" for name in ("truth", "noisy", "denoised")}
    for name, data in (("truth", truth), ("noisy", noisy)):
        write_volume(
            paths[name], Volume(data, SPACING_ANGSTROM), overwrite=True, label=f"vitreous demo: {name}"
        )
    progress.note(f"a phantom of {SIDE}³ voxels, noise {NOISE_OVER_SIGNAL:g} times as strong as the signal")
    settings = DenoiseSettings(seed=seed, device=device)
    request = DenoiseRequest(
        paths["noisy"], paths["denoised"], folder, settings, reference=paths["truth"], overwrite=True
    )
    return denoise_file(request, progress)


def phantom_tomogram(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and noisy tomogram, both (z, y, x): weighted back-projections over ±60° in steps of 3°."""
    shape = (SIDE,) * 3
    density = make_phantom(shape, particles=PARTICLES, seed=seed).density
    geometry = TiltGeometry(SIDE, SIDE, TILTS_DEG)
    truth = geometry.reconstruct(geometry.project(density))
    noise = reconstructed_noise(shape, TILTS_DEG, np.random.default_rng(seed))
    return truth, truth + noise * np.float32(NOISE_OVER_SIGNAL * truth.std())
