"""The first stages: what the tomogram is, and the tomogram denoised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitreous.workflows.annotate.request import FIRST_BUDGET_SHARE
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.denoise import DenoiseSettings
from vitreous.workflows.denoise_files import DenoiseRequest, denoise_file
from vitreous.workflows.inspect.tomogram import inspect_tomogram, specimen_doubts, spectrum_doubts
from vitreous.workflows.inspect.values import rounded
from vitreous.workflows.run_directory import RunDirectory


@dataclass(frozen=True)
class MovableDenoising(DenoiseRequest):
    """Denoising into the folder of a chain, which may have moved with all that is in it."""

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Whether a `run.json` is of this request, wherever its folder was then."""
        output = Path(str(facts["request"].get("output")))
        return DenoiseRequest.is_of(replace(self, output=output), facts)


def inspect(work: Work) -> dict[str, Any]:
    """What the tomogram is, with the doubts of `vitreous inspect`; contrast and tilts have their own here."""
    subject, style = work.subject, work.subject.style
    seen = inspect_tomogram(subject.volume, progress=work.progress)
    return {
        "shape": list(subject.volume.shape),
        "voxel_spacing_angstrom": subject.volume.mean_spacing_angstrom,
        "binning": subject.prepared.binning,
        "noise_share": round(subject.prepared.noise_share, 4),
        "tilt_range_deg": None
        if style.tilt_range_deg is None
        else [round(t, 1) for t in style.tilt_range_deg],
        "tilt_axis": "y" if style.tilt_axis == 1 else "x",
        "protein": "bright" if subject.bright else "dark",
        "sizes_angstrom": {name: round(size, 1) for name, size in work.sizes.items()},
        "noise_to_signal": rounded(seen.noise_to_signal),
        "layer_angstrom": None if seen.layer is None else rounded(seen.layer.faces_angstrom),
        "gold_beads": None if seen.outliers is None else seen.outliers.beads,
        "warnings": [*subject.warnings, *spectrum_doubts(seen), *specimen_doubts(seen)],
    }


def denoise(work: Work) -> dict[str, Any]:
    """Denoise the tomogram, for the eye: the network sees it as it is."""
    settings, budget = work.request.settings, work.request.settings.time_budget_seconds
    request = MovableDenoising(
        work.request.input,
        work.place("denoised.mrc"),
        work.place("denoise"),
        DenoiseSettings(
            steps=settings.steps,
            time_budget_seconds=None if budget is None else FIRST_BUDGET_SHARE * budget,
            seed=settings.seed,
            device=settings.device,
            max_memory=settings.max_memory,
        ),
        voxel_size_angstrom=work.request.voxel_size_angstrom,
    )
    run = RunDirectory(request.run_dir)
    if run.exists() and run.read()["status"] == "done":  # killed between its end and our note of it
        facts: Mapping[str, Any] = run.read()
    else:
        facts = denoise_file(request, work.progress).facts
    return {key: facts[key] for key in ("method", "reason", "steps", "warnings")}
