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

from vitreous.core import InputError, Progress, SilentProgress, Volume, measure_voxels
from vitreous.inference import (
    ComputeDevice,
    MemoryPlan,
    available_memory,
    choose_device,
    parse_memory,
    plan_tiles,
    predict_tiled,
)
from vitreous.io import open_volume
from vitreous.methods import CLASSICAL, LEARNED, LearnedMethod, PreparedVolume
from vitreous.training import CheckpointStore, TrainingRecord, TrainingVolume, load_model, steps_within, train

SMALLEST_SIDE = 8
MANY_CLIPPED = 0.01
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
    given = [None if v is None else as_volume(v) for v in (volume, even, odd)]
    assert given[0] is not None
    source = Source(given[0], given[1], given[2], mask)
    result = denoise_source(source, DenoiseSettings(method=method, **settings), progress or SilentProgress())
    return source.volume.with_data(result.data)


def as_volume(value: Volume | NDArray[Any] | str | Path) -> Volume:
    """A `Volume` from a volume, an array or a path."""
    if isinstance(value, Volume):
        return value
    return open_volume(value) if isinstance(value, (str, Path)) else Volume(np.asarray(value))


def denoise_source(
    source: Source,
    settings: DenoiseSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
    model: TrainedModel | None = None,
) -> Denoised:
    """Choose, prepare, train (unless `model` is given) and predict; see `denoise`."""
    check_source(source)
    name, reason = (model.method.name, "the given model") if model else choose_method(settings, source)
    progress.note(f"method: {name} ({reason})")
    sign = np.float32(-1 if settings.invert else 1)
    if name in CLASSICAL:
        begun = time.monotonic()
        progress.start("filtering", 1)
        finite = np.nan_to_num(np.asarray(source.volume.data, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        filtered = CLASSICAL[name]().denoise(finite, source.volume.mean_spacing_angstrom)
        progress.advance()
        return Denoised(sign * filtered, name, reason, seconds={"filtering": time.monotonic() - begun})
    training_volume, warnings = standardized(source, needs_target=name == "n2n")
    for text in warnings:
        progress.warn(text)
    model = model or new_model(name, settings)
    prepared = model.method.prepare(training_volume)
    plan = plan_memory(model, source, settings)
    progress.note(f"{model.compute.description}; up to {plan.peak_bytes / 1e9:.1f} GB of memory, tiles of {plan.tile}")
    if model.record is None and settings.model is None:
        model = fit(model, [prepared], settings, progress, store)
    begun = time.monotonic()
    data = predict(model, prepared, plan, settings.seed, progress)
    seconds = {"denoising": time.monotonic() - begun}
    if model.record:
        seconds["training"] = model.record.seconds
    return Denoised(sign * data, name, reason, prepared, model, plan, (*warnings, *prepared.warnings), seconds)


def check_source(source: Source) -> None:
    """Raise InputError if the volumes of a source do not fit together or are too small."""
    shape = source.volume.shape
    if min(shape) < SMALLEST_SIDE:
        sides = " × ".join(map(str, shape))
        raise InputError(f"it has {sides} voxels, and every side must have at least {SMALLEST_SIDE}", path=source.name)
    if (source.even is None) != (source.odd is None):
        raise InputError("only one half tomogram was given", remedy="give both --even and --odd")
    for other in (source.even, source.odd, source.mask):
        if other is not None and other.shape != shape:
            text = f"a half or mask of {other.shape} (z, y, x) does not fit a tomogram of {shape}"
            raise InputError(text, path=source.name, remedy="give files of the same size")


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
        return "n2n", "even and odd half tomograms are there, and training between them needs no noise estimate"
    return "noise-model", "of the single-volume methods it measures best for white and for reconstructed noise"


def standardized(source: Source, *, needs_target: bool) -> tuple[TrainingVolume, tuple[str, ...]]:
    """The source's voxels with their normalization, and what is odd about them."""
    volume = source.even if needs_target and source.even is not None else source.volume
    target = source.odd if needs_target else None
    try:
        statistics = measure_voxels(volume.data, source.mask)
    except ValueError as error:
        raise InputError(str(error), path=source.name, remedy="check the file") from error
    warnings = []
    if statistics.non_finite:
        warnings.append(f"{statistics.non_finite} voxels are NaN or infinite; they were taken as the mean.")
    if statistics.clipped_share > MANY_CLIPPED:
        warnings.append(f"{statistics.clipped_share:.1%} of the voxels lie far outside the rest and were clipped.")
    data = None if target is None else target.data
    return TrainingVolume(volume.data, statistics.normalization, source.mask, source.name, data), tuple(warnings)


def new_model(name: str, settings: DenoiseSettings) -> TrainedModel:
    """An untrained model of a method, or a saved one if the settings name it."""
    compute = choose_device(settings.device)
    if settings.model is not None:
        return saved_model(settings.model, compute, settings.steps)
    method_type, config_type = LEARNED[name]
    config = config_type() if settings.steps is None else config_type(steps=settings.steps)
    method: LearnedMethod = method_type(config, precision=compute.precision)  # type: ignore[arg-type]
    return TrainedModel(method, method.build_network(settings.seed), compute)


def saved_model(folder: Path, compute: ComputeDevice, steps: int | None = None) -> TrainedModel:
    """The trained model of an earlier run."""
    description, tensors = load_model(folder)
    try:
        method_type, config_type = LEARNED[description["method"]]
        config = config_type(**description["config"])
        method: LearnedMethod = method_type(config, precision=compute.precision)  # type: ignore[arg-type]
        network = method.build_network(0)
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        text = "the saved model is of another kind than this version reads"
        raise InputError(text, path=folder, remedy="train it again") from error
    if steps is not None:
        raise InputError("--steps and --model exclude each other", remedy="a saved model is not trained again")
    return TrainedModel(method, network, compute, TrainingRecord((), 0.0, 0))


def plan_memory(model: TrainedModel, source: Source, settings: DenoiseSettings) -> MemoryPlan:
    """Tile size and peak memory for the prediction."""
    device = model.compute.device
    limit = available_memory(device)
    if settings.max_memory is not None:
        limit = min(limit, parse_memory(settings.max_memory))
    network: Any = model.network
    data = source.volume.data
    plan = plan_tiles(
        source.volume.shape,
        bytes_per_voxel=model.method.bytes_per_voxel,
        margin=network.receptive_radius,
        stride=network.stride,
        limit_bytes=limit,
        input_bytes=data.nbytes,
        host=device.type != "cuda",
    )
    return plan if model.method.tile is None else replace(plan, tile=model.method.tile)


def fit(
    model: TrainedModel,
    volumes: Sequence[PreparedVolume],
    settings: DenoiseSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
) -> TrainedModel:
    """Train a model on prepared volumes."""
    method, compute = model.method, model.compute
    objective = method.objective(model.network, volumes, compute.device)
    training = method.config.training_settings(settings.seed, compute.device, compute.precision)
    if settings.time_budget_seconds is not None:
        training = replace(training, steps=steps_within(settings.time_budget_seconds, objective, training))
        progress.note(f"{training.steps} steps fit into the time budget")
    return replace(model, record=train(objective, training, progress, store))


def predict(
    model: TrainedModel, prepared: PreparedVolume, plan: MemoryPlan, seed: int, progress: Progress
) -> NDArray[np.float32]:
    """Denoised grey values; with two halves the mean of both predictions."""
    network: Any = model.network
    predictor = model.method.predictor(model.network, prepared, model.compute.device, seed)
    volume = prepared.volume
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
    return total


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
