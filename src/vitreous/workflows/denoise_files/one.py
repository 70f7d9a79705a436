"""Denoise one file into its run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import vitreous
from vitreous.core import InputError, Interrupted, Progress
from vitreous.io import (
    check_writable,
    faults_in_words,
    file_sha256,
    remove_stale,
    write_bytes_atomic,
    write_text_atomic,
    write_volume,
    written_suffix,
)
from vitreous.report import render_denoise_report
from vitreous.training import CheckpointStore, save_model
from vitreous.workflows.denoise import (
    Denoised,
    Source,
    carry_out,
    model_description,
    plan_denoising,
)
from vitreous.workflows.denoise_files.evidence import denoise_evidence
from vitreous.workflows.denoise_files.inputs import input_digests, open_source
from vitreous.workflows.denoise_files.request import DenoiseOutcome, DenoiseRequest
from vitreous.workflows.run_directory import RunDirectory

RequestT = TypeVar("RequestT", bound=DenoiseRequest)
PlanT = TypeVar("PlanT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class FileTask(Generic[RequestT, PlanT, ResultT]):
    """What is done to one file, under the name that `run.json` has for it.

    Parameters
    ----------
    kind
        The name.
    plan
        Looks at the input and refuses what cannot be done.
    carry_out
        Makes the result, with checkpoints; raises Interrupted if the user stopped.
    leave_results
        Writes what is left behind; returns what `run.json` says of a finished run.
    """

    kind: str
    plan: Callable[[Source, Any], PlanT]
    carry_out: Callable[[PlanT, Source, Any, Progress, CheckpointStore], ResultT]
    leave_results: Callable[[RequestT, RunDirectory, Source, ResultT, tuple[str, ...]], dict[str, Any]]


def denoise_file(request: DenoiseRequest, progress: Progress) -> DenoiseOutcome:
    """Denoise one file, going on where an earlier run of the same request stopped; see `done_to_file`."""
    return done_to_file(FileTask("denoise", plan_denoising, carry_out, leave_results), request, progress)


def done_to_file(
    task: FileTask[RequestT, PlanT, ResultT], request: RequestT, progress: Progress
) -> DenoiseOutcome:
    """Do something to one file, going on where an earlier run of the same request stopped.

    Raises
    ------
    InputError
        If the input is unusable, or the output exists and is not this run's.
    Interrupted
        If the user stopped; the run directory holds a checkpoint.
    """
    run = RunDirectory(request.run_dir)
    source, warnings = open_source(request, progress)
    plan = task.plan(source, request.settings)
    inputs = input_digests(request, source)
    claim(request, run, task.kind, source, inputs, progress)
    with run.locked():
        for text in warnings:
            progress.warn(text)
        store = CheckpointStore(run.checkpoints)
        if request.overwrite:
            store.clear()
        facts = run.begin(task.kind, request.to_json(), inputs_sha256=inputs, command=request.command())
        try:
            with faults_in_words(store.folder):
                result = task.carry_out(plan, source, request.settings, progress, store)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        facts |= task.leave_results(request, run, source, result, warnings)
        run.write(facts)
        store.clear()  # only now: a kill before would have left neither checkpoint nor result
    return DenoiseOutcome(request.output, run.path, run.report, facts)


def leave_results(
    request: DenoiseRequest, run: RunDirectory, source: Source, result: Denoised, warnings: tuple[str, ...]
) -> dict[str, Any]:
    """Write volume, model, evidence and report; returns what `run.json` says of a finished run."""
    written = source.volume.with_data(result.data)
    label = f"vitreous {vitreous.__version__}: denoised, {result.method}"
    write_volume(request.output, written, overwrite=True, label=label)
    if result.model is not None and request.settings.model is None:
        with faults_in_words(run.path / "model.json"):
            save_model(
                run.path, result.model.network, model_description(result.model, source, request.settings)
            )
    evidence = denoise_evidence(source, result, request, (*warnings, *result.warnings))
    for name, content in evidence.files().items():
        write_bytes_atomic(run.path / name, content)
    write_text_atomic(run.report, render_denoise_report(evidence))
    record = result.model.record if result.model else None
    return {
        "status": "done",
        "method": result.method,
        "reason": result.reason,
        "steps": len(record.losses) if record else 0,
        "seconds": dict(result.seconds),
        "warnings": list(evidence.warnings),
        "found": dict(result.prepared.summary) if result.prepared else {},
        "output_sha256": file_sha256(request.output),
        **({"scores": evidence.scores} if evidence.scores else {}),
    }


def claim(
    request: DenoiseRequest,
    run: RunDirectory,
    kind: str,
    source: Source,
    inputs: Mapping[str, str],
    progress: Progress,
) -> None:
    """Make sure that writing the output is allowed and will work, before any work is done.

    An unfinished run of the same request in the run directory is gone on with; anything else there,
    or at the output's path, is only replaced when `overwrite` says so.
    """
    check_output(request)
    resuming = run.unfinished(kind, request.is_of, inputs, request.overwrite)
    for output in request.outputs:
        remove_stale(output)
        # An unfinished run may have been killed between writing its output and saying so.
        check_writable(output, 4 * source.volume.data.size, request.overwrite or resuming)
    check_writable(run.path / "run.json", 0, True)
    if resuming:
        progress.note("going on with the run that was stopped")


def check_output(request: DenoiseRequest) -> None:
    """Raise InputError if the output is of no type that is written, or would spoil an input."""
    written_suffix(request.output)
    for output in request.outputs:
        target = output.resolve()
        for path in request.volumes:
            if target == path.resolve() or path.resolve() in target.parents:
                raise InputError("the output is an input", path=output, remedy="choose another -o")
    folder = request.run_dir.resolve()
    for path in (*request.volumes, *request.outputs):
        if path.resolve() in (folder, *folder.parents):
            raise InputError(f"lies in {path}", path=request.run_dir, remedy="choose another --run-dir")
