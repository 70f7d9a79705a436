"""Adapt to a set of subtomograms on disk, into a run directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vitreous.core import InputError, Interrupted, Progress, SilentProgress, TrainingDiverged
from vitreous.inference import choose_device
from vitreous.inference.memory import GIGABYTE
from vitreous.io import check_writable, faults_in_words, file_sha256, write_text_atomic
from vitreous.methods.adaptation import AdaptationConfig, pseudo_label_warnings
from vitreous.segmentation import load_segmentation_model, save_segmentation_model
from vitreous.training import CheckpointStore, TrainingRecord
from vitreous.workflows.adapt.domains import Domains, open_domains
from vitreous.workflows.adapt.model import SUPERVISED, Adapted, adapted, chosen_adaptation, training_bytes
from vitreous.workflows.adapt.report import adaptation_report
from vitreous.workflows.adapt.request import AdaptRequest
from vitreous.workflows.denoise import is_preset
from vitreous.workflows.run_directory import (
    RunDirectory,
    check_unchanged,
    damage_in_words,
    finished_run,
    same_request,
    stopped_run,
)

KIND = "adapt"


def adapt(request: AdaptRequest, progress: Progress) -> dict[str, Any]:
    """Train a segmentation network on two domains, going on where an earlier run of the request stopped.

    The run directory gets the model (`vitreous segment` applies it), a report and `run.json` with every
    term of the loss.

    Returns
    -------
    dict
        Plain values: run directory, report, steps, seconds, warnings and the last figures.

    Raises
    ------
    InputError
        If a domain is unusable, the two do not fit, or the folder holds something else.
    Interrupted
        If the user stopped; a checkpoint is left.
    TrainingDiverged
        If the loss was not finite twice.
    """
    config = chosen_adaptation(request.method, request.config, denoiser=request.denoiser, steps=request.steps)
    compute = choose_device(request.device)
    run = RunDirectory(request.output)
    digests = input_digests(request)
    claim(request, run, digests)
    domains = open_domains(request, config.batch, progress, labelled=request.method == SUPERVISED)
    check_side(config, domains, request)
    for text in domains.warnings:
        progress.warn(text)
    announce(config, domains, compute.description, progress)
    with run.locked():
        store = CheckpointStore(run.checkpoints)
        if request.overwrite:
            store.clear()
        facts = run.begin(KIND, request.to_json(), inputs_sha256=digests, command=request.command())
        try:
            with faults_in_words(store.folder):
                result = adapted(
                    request.method,
                    config,
                    domains.source,
                    domains.target,
                    compute,
                    seed=request.seed,
                    shift=request.shift,
                    budget_seconds=request.budget_seconds,
                    progress=progress,
                    store=store,
                )
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        except TrainingDiverged:
            run.write({**facts, "status": "failed"})
            raise
        doubts = pseudo_label_warnings(result.record.monitored)
        for text in doubts:
            progress.warn(text)
        told = replace(domains, warnings=(*domains.warnings, *doubts))
        facts |= leave_model(request, run, result, told)
        run.write(facts)
        store.clear()
    kept = ("steps", "seconds", "warnings", "figures")
    return {"run_dir": str(run.path), "report": str(run.report), **{key: facts[key] for key in kept}}


def resume_adaptation(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Go on with a stopped training from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file is not what it was.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        request = AdaptRequest.from_json(facts["request"], run.path)
    check_unchanged(facts.get("inputs_sha256", {}))
    return adapt(request, progress)


def rerender_adaptation(run_dir: Path) -> Path:
    """Write the report of a finished training again, from its folder and the subtomograms.

    Raises
    ------
    InputError
        If it is not finished, or a file is not what it was.
    """
    run, facts = finished_run(run_dir, KIND)
    with damage_in_words(run):
        request = AdaptRequest.from_json(facts["request"], run.path)
        record = TrainingRecord(
            tuple(facts["losses"]),
            facts["seconds"]["training"],
            facts["rollbacks"],
            monitored=tuple((step, seen) for step, seen in facts["monitored"]),
        )
        config = AdaptationConfig.model_validate(facts["config"])
    model = load_segmentation_model(run.path, choose_device(request.device).device)
    labelled = request.method == SUPERVISED
    domains = open_domains(request, config.batch, SilentProgress(), labelled=labelled)
    told = replace(domains, warnings=tuple(facts["warnings"]))
    page = adaptation_report(request, Adapted(model, record, config), told)
    return write_text_atomic(run.report, page)


def input_digests(request: AdaptRequest) -> dict[str, str]:
    """SHA-256 of everything that the training depends on."""
    paths = [request.source, request.target, request.picks]
    config = request.config
    paths += [] if config is None or is_preset(config) else [Path(config)]
    return {str(path): file_sha256(path) for path in paths if path is not None}


def claim(request: AdaptRequest, run: RunDirectory, digests: dict[str, str]) -> None:
    """Make sure that the folder is free for this request, before any work is done."""
    for domain in (request.source, request.target):
        if domain.resolve() in (run.path.resolve(), *run.path.resolve().parents):
            raise InputError(f"lies in {domain}", path=run.path, remedy="choose another -o")

    def is_same(facts: Any) -> bool:
        return same_request(facts["request"], request.to_json())

    resuming = run.unfinished(KIND, is_same, digests, request.overwrite)
    if run.exists() and not resuming and not request.overwrite:
        remedy = "add --overwrite or choose another -o"
        raise InputError("the run is already done", path=run.path, remedy=remedy)
    check_writable(run.path / "run.json", 0, overwrite=True)


def check_side(config: AdaptationConfig, domains: Domains, request: AdaptRequest) -> None:
    """Raise InputError if the configuration says another side than the subtomograms have."""
    side = domains.source.values.shape[-1]
    if "patch_side" in config.model_fields_set and config.patch_side != side:
        raise InputError(
            f"patch_side is {config.patch_side}, and the subtomograms have {side} voxels a side",
            path=request.config,
            remedy="leave patch_side out: it is that of the subtomograms",
        )


def announce(config: AdaptationConfig, domains: Domains, device: str, progress: Progress) -> None:
    """Say what will be done, and what it takes."""
    side = domains.source.values.shape[-1]
    held = domains.source.values.nbytes + domains.target.values.nbytes
    needed = (training_bytes(config) + 2 * held) / GIGABYTE
    progress.note(
        f"source {len(domains.source)}, target {len(domains.target)} subtomograms of {side}³ voxels of "
        f"{domains.source.spacing_angstrom:.4g} Å; {device}; up to {needed:.1f} GB of memory"
    )


def leave_model(
    request: AdaptRequest, run: RunDirectory, result: Adapted, domains: Domains
) -> dict[str, Any]:
    """Write model and report; returns what `run.json` says of a finished run."""
    record = result.record
    description = {
        "method": request.method,
        "config": result.config.model_dump(mode="json"),
        "seed": request.seed,
        "torch": torch.__version__,
        "source_structures": sorted(set(domains.source.kinds)),
        "contrast_turned": domains.target.turned,
    }
    with faults_in_words(run.path / "model.json"):
        save_segmentation_model(run.path, result.model, description)
    write_text_atomic(run.report, adaptation_report(request, result, domains))
    return {
        "status": "done",
        "config": result.config.model_dump(mode="json"),
        "steps": len(record.losses),
        "seconds": {"training": record.seconds},
        "rollbacks": record.rollbacks,
        "subtomograms": {"source": len(domains.source), "target": len(domains.target)},
        "skipped": [*domains.source.skipped, *domains.target.skipped],
        "warnings": list(domains.warnings),
        "figures": dict(record.monitored[-1][1]) if record.monitored else {},
        "losses": list(record.losses),
        "monitored": [[step, dict(seen)] for step, seen in record.monitored],
    }
