"""Denoise files: run directories, resuming, many tomograms, one shared model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import InputError, Interrupted, Progress, Volume
from vitreous.io import (
    check_writable,
    file_sha256,
    find_half,
    open_volume,
    volume_warnings,
    write_text_atomic,
    write_volume,
)
from vitreous.report import render_denoise_report
from vitreous.training import CheckpointStore, save_model
from vitreous.workflows.denoise import (
    Denoised,
    DenoiseSettings,
    Source,
    check_source,
    choose_method,
    denoise_source,
    fit,
    model_description,
    new_model,
    saved_model,
    standardized,
)
from vitreous.workflows.evidence import denoise_evidence
from vitreous.workflows.run_directory import RunDirectory, shell_command

SUFFIXES = (".mrc", ".rec", ".map", ".zarr")


@dataclass(frozen=True)
class DenoiseRequest:
    """One file to denoise. Paths are absolute, so that a run can be resumed from anywhere."""

    input: Path
    output: Path
    run_dir: Path
    settings: DenoiseSettings = DenoiseSettings()
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
            **paths,
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
    check_source(source)
    choose_method(request.settings, source)
    request = claim(request, run, source, progress)
    for text in warnings:
        progress.warn(text)
    store = CheckpointStore(run.checkpoints)
    facts = run.begin("denoise", request.to_json(), input_sha256=file_sha256(request.input), command=request.command())
    try:
        result = denoise_source(source, request.settings, progress, store)
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
    store.clear()
    facts |= {
        "status": "done",
        "method": result.method,
        "reason": result.reason,
        "seconds": dict(result.seconds),
        "warnings": list(evidence.warnings),
        "found": dict(result.prepared.summary) if result.prepared else {},
        "output_sha256": file_sha256(request.output),
    }
    run.write(facts)
    return DenoiseOutcome(request.output, run.path, run.report, facts)


def open_source(request: DenoiseRequest, progress: Progress) -> tuple[Source, tuple[str, ...]]:
    """Open a request's files; finds halves by their names unless they are given or not wanted."""
    volume = open_volume(request.input, voxel_spacing_angstrom=request.voxel_size_angstrom)
    halves = (request.even, request.odd)
    if halves == (None, None) and request.settings.method in ("auto", "n2n") and request.settings.model is None:
        found = find_half(request.input)
        if found is not None:
            halves = found
            progress.note(f"half tomograms found by name: {found[0]} and {found[1]}")
    even, odd = (
        None if h is None else open_volume(h, voxel_spacing_angstrom=request.voxel_size_angstrom) for h in halves
    )
    mask = None
    if request.mask is not None:
        mask = np.asarray(open_volume(request.mask, allow_damaged=True).data) > 0.5
        if not mask.any():
            raise InputError("the mask is empty", path=request.mask, remedy="mark the specimen with values above 0.5")
    return Source(volume, even, odd, mask), volume_warnings(volume)


def claim(request: DenoiseRequest, run: RunDirectory, source: Source, progress: Progress) -> DenoiseRequest:
    """Make sure that writing the output is allowed and will work; returns the request to carry out.

    An unfinished run of the same request in the run directory is gone on with; anything else there,
    or at the output's path, is only replaced when `overwrite` says so.
    """
    resuming = False
    if run.exists() and not request.overwrite:
        facts = run.read()
        same = facts["request"] == request.to_json() and facts.get("input_sha256") == file_sha256(request.input)
        if not same:
            remedy = "add --overwrite or choose another --run-dir"
            raise InputError("holds another run", path=run.path, remedy=remedy)
        resuming = facts["status"] != "done"
    if request.overwrite:
        CheckpointStore(run.checkpoints).clear()
    # An unfinished run may have been killed between writing its output and saying so.
    check_writable(request.output, 4 * source.volume.data.size, request.overwrite or resuming)
    check_writable(run.path / "run.json", 0, True)
    if resuming:
        progress.note("going on with the run that was stopped")
    return request


def resume(run_dir: Path, progress: Progress) -> list[DenoiseOutcome]:
    """Go on with a stopped run; raises InputError if it is finished or no run."""
    run = RunDirectory(run_dir.absolute())
    facts = run.read()
    if facts["kind"] == "denoise-many":
        requests = [DenoiseRequest.from_json(r) for r in facts["request"]["files"]]
        return denoise_files(requests, progress, shared=facts["request"]["shared"], folder=run.path)
    if facts["kind"] != "denoise":
        raise InputError(f"a run of kind {facts['kind']} cannot be resumed", path=run.path)
    if facts["status"] == "done":
        raise InputError("the run is already done", path=run.path, remedy=f"see {run.report}")
    request = replace(DenoiseRequest.from_json(facts["request"]), run_dir=run.path)
    if file_sha256(request.input) != facts["input_sha256"]:
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
    names = [r.output.name for r in requests]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two inputs would both become {name}", path=folder, remedy="denoise them separately")
    return requests


def plain_name(path: Path) -> str:
    """File name without its volume and compression suffixes."""
    name = path.name
    for suffix in (".gz", ".bz2", *SUFFIXES):
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
    if whole.exists() and whole.read()["request"] != request and not any(r.overwrite for r in requests):
        raise InputError("holds another run", path=whole.path, remedy="add --overwrite or choose another -o")
    facts = whole.begin("denoise-many", request)
    outcomes, failures = [], []
    try:
        if shared:
            model = train_shared(requests, whole.path / "shared-model", progress)
            requests = [replace(r, settings=replace(r.settings, model=model, steps=None)) for r in requests]
        for number, one in enumerate(requests, 1):
            progress.note(f"{number} of {len(requests)}: {one.input}")
            finished = finished_outcome(one)
            if finished is not None:
                progress.note("already done")
                outcomes.append(finished)
                continue
            try:
                outcomes.append(denoise_file(one, progress))
            except InputError as error:
                progress.warn(str(error))
                failures.append(error)
    except Interrupted:
        whole.write({**facts, "status": "interrupted"})
        raise Interrupted(whole.path) from None
    whole.write({**facts, "status": "done", "failed": [str(f) for f in failures]})
    if failures:
        text = f"{len(failures)} of {len(requests)} files could not be denoised; the first: {failures[0]}"
        raise InputError(text, remedy="the others are done")
    return outcomes


def finished_outcome(request: DenoiseRequest) -> DenoiseOutcome | None:
    """The outcome of a run that already did exactly this, unless it is to be overwritten."""
    run = RunDirectory(request.run_dir)
    if request.overwrite or not run.exists():
        return None
    facts = run.read()
    same = facts["request"] == request.to_json() and facts["status"] == "done" and request.output.exists()
    if not same or file_sha256(request.input) != facts["input_sha256"]:
        return None
    return DenoiseOutcome(request.output, run.path, run.report, facts)


def train_shared(requests: Sequence[DenoiseRequest], folder: Path, progress: Progress) -> Path:
    """Train one model on all files, unless `folder` already holds it; returns `folder`."""
    if (folder / "model.json").exists():
        progress.note("the shared model is already trained")
        return folder
    settings = requests[0].settings
    sources = [open_source(r, progress)[0] for r in requests]
    for source in sources:
        check_source(source)
    names = {choose_method(settings, s)[0] for s in sources}
    if len(names) > 1:
        raise InputError("the files call for different methods", remedy="name one with --method")
    name = names.pop()
    model = new_model(name, settings)
    volumes = [model.method.prepare(standardized(s, needs_target=name == "n2n")[0]) for s in sources]
    progress.note(f"training one {name} model on {len(volumes)} tomograms")
    store = CheckpointStore(folder / "checkpoints")
    model = fit(model, volumes, settings, progress, store)
    save_model(folder, model.network, model_description(model, sources[0], settings))
    store.clear()
    return folder


def rerender(run_dir: Path) -> Path:
    """Write `report.html` of a finished run again from its saved evidence."""
    from vitreous.report import DenoiseEvidence

    run = RunDirectory(run_dir.absolute())
    run.read()
    return write_text_atomic(run.report, render_denoise_report(DenoiseEvidence.load(run.path)))
