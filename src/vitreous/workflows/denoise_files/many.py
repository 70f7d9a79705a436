"""Denoise several files into a folder, one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress, TrainingDiverged, VitreousError
from vitreous.io import WRITTEN_SUFFIXES, check_writable
from vitreous.workflows.denoise_files.one import denoise_file
from vitreous.workflows.denoise_files.request import DenoiseOutcome, DenoiseRequest
from vitreous.workflows.denoise_files.shared_model import train_shared
from vitreous.workflows.run_directory import RunDirectory, check_unchanged


def wants_folder(output: Path, inputs: Sequence[Path], *, shared: bool) -> bool:
    """Whether the results go into a folder `output`; otherwise it is the one output file.

    A folder that exists is one, and so is a name without suffix. A name with a volume's suffix is a
    file, which several inputs, or a shared model beside its results, cannot go into.

    Raises
    ------
    InputError
        If they would have to.
    """
    is_name_of_file = output.suffix.lower() in WRITTEN_SUFFIXES
    if output.is_dir() and output.suffix.lower() != ".zarr":
        return True
    if len(inputs) > 1 or shared:
        if is_name_of_file or output.is_file():
            what = f"{len(inputs)} tomograms" if len(inputs) > 1 else "a tomogram and its shared model"
            raise InputError(f"{what} do not fit into one file", path=output, remedy="give a folder with -o")
        return True
    return not output.suffix


def plan_files(inputs: Sequence[Path], folder: Path, template: DenoiseRequest) -> list[DenoiseRequest]:
    """One request for each input, with outputs and run directories in `folder`."""
    requests = [
        replace(
            template,
            input=path.absolute(),
            output=folder.absolute() / f"{plain_name(path)}{'.zarr' if path.suffix == '.zarr' else '.mrc'}",
            run_dir=folder.absolute() / f"{plain_name(path)}.run",
        )
        for path in inputs
    ]
    names = [r.run_dir.stem for r in requests]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two inputs would both become {name}", path=folder, remedy="denoise them separately"
            )
    return requests


def plain_name(path: Path) -> str:
    """File name without its volume and compression suffixes."""
    name = path.name
    for suffix in (".gz", ".bz2", *WRITTEN_SUFFIXES):
        name = name.removesuffix(suffix)
    return name


def denoise_files(
    requests: Sequence[DenoiseRequest], progress: Progress, *, shared: bool = False, folder: Path
) -> list[DenoiseOutcome]:
    """Denoise files one after the other; finished ones are left alone, failing ones told at the end.

    Parameters
    ----------
    requests
        From `plan_files`.
    progress
        Receives progress.
    shared
        Train one model on all files first and apply it to each.
    folder
        Holds `run.json` of the whole, and the shared model.
    """
    whole = RunDirectory(folder.absolute())
    request = {"files": [r.to_json() for r in requests], "shared": shared}
    overwrite = any(r.overwrite for r in requests)
    whole.refuse_other_kind("denoise-many")
    before = whole.read() if whole.exists() else None
    if before and not overwrite and not goes_with(request, before["request"]):
        raise InputError("holds another run", path=whole.path, remedy="add --overwrite or choose another -o")
    check_writable(whole.path / "run.json", 0, True)
    with whole.locked():
        # What is still to be replaced is kept in run.json, so that a resumed batch replaces it too.
        replaced = (
            [str(r.output) for r in requests] if overwrite else list((before or {}).get("replaced", []))
        )
        facts = whole.begin("denoise-many", request, replaced=replaced)
        try:
            return run_batch(requests, whole, facts, shared, progress)
        except Interrupted:
            whole.write({**facts, "status": "interrupted"})
            raise Interrupted(whole.path) from None


def goes_with(request: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a batch can be added to what an earlier one left: no file is asked for otherwise than it was.

    A shared model was trained on certain files, and goes with these only.
    """
    if request["shared"] or before["shared"]:
        return request == before
    known = {one["output"]: one for one in before["files"]}
    return all(known.get(one["output"], one) == one for one in request["files"])


def run_batch(
    requests: Sequence[DenoiseRequest],
    whole: RunDirectory,
    facts: dict[str, Any],
    shared: bool,
    progress: Progress,
) -> list[DenoiseOutcome]:
    """One file after the other, in a folder that is ours."""
    if shared:
        model = train_shared(requests, whole.path / "shared-model", progress)
        settings = replace(
            requests[0].settings, model=model, steps=None, time_budget_seconds=None, config=None
        )
        requests = [replace(r, settings=settings) for r in requests]
    outcomes: list[DenoiseOutcome] = []
    failures: list[VitreousError] = []
    for number, one in enumerate(requests, 1):
        if progress.should_stop():
            raise Interrupted
        progress.note(f"{number} of {len(requests)}: {one.input}")
        try:
            one = replace(one, overwrite=str(one.output) in facts["replaced"] and not is_unfinished(one))
            outcomes.append(finished_outcome(one, progress) or denoise_file(one, progress))
        except (InputError, TrainingDiverged) as error:
            progress.warn(str(error))
            failures.append(error)
        facts["replaced"] = [path for path in facts["replaced"] if path != str(one.output)]
        whole.write(facts)
    facts |= {"status": "done", "failed": [str(f) for f in failures]}
    whole.write(facts)
    if failures:
        text = f"{len(failures)} of {len(requests)} files could not be denoised; the first: {failures[0]}"
        raise InputError(text, remedy="the others are done" if outcomes else "")
    return outcomes


def is_unfinished(request: DenoiseRequest) -> bool:
    """Whether this very request was begun and stopped, so that its checkpoint is of use."""
    run = RunDirectory(request.run_dir)
    if not run.exists():
        return False
    facts = run.read()
    return request.is_of(facts) and facts["status"] != "done"


def finished_outcome(request: DenoiseRequest, progress: Progress) -> DenoiseOutcome | None:
    """The outcome of a run that already did exactly this, unless it is to be overwritten."""
    run = RunDirectory(request.run_dir)
    if request.overwrite or not run.exists():
        return None
    facts = run.read()
    if not (request.is_of(facts) and facts["status"] == "done" and request.output.exists()):
        return None
    check_unchanged(facts.get("inputs_sha256", {}))
    progress.note("already done")
    return DenoiseOutcome(request.output, run.path, run.report, facts)
