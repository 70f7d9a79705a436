"""The whole chain on a simulated tomogram: simulate, annotate, compare with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import InputError, Progress
from vitreous.io import write_volume
from vitreous.metrics import detection_scores, match_picks
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings, annotate_file
from vitreous.workflows.annotate.picks import read_picks
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.evaluate import evaluate_denoised
from vitreous.workflows.run_directory import RunDirectory, damage_in_words
from vitreous.workflows.simulate import load_spec, simulate_tomogram

PRESET = "demo"
STRUCTURES = ("phantom:ribosome", "phantom:tric", "phantom:p97")  # the last is not there
STEPS = 200  # fewer than a tomogram would get: minutes on any two cores
HIT = 0.25  # of the diameter


def run_demo(folder: Path, *, seed: int, device: str, progress: Progress) -> dict[str, Any]:
    """Simulate the tomogram of the preset "demo", annotate it, compare what was found with what is there.

    `folder` receives `tomogram.mrc`, `truth.mrc` (its noise-free reconstruction), and what annotating leaves;
    an earlier demonstration there is replaced.

    Returns
    -------
    dict
        What annotating returns; "scores" of the denoised tomogram; for each structure how many there are
        ("true"), and precision, recall and F1 of its picks.

    Raises
    ------
    InputError
        If the folder holds anything but an earlier demonstration.
    """
    check_free(folder)
    made = simulate_tomogram(load_spec(PRESET).model_copy(update={"seed": seed}), progress=progress)
    paths = {name: folder / f"{name}.mrc" for name in ("truth", "tomogram", "denoised")}
    for name, volume in (("truth", made.noise_free), ("tomogram", made.tomogram)):
        write_volume(paths[name], volume, overwrite=True, label=f"vitreous demo: {name}")
    shape, poses = " × ".join(map(str, made.tomogram.shape)), made.grand_model.poses
    progress.note(f"a tomogram of {shape} voxels with {len(poses)} particles, signal/noise {made.snr:.2g}")
    settings = AnnotateSettings(steps=STEPS, seed=seed, device=device)
    request = AnnotateRequest(paths["tomogram"], STRUCTURES, folder, settings, overwrite=True)
    facts = annotate_file(request, progress)
    work = Work(request, progress)
    for name, found in facts["structures"].items():
        true = poses.positions_angstrom[np.array([kind == name for kind in poses.names], bool)]
        matched = match_picks(read_picks(work, name).positions_angstrom, true, HIT * work.sizes[name])
        found |= {"true": len(true), **detection_scores(matched.hits, matched.found)}
    facts["scores"] = evaluate_denoised(paths["denoised"], paths["truth"], paths["tomogram"])
    return facts


def check_free(folder: Path) -> None:
    """Raise InputError for a folder whose files are no earlier demonstration's: they would be replaced."""
    run = RunDirectory(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if run.exists():
        with damage_in_words(run):
            request: Any = run.read().get("request", {})
            if request.get("input") == str(folder / "tomogram.mrc"):
                return
    raise InputError("holds files of something else", path=folder, remedy="choose another -o")
