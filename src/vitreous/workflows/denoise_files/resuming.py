"""Go on with a run from its directory alone, or show its results again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vitreous.core import InputError, Progress
from vitreous.io import write_bytes_atomic, write_text_atomic
from vitreous.report import DenoiseEvidence, render_denoise_report, triptych_png
from vitreous.workflows.denoise_files.many import denoise_files
from vitreous.workflows.denoise_files.one import denoise_file
from vitreous.workflows.denoise_files.request import DenoiseOutcome, DenoiseRequest
from vitreous.workflows.run_directory import RunDirectory, check_picture, check_unchanged


def resume(run_dir: Path, progress: Progress) -> list[DenoiseOutcome]:
    """Go on with a stopped run.

    Raises
    ------
    InputError
        If it is finished, no run, or a file it reads is not what it was.
    """
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
        inputs = {} if many else dict(facts["inputs_sha256"])
    except (LookupError, TypeError, ValueError) as error:
        raise InputError("run.json is damaged", path=run.path, remedy="start the run again") from error
    if many:
        return denoise_files(requests, progress, shared=shared, folder=run.path)
    if facts["status"] == "done":
        raise InputError("the run is already done", path=run.path, remedy=f"see {run.report}")
    check_unchanged(inputs)
    return [denoise_file(replace(requests[0], run_dir=run.path), progress)]


def rerender(run_dir: Path, picture: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write `report.html` of a finished run again from its saved evidence, and its middle slices as a PNG.

    Raises
    ------
    InputError
        If it is no run, its evidence is damaged, or the picture is no PNG or exists and `overwrite` is false.
    """
    run = RunDirectory(run_dir.absolute())
    run.read()
    check_picture(picture, overwrite)
    evidence = DenoiseEvidence.load(run.path)
    if picture is not None:
        write_bytes_atomic(picture, triptych_png(evidence), overwrite=overwrite)
    return write_text_atomic(run.report, render_denoise_report(evidence))
