"""Fill the wedge of one file into its run directory, and go on with a run that was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import vitreous
from vitreous.core import InputError, Progress
from vitreous.io import (
    faults_in_words,
    file_sha256,
    write_bytes_atomic,
    write_text_atomic,
    write_volume,
)
from vitreous.report import render_denoise_report
from vitreous.training import save_model
from vitreous.workflows.denoise import Source, model_description
from vitreous.workflows.denoise_files import DenoiseOutcome, DenoiseRequest
from vitreous.workflows.denoise_files.one import FileTask, done_to_file
from vitreous.workflows.run_directory import RunDirectory, check_unchanged, damage_in_words
from vitreous.workflows.wedge.evidence import wedge_evidence
from vitreous.workflows.wedge.filling import carry_out, plan_filling
from vitreous.workflows.wedge.values import Filled, WedgeSettings

KIND = "wedge"


@dataclass(frozen=True)
class WedgeRequest(DenoiseRequest):
    """One file whose wedge is to be filled; the fields are those of `DenoiseRequest`."""

    settings: WedgeSettings = field(default_factory=WedgeSettings)

    @property
    def uncertainty(self) -> Path:
        """Where the uncertainty map goes: beside the output."""
        return self.output.with_name(f"{self.output.stem}_uncertainty{self.output.suffix}")

    @property
    def outputs(self) -> list[Path]:
        """The volume files that are written."""
        return [self.output, self.uncertainty]

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> WedgeRequest:
        """Inverse of `to_json`."""
        plain = DenoiseRequest.from_json({**facts, "settings": {"model": None}})
        settings = dict(facts["settings"])
        if settings["tilt_range_deg"] is not None:
            settings["tilt_range_deg"] = tuple(settings["tilt_range_deg"])
        named = {name: getattr(plain, name) for name in DenoiseRequest.__dataclass_fields__}
        return cls(**{**named, "settings": WedgeSettings(**settings)})

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`."""
        facts = super().to_json()
        limits = self.settings.tilt_range_deg
        facts["settings"]["tilt_range_deg"] = None if limits is None else list(limits)
        return facts

    def words(self) -> list[str]:
        """The command line that repeats the run, word by word."""
        settings = self.settings
        words = super().words()
        words[1] = "wedge"
        if settings.tilt_range_deg is not None:
            words += ["--tilt-range", *(f"{limit:g}" for limit in settings.tilt_range_deg)]
        words += [] if settings.tilt_axis is None else ["--tilt-axis", settings.tilt_axis]
        return [*words, "--keep-measured"] if settings.keep_measured else words


def fill_file(request: WedgeRequest, progress: Progress) -> DenoiseOutcome:
    """Fill the wedge of one file, going on where an earlier run of the same request stopped.

    See `workflows.denoise_files.one.done_to_file` for what it raises.
    """
    return done_to_file(FileTask(KIND, plan_filling, carry_out, leave_results), request, progress)


def leave_results(
    request: WedgeRequest, run: RunDirectory, source: Source, result: Filled, warnings: tuple[str, ...]
) -> dict[str, Any]:
    """Write volumes, model, evidence and report; returns what `run.json` says of a finished run."""
    method = result.model.method.name
    label = f"vitreous {vitreous.__version__}: missing wedge filled, {method}"
    write_volume(request.output, source.volume.with_data(result.data), overwrite=True, label=label)
    spread = source.volume.with_data(result.uncertainty)
    write_volume(request.uncertainty, spread, overwrite=True, label=f"{label}: deviation of predictions")
    with faults_in_words(run.path / "model.json"):
        description = model_description(result.model, source, request.settings)
        save_model(run.path, result.model.network, {**description, "task": KIND})
    evidence = wedge_evidence(source, result, request, (*warnings, *result.warnings))
    for name, content in evidence.files().items():
        write_bytes_atomic(run.path / name, content)
    write_text_atomic(run.report, render_denoise_report(evidence))
    return {
        "status": "done",
        "method": method,
        "reason": "as asked for",
        "steps": len(result.losses),
        "seconds": dict(result.seconds),
        "warnings": list(evidence.warnings),
        "found": dict(result.prepared.summary),
        "uncertainty": str(request.uncertainty),
        "output_sha256": file_sha256(request.output),
        **({"scores": evidence.scores} if evidence.scores else {}),
    }


def resume_filling(run_dir: Path, progress: Progress) -> DenoiseOutcome:
    """Go on with a stopped run.

    Raises
    ------
    InputError
        If it is finished, or a file it reads is not what it was.
    """
    run = RunDirectory(run_dir.absolute())
    facts = run.read()
    with damage_in_words(run):
        request = replace(WedgeRequest.from_json(facts["request"]), run_dir=run.path)
        inputs = dict(facts["inputs_sha256"])
    if facts["status"] == "done":
        raise InputError("the run is already done", path=run.path, remedy=f"see {run.report}")
    check_unchanged(inputs)
    return fill_file(request, progress)
