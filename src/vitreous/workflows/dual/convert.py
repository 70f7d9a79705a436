"""Volumes from one domain to the other, by a trained DUAL."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import vitreous
from vitreous.core import InputError, Interrupted, Progress
from vitreous.io import check_writable, file_sha256, open_volume, write_volume, written_suffix
from vitreous.workflows.denoise import Source, standardized
from vitreous.workflows.denoise.model import cleared_prediction
from vitreous.workflows.dual.model import check_memory, load_dual
from vitreous.workflows.dual.simulate import as_tomogram, noise_seed
from vitreous.workflows.run_directory import RunDirectory, damage_in_words, stopped_run

KIND = "dual-convert"


def convert_dual(
    file: Path,
    output: Path,
    to: str,
    model_folder: Path,
    progress: Progress,
    *,
    seed: int = 0,
    device: str = "auto",
    voxel_size: float | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Translate a volume to the other domain, in the grey values of that domain's first volume.

    What was done is in `run.json`, in a folder beside the output.

    Parameters
    ----------
    file, output
        Volume to read and to write.
    to
        "clean" or "noisy".
    model_folder
        Run directory of a trained model.
    progress
        Receives progress.
    seed
        Of the noise, to "noisy".
    device, voxel_size, overwrite
        As for denoising.

    Returns
    -------
    dict
        Plain values: the output, its domain, the run directory, and what was found on the way.

    Raises
    ------
    InputError
        If a file, the model or `to` cannot be used.
    Interrupted
        If the user stopped; nothing is written then, and the run can be repeated.
    """
    if to not in ("clean", "noisy"):
        raise InputError(f"--to {to} is unknown", remedy="use clean or noisy")
    model = load_dual(model_folder, device)
    volume = open_volume(file, voxel_spacing_angstrom=voxel_size)
    check_memory(volume)
    written_suffix(output)
    check_writable(output, 4 * volume.data.size, overwrite)
    run = RunDirectory(output.with_name(f"{output.stem}.run"))
    run.refuse_other_kind(KIND)
    found: Mapping[str, str] = {}
    # All that can be refused is refused before there is a record.
    if to == "noisy":
        _, density = model.density(file, voxel_size)
    else:
        source, _ = standardized(Source(volume), needs_target=False)
        prepared = model.method.prepare(replace(source, name=str(file)))
    asked = {
        "file": str(file),
        "output": str(output),
        "to": to,
        "model_folder": str(model_folder),
        "seed": seed,
        "device": device,
        "voxel_size": voxel_size,
    }
    digests = {str(path): file_sha256(path) for path in (file, model_folder / "model.json")}
    begun = time.monotonic()
    with run.locked():
        facts = run.begin(KIND, asked, inputs_sha256=digests, command=command_of(asked))
        try:
            if to == "noisy":
                data = as_tomogram(model, density, noise_seed(seed, digests[str(file)], 0), progress)
            else:
                tile = model.method.tile or model.method.config.patch_side
                blended, found = cleared_prediction(model.trained, prepared, tile, seed, progress)
                data = model.grey_values_of("clean").invert(blended)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        label = f"vitreous {vitreous.__version__}: converted to {to}, dual"
        write_volume(output, volume.with_data(data), overwrite=overwrite, label=label)
        seconds = round(time.monotonic() - begun, 1)
        run.write({**facts, "status": "done", "found": dict(found), "seconds": seconds})
    return {"output": str(output), "to": to, "run_dir": str(run.path), "found": dict(found)}


def command_of(asked: Mapping[str, Any]) -> str:
    """The command line that repeats a conversion."""
    words = ["vitreous", "dual", "convert", asked["file"], "--to", asked["to"]]
    words += ["--model", asked["model_folder"], "-o", asked["output"]]
    words += ["--seed", str(asked["seed"]), "--device", asked["device"]]
    voxel_size = asked["voxel_size"]
    return shlex.join(words if voxel_size is None else [*words, "--voxel-size", f"{voxel_size:g}"])


def resume_conversion(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Do a stopped conversion from its folder alone, from the beginning.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file is not what it was.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        asked: dict[str, Any] = {**facts["request"]}
        asked |= {name: Path(asked[name]) for name in ("file", "output", "model_folder")}
    return convert_dual(**asked, progress=progress)
