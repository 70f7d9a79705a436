"""Denoise files: run directories, resuming, many tomograms, one shared model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import InputError, Interrupted, Progress, TrainingDiverged, VitreousError
from vitreous.io import (
    atomic_path,
    check_writable,
    file_sha256,
    find_half,
    open_volume,
    volume_warnings,
    write_text_atomic,
    write_volume,
)
from vitreous.report import DenoiseEvidence, render_denoise_report, triptych_png
from vitreous.training import CheckpointStore, save_model
from vitreous.workflows.denoise import (
    DenoiseSettings,
    Plan,
    Source,
    carry_out,
    fit,
    model_description,
    plan_denoising,
    prepared_model,
)
from vitreous.workflows.evidence import denoise_evidence
from vitreous.workflows.run_directory import RunDirectory, shell_command

WRITTEN_SUFFIXES = (".mrc", ".rec", ".map", ".zarr")


@dataclass(frozen=True)
class DenoiseRequest:
    """One file to denoise. Paths are absolute, so that a run can be resumed from anywhere."""

    input: Path
    output: Path
    run_dir: Path
    settings: DenoiseSettings = field(default_factory=DenoiseSettings)
    even: Path | None = None
    odd: Path | None = None
    mask: Path | None = None
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; `overwrite` belongs to one call and is left out."""
        facts = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items() if k != "overwrite"}
        model = self.settings.model
        facts["settings"] = {**asdict(self.settings), "model": None if model is None else str(model)}
        return facts

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> DenoiseRequest:
        """Inverse of `to_json`."""
        paths = {k: None if facts[k] is None else Path(facts[k]) for k in ("even", "odd", "mask")}
        model = facts["settings"]["model"]
        settings = DenoiseSettings(**{**facts["settings"], "model": None if model is None else Path(model)})
        return cls(
            Path(facts["input"]),
            Path(facts["output"]),
            Path(facts["run_dir"]),
            settings,
            paths["even"],
            paths["odd"],
            paths["mask"],
            voxel_size_angstrom=facts["voxel_size_angstrom"],
        )

    def command(self) -> str:
        """The command line that repeats the run."""
        words = ["vitreous", "denoise", str(self.input), "-o", str(self.output)]
        settings = self.settings
        named = {
            "--method": None if settings.method == "auto" else settings.method,
            "--steps": settings.steps,
            "--seed": settings.seed or None,
            "--model": settings.model,
            "--mask": self.mask,
            "--even": self.even,
            "--odd": self.odd,
            "--voxel-size": self.voxel_size_angstrom,
            "--max-memory": settings.max_memory,
        }
        for option, value in named.items():
            words += [] if value is None else [option, str(value)]
        return shell_command([*words, "--invert"] if settings.invert else words)


@dataclass(frozen=True)
class DenoiseOutcome:
    """Where a run's results are, and its figures."""

    output: Path
    run_dir: Path
    report: Path
    facts: Mapping[str, Any]


def denoise_file(request: DenoiseRequest, progress: Progress) -> DenoiseOutcome:
    """Denoise one file, going on where an earlier run of the same request stopped.

    Raises
    ------
    InputError
        If the input is unusable, or the output exists and is not this run's.
    Interrupted
        If the user stopped; the run directory holds a checkpoint.
    """
    run = RunDirectory(request.run_dir)
    source, warnings = open_source(request, progress)
    plan = plan_denoising(source, request.settings)
    claim(request, run, source, progress)
    with run.locked():
        for text in warnings:
            progress.warn(text)
        return run_claimed(request, run, source, plan, warnings, progress)


def run_claimed(
    request: DenoiseRequest,
    run: RunDirectory,
    source: Source,
    plan: Plan,
    warnings: tuple[str, ...],
    progress: Progress,
) -> DenoiseOutcome:
    """Carry out a request in a run directory that is ours."""
    store = CheckpointStore(run.checkpoints)
    if request.overwrite:
        store.clear()
    facts = run.begin(
        "denoise", request.to_json(), input_sha256=file_sha256(request.input), command=request.command()
    )
    try:
        result = carry_out(plan, source, request.settings, progress, store)
    except Interrupted:
        run.write({**facts, "status": "interrupted"})
        raise Interrupted(run.path) from None
    written = source.volume.with_data(result.data)
    label = f"vitreous {facts['versions']['vitreous']}: denoised, {result.method}"
    write_volume(request.output, written, overwrite=True, label=label)
    if result.model is not None and request.settings.model is None:
        save_model(run.path, result.model.network, model_description(result.model, source, request.settings))
    evidence = denoise_evidence(source.volume, result, request, (*warnings, *result.warnings))
    evidence.save(run.path)
    write_text_atomic(run.report, render_denoise_report(evidence))
    record = result.model.record if result.model else None
    facts |= {
        "status": "done",
        "method": result.method,
        "reason": result.reason,
        "steps": len(record.losses) if record else 0,
        "seconds": dict(result.seconds),
        "warnings": list(evidence.warnings),
        "found": dict(result.prepared.summary) if result.prepared else {},
        "output_sha256": file_sha256(request.output),
    }
    run.write(facts)
    store.clear()  # only now: a kill before would have left neither checkpoint nor result
    return DenoiseOutcome(request.output, run.path, run.report, facts)


def open_source(request: DenoiseRequest, progress: Progress) -> tuple[Source, tuple[str, ...]]:
    """Open a request's files; finds halves by their names unless they are given or not wanted."""
    volume = open_volume(request.input, voxel_spacing_angstrom=request.voxel_size_angstrom)
    halves = (request.even, request.odd)
    if (
        halves == (None, None)
        and request.settings.method in ("auto", "n2n")
        and request.settings.model is None
    ):
        found = find_half(request.input)
        if found is not None:
            halves = found
            progress.note(f"half tomograms found by name: {found[0]} and {found[1]}")
    if halves[0] is not None and halves[1] is not None and halves[0].resolve() == halves[1].resolve():
        raise InputError(
            "is given as both halves", path=halves[0], remedy="give --even and --odd with different noise"
        )
    even, odd = (
        None if h is None else open_volume(h, voxel_spacing_angstrom=request.voxel_size_angstrom)
        for h in halves
    )
    mask = None
    if request.mask is not None:
        mask = np.asarray(open_volume(request.mask, allow_damaged=True).data) > 0.5
    return Source(volume, even, odd, mask), volume_warnings(volume)


def claim(request: DenoiseRequest, run: RunDirectory, source: Source, progress: Progress) -> None:
    """Make sure that writing the output is allowed and will work, before any work is done.

    An unfinished run of the same request in the run directory is gone on with; anything else there,
    or at the output's path, is only replaced when `overwrite` says so.
    """
    check_output(request)
    resuming = False
    if run.exists() and not request.overwrite:
        facts = run.read()
        if not same_run(facts, request) or facts.get("input_sha256") != file_sha256(request.input):
            remedy = "add --overwrite or choose another --run-dir"
            raise InputError("holds another run", path=run.path, remedy=remedy)
        resuming = facts["status"] != "done"
    # An unfinished run may have been killed between writing its output and saying so.
    check_writable(request.output, 4 * source.volume.data.size, request.overwrite or resuming)
    check_writable(run.path / "run.json", 0, True)
    if resuming:
        progress.note("going on with the run that was stopped")


def check_output(request: DenoiseRequest) -> None:
    """Raise InputError if the output is of no type that is written, or would spoil an input."""
    if request.output.suffix.lower() not in WRITTEN_SUFFIXES:
        remedy = f"name the output {', '.join(WRITTEN_SUFFIXES)}"
        raise InputError("the output is of no type that is written here", path=request.output, remedy=remedy)
    target = request.output.resolve()
    for path in (request.input, request.even, request.odd, request.mask):
        if path is not None and (target == path.resolve() or path.resolve() in target.parents):
            raise InputError("the output is an input", path=request.output, remedy="choose another -o")
    folder = request.run_dir.resolve()
    for path in (request.input, request.even, request.odd, request.mask, request.output):
        if path is not None and path.resolve() in (folder, *folder.parents):
            raise InputError(f"lies in {path}", path=request.run_dir, remedy="choose another --run-dir")


def same_run(facts: Mapping[str, Any], request: DenoiseRequest) -> bool:
    """Whether a run directory's `run.json` is of this request; the directory itself may have moved."""
    other = request.to_json()
    return {**facts["request"], "run_dir": None} == {**other, "run_dir": None}


def resume(run_dir: Path, progress: Progress) -> list[DenoiseOutcome]:
    """Go on with a stopped run; raises InputError if it is finished or no run."""
    run = RunDirectory(run_dir.absolute())
    facts = run.read()
    if facts["kind"] not in ("denoise", "denoise-many"):
        raise InputError(f"a run of kind {facts['kind']} cannot be resumed", path=run.path)
    many = facts["kind"] == "denoise-many"
    try:
        shared = many and bool(facts["request"]["shared"])
        requests = [
            DenoiseRequest.from_json(r) for r in (facts["request"]["files"] if many else [facts["request"]])
        ]
    except (LookupError, TypeError) as error:
        raise InputError("run.json is damaged", path=run.path, remedy="start the run again") from error
    if many:
        return denoise_files(requests, progress, shared=shared, folder=run.path)
    if facts["status"] == "done":
        raise InputError("the run is already done", path=run.path, remedy=f"see {run.report}")
    request = replace(requests[0], run_dir=run.path)
    if file_sha256(request.input) != facts.get("input_sha256"):
        raise InputError("changed since the run began", path=request.input, remedy="start the run again")
    return [denoise_file(request, progress)]


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
    before = whole.read() if whole.exists() else None
    if before and before["request"] != request and not overwrite:
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
        settings = replace(requests[0].settings, model=model, steps=None, time_budget_seconds=None)
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
    return same_run(facts, request) and facts["status"] != "done"


def finished_outcome(request: DenoiseRequest, progress: Progress) -> DenoiseOutcome | None:
    """The outcome of a run that already did exactly this, unless it is to be overwritten."""
    run = RunDirectory(request.run_dir)
    if request.overwrite or not run.exists():
        return None
    facts = run.read()
    same = same_run(facts, request) and facts["status"] == "done" and request.output.exists()
    if not same or file_sha256(request.input) != facts.get("input_sha256"):
        return None
    progress.note("already done")
    return DenoiseOutcome(request.output, run.path, run.report, facts)


def train_shared(requests: Sequence[DenoiseRequest], folder: Path, progress: Progress) -> Path:
    """Train one model on all usable files, unless `folder` holds it already; returns `folder`."""
    settings = requests[0].settings
    wanted = {"inputs": [str(r.input) for r in requests], "settings": requests[0].to_json()["settings"]}
    wanted_file = folder / "trained-on.json"
    if not wanted_file.exists() or json.loads(wanted_file.read_text(encoding="utf-8")) != wanted:
        shutil.rmtree(folder, ignore_errors=True)  # what another request left
        write_text_atomic(wanted_file, json.dumps(wanted))
    if (folder / "model.json").exists():
        progress.note("the shared model is already trained")
        return folder
    plans = usable_plans(requests, progress)
    names = {plan.method for _, plan in plans}
    if len(names) > 1:
        raise InputError("the files call for different methods", remedy="name one with --method")
    model = plans[0][1].model
    if model is None:
        raise InputError(f"{plans[0][1].method} has no model to share", remedy="leave out --shared-model")
    model, volumes = prepared_model(model, [plan.volume for _, plan in plans])
    progress.note(f"training one {model.method.name} model on {len(volumes)} tomograms")
    store = CheckpointStore(folder / "checkpoints")
    model = fit(model, volumes, settings, progress, store)
    save_model(folder, model.network, model_description(model, plans[0][0], settings))
    store.clear()
    return folder


def usable_plans(requests: Sequence[DenoiseRequest], progress: Progress) -> list[tuple[Source, Plan]]:
    """Sources and plans of the files that can be used; the others are told when their turn comes."""
    plans, failures = [], []
    for request in requests:
        try:
            source = open_source(request, progress)[0]
            plans.append((source, plan_denoising(source, request.settings)))
        except InputError as error:
            failures.append(error)
    if not plans:
        raise failures[0]
    return plans


def rerender(run_dir: Path, picture: Path | None = None) -> Path:
    """Write `report.html` of a finished run again from its saved evidence, and its middle slices as a PNG."""
    run = RunDirectory(run_dir.absolute())
    run.read()
    evidence = DenoiseEvidence.load(run.path)
    if picture is not None:
        with atomic_path(picture, overwrite=True) as draft:
            draft.write_bytes(triptych_png(evidence))
    return write_text_atomic(run.report, render_denoise_report(evidence))
