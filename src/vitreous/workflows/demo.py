"""The whole path on a phantom: simulate, denoise, score, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vitreous.core import Progress, Volume
from vitreous.io import open_volume, write_text_atomic, write_volume
from vitreous.report import DenoiseEvidence, render_denoise_report, slices_for_display
from vitreous.simulate import TiltGeometry, make_phantom, reconstructed_noise
from vitreous.workflows.denoise import DenoiseSettings
from vitreous.workflows.denoise_files import DenoiseOutcome, DenoiseRequest, denoise_file
from vitreous.workflows.evidence import reference_evidence
from vitreous.workflows.run_directory import RunDirectory

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
    request = DenoiseRequest(paths["noisy"], paths["denoised"], folder, settings, overwrite=True)
    outcome = denoise_file(request, progress)
    denoised = open_volume(paths["denoised"])
    noisy_volume = open_volume(paths["noisy"])
    scores, fsc = reference_evidence(noisy_volume, np.asarray(denoised.data), truth)
    slices = slices_for_display(noisy_volume.data, denoised.data, truth)
    evidence = replace(
        DenoiseEvidence.load(folder), title="Demonstration on a phantom", scores=scores, fsc=fsc, **slices
    )
    evidence.save(folder)
    write_text_atomic(outcome.report, render_denoise_report(evidence))
    facts = {**outcome.facts, "scores": scores}
    RunDirectory(folder).write(facts)
    return replace(outcome, facts=facts)


def phantom_tomogram(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and noisy tomogram, both (z, y, x): weighted back-projections over ±60° in steps of 3°."""
    shape = (SIDE,) * 3
    density = make_phantom(shape, particles=PARTICLES, seed=seed).density
    geometry = TiltGeometry(SIDE, SIDE, TILTS_DEG)
    truth = geometry.reconstruct(geometry.project(density))
    noise = reconstructed_noise(shape, TILTS_DEG, np.random.default_rng(seed))
    return truth, truth + noise * np.float32(NOISE_OVER_SIGNAL * truth.std())
