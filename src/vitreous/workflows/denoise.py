"""Denoise one volume in memory: choose a method, train it on the volume itself, apply it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vitreous.core import InputError, Progress, SilentProgress, Volume, VoxelStatistics, measure_voxels
from vitreous.inference import (
    ComputeDevice,
    MemoryPlan,
    available_memory,
    choose_device,
    parse_memory,
    plan_tiles,
    predict_tiled,
    unbin_volume,
)
from vitreous.inference.predict import is_out_of_memory
from vitreous.io import open_volume
from vitreous.methods import CLASSICAL, LEARNED, LearnedMethod, PreparedVolume
from vitreous.training import CheckpointStore, TrainingRecord, TrainingVolume, load_model, steps_within, train

SMALLEST_SIDE = 8
MANY_CLIPPED = 0.01
STAGE_SEED = 1_000_003  # keeps the random draws of a method's stages apart
METHODS = ("auto", *LEARNED, *CLASSICAL)


@dataclass(frozen=True)
class DenoiseSettings:
    """What a user can choose; None leaves a choice to the method.

    `time_budget_seconds` is turned into a number of training steps by timing the first few.
    """

    method: str = "auto"
    steps: int | None = None
    time_budget_seconds: float | None = None
    seed: int = 0
    device: str = "auto"
    max_memory: str | None = None
    invert: bool = False
    model: Path | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """A volume to denoise with what belongs to it: its halves and a specimen mask."""

    volume: Volume
    even: Volume | None = None
    odd: Volume | None = None
    mask: NDArray[np.bool_] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.volume.path or "the volume")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A method with its network, trained or not."""

    method: LearnedMethod
    network: nn.Module
    compute: ComputeDevice
    record: TrainingRecord | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be done to a source; making one changes nothing, so that bad input is found early.

    `model` and `memory` are None for a classical filter, whose `volume` serves for its statistics only.
    """

    method: str
    reason: str
    volume: TrainingVolume
    warnings: tuple[str, ...] = ()
    model: TrainedModel | None = None
    memory: MemoryPlan | None = None


@dataclass(frozen=True, eq=False)
class Denoised:
    """A result with what is known about how it came about."""

    data: NDArray[np.float32]
    method: str
    reason: str
    prepared: PreparedVolume | None = None
    model: TrainedModel | None = None
    plan: MemoryPlan | None = None
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def denoise(
    volume: Volume | NDArray[Any] | str | Path,
    method: str = "auto",
    *,
    even: Volume | NDArray[Any] | str | Path | None = None,
    odd: Volume | NDArray[Any] | str | Path | None = None,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Volume:
    """Denoise a tomogram, by default with no other argument.

    Parameters
    ----------
    volume
        `Volume`, array (z, y, x) or path of a file.
    method
        "auto" or a name of METHODS.
    even, odd
        Half tomograms with independent noise (Noise2Noise); both or neither.
    mask
        Specimen mask (z, y, x): training and estimates look only inside.
    progress
        Receives progress; silent by default.
    **settings
        Other fields of `DenoiseSettings`, such as `steps`, `seed` or `device`.

    Returns
    -------
    Volume
        float32 voxels with the spacing and header of the input.

    Raises
    ------
    InputError
        If the input cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(size=(16, 16, 16))
    >>> denoise(noisy, "gaussian").shape
    (16, 16, 16)
    """
    halves = [None if half is None else as_volume(half) for half in (even, odd)]
    inside = None if mask is None else np.asarray(mask, bool)
    source = Source(as_volume(volume), halves[0], halves[1], inside)
    result = denoise_source(source, DenoiseSettings(method=method, **settings), progress or SilentProgress())
    return source.volume.with_data(result.data)


def as_volume(value: Volume | NDArray[Any] | str | Path) -> Volume:
    """A `Volume` from a volume, an array or a path."""
    if isinstance(value, Volume):
        return value
    if isinstance(value, (str, Path)):
        return open_volume(value)
    data = np.asarray(value)
    if data.ndim != 3 or data.dtype.kind not in "iuf":
        text = f"an array of {data.ndim} axes and type {data.dtype} is no tomogram"
        raise InputError(text, remedy="give real numbers with axes (z, y, x)")
    return Volume(data)


def denoise_source(
    source: Source,
    settings: DenoiseSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
    model: TrainedModel | None = None,
) -> Denoised:
    """Choose, prepare, train (unless `model` is given) and predict; see `denoise`."""
    return carry_out(plan_denoising(source, settings, model), source, settings, progress, store)


def plan_denoising(source: Source, settings: DenoiseSettings, model: TrainedModel | None = None) -> Plan:
    """Choose the method and look at the input, the model, the device and the memory.

    Raises
    ------
    InputError
        If anything of what is needed is missing, does not fit or is not enough.
    """
    check_source(source)
    check_settings(settings)
    name, reason = choose_method(settings, source)
    if model is None and settings.model is not None:
        model = new_model(name, settings)
    if model is not None:
        if settings.method not in ("auto", model.method.name):
            text = f"the model is of the method {model.method.name}, not {settings.method}"
            raise InputError(text, path=settings.model, remedy="leave out --method")
        name, reason = model.method.name, "the given model"
    if name in CLASSICAL:
        return Plan(name, reason, *standardized(source, needs_target=False))
    volume, warnings = standardized(source, needs_target=name == "n2n")
    model = model or new_model(name, settings)
    return Plan(name, reason, volume, warnings, model, plan_memory(model, source, settings))


def carry_out(
    plan: Plan,
    source: Source,
    settings: DenoiseSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
) -> Denoised:
    """Prepare, train unless the model is trained, and predict."""
    progress.note(f"method: {plan.method} ({plan.reason})")
    for text in plan.warnings:
        progress.warn(text)
    if plan.model is None or plan.memory is None:
        return filtered(plan, source, settings, progress)
    model, (prepared,) = prepared_model(plan.model, [plan.volume])
    memory, device = plan.memory, model.compute.description
    progress.note(f"{device}; up to {memory.peak_bytes / 1e9:.1f} GB of memory, tiles of {memory.tile}")
    if model.record is None:
        model = fit(model, [prepared], settings, progress, store)
    begun = time.monotonic()
    data = predict(model, prepared, memory, settings.seed, progress)
    seconds = {"denoising": time.monotonic() - begun}
    if model.record:
        seconds["training"] = model.record.seconds
    if settings.invert:
        data = -data
    warnings = (*plan.warnings, *prepared.warnings)
    return Denoised(data, plan.method, plan.reason, prepared, model, memory, warnings, seconds)


def filtered(plan: Plan, source: Source, settings: DenoiseSettings, progress: Progress) -> Denoised:
    """What a classical filter makes of a source."""
    begun = time.monotonic()
    progress.start("filtering", 1)
    data = np.array(source.volume.data, np.float32)
    data[~np.isfinite(data)] = plan.volume.normalization.mean
    data = CLASSICAL[plan.method]().denoise(data, source.volume.mean_spacing_angstrom)
    progress.advance()
    seconds = {"filtering": time.monotonic() - begun}
    return Denoised(
        -data if settings.invert else data, plan.method, plan.reason, warnings=plan.warnings, seconds=seconds
    )


def check_settings(settings: DenoiseSettings) -> None:
    """Raise InputError for numbers that make no sense."""
    if settings.steps is not None and settings.steps < 1:
        raise InputError(f"{settings.steps} training steps are too few", remedy="give at least one")
    if settings.time_budget_seconds is not None and not 0 < settings.time_budget_seconds < np.inf:
        raise InputError("the time budget must be a positive number of seconds")
    if settings.max_memory is not None:
        parse_memory(settings.max_memory)


def check_source(source: Source) -> None:
    """Raise InputError if the volumes of a source do not fit together or are too small."""
    shape = source.volume.shape
    if min(shape) < SMALLEST_SIDE:
        sides = " × ".join(map(str, shape))
        raise InputError(
            f"it has {sides} voxels, and every side must have at least {SMALLEST_SIDE}", path=source.name
        )
    if (source.even is None) != (source.odd is None):
        raise InputError("only one half tomogram was given", remedy="give both --even and --odd")
    for other in (source.even, source.odd, source.mask):
        if other is not None and other.shape != shape:
            text = f"a half or mask of {other.shape} (z, y, x) does not fit a tomogram of {shape}"
            raise InputError(text, path=source.name, remedy="give files of the same size")
    if source.mask is not None and not source.mask.any():
        raise InputError(
            "the mask is empty", path=source.name, remedy="mark the specimen with values above 0.5"
        )


def choose_method(settings: DenoiseSettings, source: Source) -> tuple[str, str]:
    """The method to use and why, in words."""
    halves = source.even is not None
    if settings.method not in METHODS:
        raise InputError(f"--method {settings.method} is unknown", remedy=f"use one of {', '.join(METHODS)}")
    if settings.method == "n2n" and not halves:
        raise InputError("n2n needs two half tomograms", path=source.name, remedy="give --even and --odd")
    if settings.method != "auto":
        return settings.method, "as asked for"
    if halves:
        return (
            "n2n",
            "even and odd half tomograms are there, and training between them needs no noise estimate",
        )
    return (
        "noise-model",
        "of the single-volume methods it measures best for white and for reconstructed noise",
    )


def standardized(source: Source, *, needs_target: bool) -> tuple[TrainingVolume, tuple[str, ...]]:
    """The source's voxels with their normalization, and what is odd about them."""
    volume = source.even if needs_target and source.even is not None else source.volume
    target = source.odd if needs_target else None
    statistics = measured(volume, source)
    if target is not None:
        measured(target, source)
    warnings = []
    if statistics.non_finite:
        warnings.append(f"{statistics.non_finite} voxels are NaN or infinite; they were taken as the mean.")
    if statistics.clipped_share > MANY_CLIPPED:
        warnings.append(
            f"{statistics.clipped_share:.1%} of the voxels lie far outside the rest and were clipped."
        )
    data = None if target is None else target.data
    return TrainingVolume(volume.data, statistics.normalization, source.mask, source.name, data), tuple(
        warnings
    )


def measured(volume: Volume, source: Source) -> VoxelStatistics:
    """Statistics of one volume of a source; InputError if there is nothing in it."""
    try:
        return measure_voxels(volume.data, source.mask)
    except ValueError as error:
        raise InputError(str(error), path=volume.path or source.name, remedy="check the file") from error


def new_model(name: str, settings: DenoiseSettings) -> TrainedModel:
    """An untrained model of a method, or a saved one if the settings name it."""
    compute = choose_device(settings.device)
    if settings.model is not None:
        return saved_model(settings.model, compute, settings.steps)
    method_type, config_type = LEARNED[name]
    config = config_type() if settings.steps is None else config_type(steps=settings.steps)
    method = method_type(config, precision=compute.precision)  # type: ignore[arg-type]
    return TrainedModel(method, method.build_network(settings.seed), compute)


def prepared_model(
    model: TrainedModel, volumes: Sequence[TrainingVolume]
) -> tuple[TrainedModel, list[PreparedVolume]]:
    """A model whose settings are fixed for these volumes, and the volumes prepared for it."""
    prepared = [model.method.prepare(v) for v in volumes]
    method = model.method.adapted(prepared)
    if any(p.binning != prepared[0].binning for p in prepared):
        prepared = [method.prepare(v) for v in volumes]
    return replace(model, method=method), prepared


def saved_model(folder: Path, compute: ComputeDevice, steps: int | None = None) -> TrainedModel:
    """The trained model of an earlier run."""
    description, tensors = load_model(folder)
    try:
        method_type, config_type = LEARNED[description["method"]]
        config = config_type(**description["config"])
        method = method_type(config, precision=compute.precision)  # type: ignore[arg-type]
        network = method.build_network(0)
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        text = "the saved model is of another kind than this version reads"
        raise InputError(text, path=folder, remedy="train it again") from error
    if steps is not None:
        raise InputError(
            "--steps and --model exclude each other", remedy="a saved model is not trained again"
        )
    return TrainedModel(method, network, compute, TrainingRecord((), 0.0, 0))


def plan_memory(model: TrainedModel, source: Source, settings: DenoiseSettings) -> MemoryPlan:
    """Tile size and peak memory for the prediction."""
    device = model.compute.device
    limit = available_memory(device)
    if settings.max_memory is not None:
        limit = min(limit, parse_memory(settings.max_memory))
    network: Any = model.network
    data = source.volume.data
    return plan_tiles(
        source.volume.shape,
        bytes_per_voxel=model.method.bytes_per_voxel,
        margin=network.receptive_radius,
        stride=network.stride,
        limit_bytes=limit,
        input_bytes=data.nbytes,
        host=device.type != "cuda",
        tile=model.method.tile,
    )


def fit(
    model: TrainedModel,
    volumes: Sequence[PreparedVolume],
    settings: DenoiseSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
) -> TrainedModel:
    """Train a model on prepared volumes, stage after stage.

    A time budget becomes a number of steps, which a resumed training finds in `store` again: seed and
    steps, not the clock, decide about the result.
    """
    try:
        if settings.time_budget_seconds is not None:
            model = within_budget(model, volumes, settings, progress, store)
        method, compute = model.method, model.compute
        records = []
        for stage in range(method.stages):
            objective = method.objective(model.network, volumes, compute.device, stage)
            training = method.config.training_settings(settings.seed, compute.device, compute.precision)
            steps = training.steps // method.stages + (stage < training.steps % method.stages)
            training = replace(training, steps=steps, seed=settings.seed + stage * STAGE_SEED)
            records.append(
                train(objective, training, progress, store.part(f"stage_{stage}") if store else None)
            )
        losses = tuple(value for record in records for value in record.losses)
        record = TrainingRecord(losses, sum(r.seconds for r in records), sum(r.rollbacks for r in records))
        return replace(model, record=record)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            "there is not enough memory to train", remedy="close other programs or use a larger machine"
        ) from error


def within_budget(
    model: TrainedModel,
    volumes: Sequence[PreparedVolume],
    settings: DenoiseSettings,
    progress: Progress,
    store: CheckpointStore | None,
) -> TrainedModel:
    """The model with the number of steps that the settings' time budget allows, timed at its last stage."""
    method, compute = model.method, model.compute
    steps = store.kept_steps() if store else None
    if steps is None:
        objective = method.objective(model.network, volumes, compute.device, method.stages - 1)
        training = method.config.training_settings(settings.seed, compute.device, compute.precision)
        steps = steps_within(settings.time_budget_seconds or 0, objective, training)
        if store:
            store.keep_steps(steps)
    progress.note(f"{steps} steps fit into the time budget")
    config: Any = method.config.model_copy(update={"steps": steps})
    return replace(model, method=type(method)(config, precision=compute.precision))  # type: ignore[call-arg]


def predict(
    model: TrainedModel, prepared: PreparedVolume, plan: MemoryPlan, seed: int, progress: Progress
) -> NDArray[np.float32]:
    """Denoised grey values; with two halves the mean of both predictions."""
    network: Any = model.network
    predictor = model.method.predictor(model.network, prepared, model.compute.device, seed)
    volume = prepared.network_volume
    inputs = [volume.data] if volume.target is None else [volume.data, volume.target]
    parts = (
        predict_tiled(
            predictor,
            data,
            volume.normalization,
            tile=plan.tile,
            margin=network.receptive_radius,
            stride=network.stride,
            progress=progress,
        )
        for data in inputs
    )
    total = next(parts)
    for part in parts:
        total += part
    total /= np.float32(len(inputs))
    if prepared.binning == 1:
        return total
    whole = unbin_volume(total, prepared.binning, prepared.volume.data.shape)
    return prepared.volume.normalization.invert(whole)


def model_description(model: TrainedModel, source: Source, settings: DenoiseSettings) -> dict[str, Any]:
    """What `model.json` says beside the weights."""
    volume = source.volume
    return {
        "method": model.method.name,
        "config": model.method.config.model_dump(mode="json"),
        "voxel_spacing_angstrom": volume.voxel_spacing_angstrom,
        "inverted": settings.invert,
        "seed": settings.seed,
        "precision": model.compute.precision,
        "torch": torch.__version__,
    }
