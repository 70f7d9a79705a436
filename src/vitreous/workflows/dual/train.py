"""Train DUAL on two domains of files, into a run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress, TrainingDiverged, Volume
from vitreous.inference import ComputeDevice, available_memory, choose_device
from vitreous.inference.memory import BASE_BYTES, GIGABYTE
from vitreous.io import check_writable, faults_in_words, file_sha256, write_text_atomic
from vitreous.methods.dual import Dual, DualConfig, doubts
from vitreous.methods.dual.method import protein_in
from vitreous.training import CheckpointStore, TrainingRecord, save_model
from vitreous.workflows.denoise import (
    Source,
    TrainedModel,
    fit,
    is_preset,
    model_description,
    prepared_model,
    untrained,
)
from vitreous.workflows.denoise.config import chosen_config
from vitreous.workflows.dual.domains import PRESET, DomainVolume, files_of, open_clean, open_noisy
from vitreous.workflows.dual.report import training_report
from vitreous.workflows.dual.request import DualTrainRequest
from vitreous.workflows.run_directory import RunDirectory, damage_in_words, stopped_run

KIND = "dual-train"
OUTPUTS = ("model.json", "model.safetensors", "report.html")
SHOWN_SHARE = 10  # times as long as a page takes to make, the next one is waited for
TRAINING_BYTES = 300  # for each channel of the first level and voxel of a batch (measured, rounded up)


@dataclass(frozen=True, eq=False)
class Domains:
    """Both domains, opened."""

    noisy: list[DomainVolume]
    clean: list[DomainVolume]


def train_dual(request: DualTrainRequest, progress: Progress) -> dict[str, Any]:
    """Train on two unpaired domains, going on where an earlier run of the same request stopped.

    The run directory gets the model, whose `model.json` has the normalization, voxel spacing and contrast
    of both domains, a report and `run.json`.

    Returns
    -------
    dict
        Plain values: run directory, report, steps, seconds, warnings and the last figures.

    Raises
    ------
    InputError
        If a domain is empty or unusable, or the folder holds something else.
    Interrupted
        If the user stopped; a checkpoint is left.
    TrainingDiverged
        If a domain died twice, or the loss was not finite twice.
    """
    run = RunDirectory(request.output)
    config = config_of(request)
    digests = input_digests(request)
    claim(request, run, digests)
    domains, warnings = open_domains(request, config, progress)
    for text in warnings:
        progress.warn(text)
    check_memory(config, domains, choose_device(request.settings.device))
    with run.locked():
        store = CheckpointStore(run.checkpoints)
        if request.overwrite:
            store.clear()
        facts = run.begin(KIND, request.to_json(), inputs_sha256=digests, command=request.command())
        seen: list[TrainingRecord] = []
        try:
            with faults_in_words(store.folder):
                model = trained(request, config, domains, warnings, progress, store, seen)
        except Interrupted:
            run.write({**facts, **told_of(seen), "status": "interrupted"})
            raise Interrupted(run.path) from None
        except TrainingDiverged as error:
            run.write({**facts, **told_of(seen), "status": "failed", "error": str(error)})
            raise
        record = model.record
        assert record is not None
        unlike = doubts(record.monitored[-1][1]) if record.monitored else []
        for text in unlike:
            progress.warn(text)
        facts |= leave_model(request, run, model, domains, [*warnings, *record.warnings, *unlike])
        run.write(facts)
        store.clear()
    kept = ("steps", "seconds", "warnings", "figures")
    return {"run_dir": str(run.path), "report": str(run.report), **{key: facts[key] for key in kept}}


def resume_dual(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Go on with a stopped training from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file is not what it was.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        request = DualTrainRequest.from_json(facts["request"], run.path)
    return train_dual(request, progress)


def config_of(request: DualTrainRequest) -> DualConfig:
    """The configuration, with the contrast that was asked for: by the request, or by itself.

    The networks see the voxels that both domains were brought to, not binned ones.

    Raises
    ------
    InputError
        If it is for binned tomograms.
    """
    if request.protein not in (None, "dark", "bright"):
        raise InputError(f"--protein {request.protein} is unknown", remedy="use dark or bright")
    config: Any = chosen_config("dual", request.settings)
    if config.binning not in (None, 1):
        text = f"a configuration with binning = {config.binning} means nothing to dual train"
        raise InputError(text, remedy="leave it out, and give the voxel size to train at with --spacing")
    said = request.protein or config.protein
    return DualConfig.model_validate({**config.model_dump(), "protein": said, "binning": 1})


def input_digests(request: DualTrainRequest) -> dict[str, str]:
    """SHA-256 of every file that the training depends on."""
    files = [f for path in request.noisy for f in files_of(path, "noisy")]
    named = [Path(name) for name in request.clean if not name.startswith(PRESET)]
    files += [f for path in named for f in files_of(path, "clean")]
    config = request.settings.config
    files += [] if config is None or is_preset(config) else [Path(config)]
    return {str(file): file_sha256(file) for file in dict.fromkeys(files)}


def claim(request: DualTrainRequest, run: RunDirectory, digests: dict[str, str]) -> None:
    """Make sure that the folder is free for this request, before any work is done."""
    remedy = "add --overwrite or choose another -o"
    for domain in (*request.noisy, *(Path(name) for name in request.clean if not name.startswith(PRESET))):
        if domain.resolve() in (run.path.resolve(), *run.path.resolve().parents):
            raise InputError(f"lies in {domain}", path=run.path, remedy="choose another -o")
    run.refuse_other_kind(KIND)
    if run.exists() and not request.overwrite:
        facts = run.read()
        if facts["request"] != request.to_json():
            raise InputError("holds another run", path=run.path, remedy=remedy)
        if facts["status"] == "done":
            raise InputError("the run is already done", path=run.path, remedy=remedy)
        changed = [path for path, digest in digests.items() if facts["inputs_sha256"].get(path) != digest]
        if changed:
            raise InputError(f"changed since the run in {run.path} began", path=changed[0], remedy=remedy)
    check_writable(run.path / "run.json", 0, overwrite=True)
    for name in OUTPUTS:
        check_writable(run.path / name, 0, overwrite=run.exists() or request.overwrite)


def open_domains(
    request: DualTrainRequest, config: DualConfig, progress: Progress
) -> tuple[Domains, list[str]]:
    """Open both domains at one voxel spacing; what is doubtful, one sentence each."""
    noisy, warnings = open_noisy(request.noisy, request.spacing_angstrom, request.voxel_size_angstrom, config)
    spacing = noisy[0].training.voxel_spacing_angstrom or 0.0
    if config.protein == "seen":
        config = config.model_copy(update={"protein": protein_in(noisy[0].training)})
    clean, odd = open_clean(
        request.clean, spacing, request.voxel_size_angstrom, config, request.settings.seed, progress
    )
    warnings += odd
    for domain, volumes in (("noisy", noisy), ("clean", clean)):
        voxels = sum(v.training.data.size for v in volumes)
        warnings += [f"{v.source}: {text}" for v in volumes for text in v.doubts]
        progress.note(f"{domain} domain: {len(volumes)} volumes, {voxels / 1e6:.3g} million voxels")
    rescaled = [v for v in (*noisy, *clean) if abs(v.spacing_before_angstrom / spacing - 1) > 0.005]
    if rescaled:
        progress.note(f"{len(rescaled)} volumes were rescaled to {spacing:.4g} Å")
    return Domains(noisy, clean), warnings


def check_memory(config: DualConfig, domains: Domains, compute: ComputeDevice) -> None:
    """Raise InputError if the training is likely not to fit."""
    needed, free = bytes_needed(config, domains, compute), available_memory(compute.device)
    if needed > free:
        raise InputError(
            f"training needs about {needed / GIGABYTE:.1f} GB and {free / GIGABYTE:.1f} GB are free",
            remedy="use a --config with a smaller batch, width or patch_side, or a larger machine",
        )


def bytes_needed(config: DualConfig, domains: Domains, compute: ComputeDevice) -> int:
    """Memory that a training takes, roughly: on the host with both domains, on a GPU without."""
    game = config.width * config.batch * config.patch_side**3
    student = config.student_width * config.student_side**3 if config.student_ratio else 0
    held = sum(4 * v.training.data.size for v in (*domains.noisy, *domains.clean))
    host = BASE_BYTES + held if compute.device.type != "cuda" else 0
    return int(host + TRAINING_BYTES * max(game, student))


def trained(
    request: DualTrainRequest,
    config: DualConfig,
    domains: Domains,
    warnings: Sequence[str],
    progress: Progress,
    store: CheckpointStore,
    seen: list[TrainingRecord],
) -> TrainedModel:
    """The networks after the game; `seen` gets what was done whenever the game is looked at.

    The report is written then, too, as often as that takes little of the time.
    """

    def method_of(config: Any, precision: str) -> Dual:
        return Dual(config, precision=precision, clean=[v.training for v in domains.clean])

    settings = request.settings
    model = untrained(method_of, config, choose_device(settings.device), settings.seed)
    model, volumes = prepared_model(model, [v.training for v in domains.noisy], settings.seed)
    needed = bytes_needed(config, domains, model.compute) / GIGABYTE
    progress.note(
        f"{model.compute.description}; {config.width} channels, batches of {config.batch}; "
        f"up to {needed:.1f} GB of memory"
    )
    shown = began = time.monotonic()

    def watch(record: TrainingRecord) -> None:
        nonlocal shown, began
        seen.append(record)
        step, figures = record.monitored[-1]
        progress.note(f"step {step}: " + in_words(figures))
        if time.monotonic() - shown < SHOWN_SHARE * (shown - began):
            return
        began = time.monotonic()
        first, density = domains.noisy[0].training, domains.clean[0].training
        so_far = replace(model, record=record)
        texts = (*warnings, *record.warnings)
        page = training_report(request, so_far, first, density, texts, playing=True)
        write_text_atomic(RunDirectory(request.output).report, page)
        shown = time.monotonic()

    return fit(model, volumes, settings, progress, store, watch)


def in_words(figures: Mapping[str, float]) -> str:
    """How the fake volumes of both domains compare with the real ones."""
    domains = [
        f"{figures[f'{name}_variance_ratio']:.2f} × the variance of real {of}, spectra "
        f"{figures[f'{name}_spectral_distance']:.2f} apart"
        for name, of in (("noisy", "tomograms"), ("clean", "densities"))
    ]
    return "; ".join(domains)


def told_of(seen: Sequence[TrainingRecord]) -> dict[str, Any]:
    """What `run.json` says of a training, finished or not."""
    if not seen:
        return {}
    record = seen[-1]
    return {
        "steps": len(record.losses),
        "rollbacks": record.rollbacks,
        "figures": dict(record.monitored[-1][1]) if record.monitored else {},
        "monitored": [[step, dict(figures)] for step, figures in record.monitored],
    }


def leave_model(
    request: DualTrainRequest,
    run: RunDirectory,
    model: TrainedModel,
    domains: Domains,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Write model and report; returns what `run.json` says of a finished run."""
    record = model.record
    assert record is not None
    source = Source(volume_of(domains.noisy[0]))
    description = {
        **model_description(model, source, request.settings),
        "protein": model.method.config.model_dump()["protein"],
        "domains": {name: [v.to_json() for v in getattr(domains, name)] for name in ("noisy", "clean")},
    }
    with faults_in_words(run.path / "model.json"):
        save_model(run.path, model.network, description)
    page = training_report(request, model, domains.noisy[0].training, domains.clean[0].training, warnings)
    write_text_atomic(run.report, page)
    return {
        "status": "done",
        **told_of([record]),
        "seconds": {"training": record.seconds},
        "warnings": list(warnings),
    }


def volume_of(one: DomainVolume) -> Volume:
    """A domain's volume as `Volume`."""
    spacing = one.training.voxel_spacing_angstrom
    return Volume(one.training.data, None if spacing is None else (spacing,) * 3)
