"""The whole path on a simulated tomogram: simulate, denoise, score, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vitreous.core import Progress
from vitreous.io import write_volume
from vitreous.workflows.denoise import DenoiseSettings
from vitreous.workflows.denoise_files import DenoiseOutcome, DenoiseRequest, denoise_file
from vitreous.workflows.simulate import load_spec, simulate_tomogram

PRESET = "demo"
STEPS = 200  # fewer than the volume would get: minutes on any two cores, and little less than the best


def run_demo(folder: Path, *, seed: int, device: str, progress: Progress) -> DenoiseOutcome:
    """Simulate the tomogram of the preset "demo", denoise it, compare with its noise-free reconstruction.

    `folder` receives `noisy.mrc`, `truth.mrc`, `denoised.mrc` and the run directory's files; an
    earlier demonstration there is replaced.
    """
    made = simulate_tomogram(load_spec(PRESET).model_copy(update={"seed": seed}), progress=progress)
    paths = {name: folder / f"{name}.mrc" for name in ("truth", "noisy", "denoised")}
    for name, volume in (("truth", made.noise_free), ("noisy", made.tomogram)):
        write_volume(paths[name], replace(volume, path=None), overwrite=True, label=f"vitreous demo: {name}")
    shape, count = " × ".join(map(str, made.tomogram.shape)), len(made.grand_model.poses)
    progress.note(f"a tomogram of {shape} voxels with {count} particles, signal/noise {made.snr:.2g}")
    settings = DenoiseSettings(steps=STEPS, seed=seed, device=device)
    request = DenoiseRequest(
        paths["noisy"], paths["denoised"], folder, settings, reference=paths["truth"], overwrite=True
    )
    return denoise_file(request, progress)
