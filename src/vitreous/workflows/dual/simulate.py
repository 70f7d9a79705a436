"""Tomograms from grand models, by a trained DUAL."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import vitreous
from vitreous.core import InputError, Interrupted, Progress, Volume
from vitreous.io import (
    atomic_folder,
    check_writable,
    faults_in_words,
    file_sha256,
    write_text_atomic,
    write_volume,
)
from vitreous.methods.dual import simulated_tomogram
from vitreous.workflows.dual.domains import files_of
from vitreous.workflows.dual.model import DualModel, load_dual
from vitreous.workflows.dual.request import DualSimulateRequest
from vitreous.workflows.run_directory import (
    RUN_SCHEMA,
    RunDirectory,
    damage_in_words,
    same_request,
    stopped_run,
)

KIND, ONE = "dual-simulate", "dual-simulated-tomogram"
# What tells the truth about a specimen beside its grand model, in our layout and in SHREC 2021's.
TRUTH = (
    *("class_mask.mrc", "instance_mask.mrc", "occupancy.mrc", "poses.csv", "occupancy_mask.mrc"),
    *("particles.star", "tomograms.star"),
    *("particle_locations.txt", "poses.tsv", "class_conversion_table.txt", "class_bbox.mrc"),
    *("occupancy_bbox.mrc", "alignment_simulated.txt"),
)
Place = tuple[Path, int, Path]  # a grand model, which noise draw, and the folder of its tomogram


def simulate_dual(request: DualSimulateRequest, progress: Progress) -> dict[str, Any]:
    """Make tomograms of grand models, each with its own noise, beside copies of the truth.

    Each tomogram has a folder of its own, which appears complete or not at all; those that an earlier run
    of the same request made are left alone, so that a stopped run is gone on with by the same command.

    Returns
    -------
    dict
        Plain values: the output, and the folders.

    Raises
    ------
    InputError
        If the model or a grand model cannot be used, or the output holds something else.
    Interrupted
        If the user stopped; finished tomograms stay.
    """
    if request.count < 1:
        raise InputError("no tomogram was asked for", remedy="give -n 1 or more")
    model = load_dual(request.model, request.device)
    files = [f for path in request.inputs for f in files_of(path, "clean")]
    places = places_of(request, files)
    run = RunDirectory(request.output)
    digests = {str(file): file_sha256(file) for file in (*files, request.model / "model.json")}
    claim(request, run, digests, places)
    for file in files:
        model.density(file, request.voxel_size_angstrom)  # all that can be refused is refused now
    with run.locked():
        if request.overwrite:
            clear(request.output)
        told = {"inputs_sha256": digests, "count": request.count, "command": request.command()}
        facts = run.begin(KIND, request.to_json(), **told)
        try:
            for number, place in enumerate(places, 1):
                if place[2].exists():
                    progress.note(f"{place[2]} is there already")
                    continue
                if progress.should_stop():
                    raise Interrupted
                progress.note(f"{number} of {len(places)}: {place[2]}")
                make_folder(request, model, place, digests[str(place[0])], progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        run.write({**facts, "status": "done", "tomograms": [p[2].name for p in places]})
    return {"output": str(request.output), "tomograms": [str(place[2]) for place in places]}


def resume_dual_simulation(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Go on with a stopped simulation from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file is not what it was.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        request = DualSimulateRequest.from_json(facts["request"], run.path, int(facts["count"]))
    return simulate_dual(request, progress)


def places_of(request: DualSimulateRequest, files: list[Path]) -> list[Place]:
    """Which tomogram goes where: named after the grand model's folder if that has a name of a layout."""
    names = [file.parent.name if len(files_of(file.parent, "clean")) == 1 else plain(file) for file in files]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two grand models would both become {name}", remedy="simulate them apart")
    return [
        (file, draw, request.output / f"{name}_{draw:03d}")
        for file, name in zip(files, names, strict=True)
        for draw in range(request.count)
    ]


def plain(file: Path) -> str:
    """A file's name without its suffixes."""
    return file.name.split(".")[0]


def claim(
    request: DualSimulateRequest, run: RunDirectory, digests: dict[str, str], places: list[Place]
) -> None:
    """Make sure that the folder is free for this request, and that what it would clear holds no input."""
    remedy = "add --overwrite or choose another -o"
    cleared = {folder.resolve() for _, _, folder in places}
    if run.path.is_dir():
        cleared |= {folder.resolve() for folder in run.path.iterdir() if is_ours(folder)}
    for path in map(Path, digests):
        if cleared & {path.resolve(), *path.resolve().parents}:
            raise InputError("would be replaced by the result", path=path, remedy="choose another -o")
    run.refuse_other_kind(KIND)
    if run.exists():
        facts = run.read()
        same = same_request(facts["request"], request.to_json()) and facts.get("inputs_sha256") == digests
        if not same and not request.overwrite:
            raise InputError("holds another run, or its inputs changed", path=run.path, remedy=remedy)
    for _, _, folder in places:
        if folder.exists() and not (run.exists() and is_ours(folder)):
            raise InputError("is in the way", path=folder, remedy="move it, or choose another -o")
    check_writable(run.path / "run.json", 0, overwrite=True)


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a tomogram that was simulated here."""
    one = RunDirectory(folder)
    return one.exists() and one.read()["kind"] == ONE


def clear(output: Path) -> None:
    """Remove the tomograms of an earlier run, and nothing else."""
    with faults_in_words(output / "run.json"):
        for folder in sorted(output.iterdir()):
            if is_ours(folder):
                shutil.rmtree(folder)


def make_folder(
    request: DualSimulateRequest, model: DualModel, place: Place, digest: str, progress: Progress
) -> None:
    """Simulate one tomogram into its folder, with the truth copied byte by byte.

    `digest` is the SHA-256 of the grand model.
    """
    file, draw, folder = place
    volume, density = model.density(file, request.voxel_size_angstrom)
    seed = noise_seed(request.seed, digest, draw)
    made = as_tomogram(model, density, seed, progress)
    name = "reconstruction.mrc" if plain(file) == "grandmodel" else "tomogram.mrc"
    with faults_in_words(folder), atomic_folder(folder) as temporary:
        temporary.mkdir()
        label = f"vitreous {vitreous.__version__}: simulated, dual"
        write_volume(
            temporary / name, Volume(made, volume.voxel_spacing_angstrom, volume.header), label=label
        )
        for truth in (file, *(file.parent / other for other in TRUTH)):
            if truth.is_dir():  # OME-Zarr
                shutil.copytree(truth, temporary / truth.name)
            elif truth.is_file():
                shutil.copyfile(truth, temporary / truth.name)
        facts = {
            "schema": RUN_SCHEMA,
            "kind": ONE,
            "status": "done",
            "request": {**request.to_json(), "draw": draw},
            "grand_model": str(file),
            "noise_seed": seed,
            "command": request.command(),
            "classes": classes_beside(file),
        }
        write_text_atomic(temporary / "run.json", json.dumps(facts, indent=2) + "\n")


def classes_beside(file: Path) -> dict[str, str]:
    """Names of the labels of a grand model's class mask, by label, where the simulation's record has them."""
    try:
        found = RunDirectory(file.parent).read().get("classes")
    except InputError:  # there is none, or it is not ours
        return {}
    return dict(found) if isinstance(found, dict) else {}


def noise_seed(seed: int, digest: str, draw: int) -> int:
    """The seed of one noise draw: different for every draw, grand model (its SHA-256) and seed."""
    entropy = [seed, int(digest, 16), draw]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def as_tomogram(model: DualModel, density: Any, seed: int, progress: Progress) -> Any:
    """Grey values of a simulated tomogram, as the noisy domain's first volume has them."""
    made = simulated_tomogram(
        model.network, density.data, density.normalization, seed, progress, model.trained.compute.device
    )
    return model.grey_values_of("noisy").invert(made)
