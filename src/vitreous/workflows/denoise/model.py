"""A method with its network: made, loaded, trained, applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import InputError, Progress, read_block
from vitreous.inference import (
    ComputeDevice,
    MemoryPlan,
    Tile,
    blend_tiles,
    choose_device,
    predict_tiled,
    unbin_volume,
)
from vitreous.inference.predict import is_out_of_memory
from vitreous.methods import LEARNED, BlendedMethod, LearnedConfig, LearnedMethod, PreparedVolume
from vitreous.training import (
    CheckpointStore,
    TrainingRecord,
    TrainingVolume,
    Watch,
    load_model,
    steps_within,
    tell_time,
    train,
)
from vitreous.workflows.denoise.config import chosen_config
from vitreous.workflows.denoise.values import DenoiseSettings, Prediction, Source, TrainedModel


def new_model(name: str, settings: DenoiseSettings) -> TrainedModel:
    """An untrained model of a method, or a saved one if the settings name it."""
    compute = choose_device(settings.device)
    if settings.model is not None:
        return saved_model(settings.model, compute, settings.steps)
    config = chosen_config(name, settings)
    model = untrained(LEARNED[name][0], config, compute, settings.seed)
    check_patches(model, settings)
    return model


def check_patches(model: TrainedModel, settings: DenoiseSettings) -> None:
    """Raise InputError if the network cannot halve the patches of the configuration as often as it does."""
    network: Any = model.network
    side = model.method.config.patch_side
    if side % network.stride:
        text = f"patches of {side} voxels do not suit the network"
        raise InputError(text, path=settings.config, remedy=f"choose a multiple of {network.stride}")


def untrained(
    kind: Callable[..., LearnedMethod], config: LearnedConfig, compute: ComputeDevice, seed: int
) -> TrainedModel:
    """A method with its network as it is before training."""
    method = kind(config, precision=compute.precision)
    return TrainedModel(method, method.build_network(seed), compute)


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


def prepared_model(
    model: TrainedModel, volumes: Sequence[TrainingVolume], seed: int
) -> tuple[TrainedModel, list[PreparedVolume]]:
    """A model whose settings are fixed for these volumes, and the volumes prepared for it.

    Where the volumes ask for a network of another width, a new one is initialized from `seed`.
    """
    prepared = [model.method.prepare(v) for v in volumes]
    method = model.method.adapted(prepared)
    if any(p.binning != prepared[0].binning for p in prepared):
        prepared = [method.prepare(v) for v in volumes]
        method = model.method.adapted(prepared)  # its steps follow the voxels that the network now sees
    if method.config.width == model.method.config.width:
        return replace(model, method=method), prepared
    return replace(model, method=method, network=method.build_network(seed)), prepared


def fit(
    model: TrainedModel,
    volumes: Sequence[PreparedVolume],
    settings: DenoiseSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
    watch: Watch | None = None,
) -> TrainedModel:
    """Train a model on prepared volumes.

    A time budget becomes a number of steps, which a resumed training finds in `store` again: seed and
    steps, not the clock, decide about the result. `watch` is that of `train`.
    """
    try:
        if settings.time_budget_seconds is not None:
            model = within_budget(model, volumes, settings, progress, store)
        method, compute = model.method, model.compute
        objective = method.objective(model.network, volumes, compute.device)
        training = method.config.training_settings(settings.seed, compute.device, compute.precision)
        if settings.time_budget_seconds is None:
            tell_time(objective, training, progress)
        record = train(objective, training, progress, store, watch)
        if isinstance(method, BlendedMethod):
            own = None if store is None else CheckpointStore(store.folder / "finish")
            last = method.finish(model.network, volumes, compute.device, settings.seed, progress, own)
            seconds, warnings = record.seconds + last.seconds, record.warnings + last.warnings
            record = replace(record, seconds=seconds, warnings=warnings)
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
    """The model with the number of steps that the settings' time budget allows."""
    method, compute = model.method, model.compute
    objective = method.objective(model.network, volumes, compute.device)
    training = method.config.training_settings(settings.seed, compute.device, compute.precision)
    share = method.main_share if isinstance(method, BlendedMethod) else 1.0
    steps = steps_within(share * (settings.time_budget_seconds or 0), objective, training, store)
    progress.note(f"{steps} steps fit into the time budget")
    timed: Any = copy(method)  # with whatever a method has beside its configuration
    timed.config = method.config.model_copy(update={"steps": steps})
    return replace(model, method=timed)


def predict(
    model: TrainedModel,
    prepared: PreparedVolume,
    plan: MemoryPlan,
    seed: int,
    progress: Progress,
    strength: float = 1.0,
) -> Prediction:
    """Denoised grey values; with two halves the mean of both predictions."""
    if isinstance(model.method, BlendedMethod):
        blended, found = cleared_prediction(model, prepared, plan.tile, seed, progress)
        result, warning = model.method.calibrated(blended, prepared.volume, strength)
        if warning:
            progress.warn(warning)
        return Prediction(result, found, (warning,) if warning else ())
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
        return Prediction(total)
    whole = unbin_volume(total, prepared.binning, prepared.volume.data.shape)
    return Prediction(prepared.volume.normalization.invert(whole))


def cleared_prediction(
    model: TrainedModel, prepared: PreparedVolume, tile: int, seed: int, progress: Progress
) -> tuple[NDArray[np.float32], Mapping[str, str]]:
    """A `blended_prediction` without what its method does not predict, and what that was, in words."""
    assert isinstance(model.method, BlendedMethod)
    blended = blended_prediction(model, prepared, tile, seed, progress)
    found = model.method.cleared(blended, prepared)
    for what, value in found.items():
        progress.note(f"{what}: {value}")
    return blended, found


def blended_prediction(
    model: TrainedModel, prepared: PreparedVolume, tile: int, seed: int, progress: Progress
) -> NDArray[np.float32]:
    """Overlapping blocks of a `BlendedMethod`, put together; in the units of its network, unbinned."""
    volume = prepared.network_volume
    predictor = model.method.predictor(model.network, prepared, model.compute.device, seed)

    def block_of(place: Tile) -> torch.Tensor:
        block = volume.normalization.apply(read_block(volume.data, place.start, place.shape))
        return predictor(torch.from_numpy(block), place)

    blended = blend_tiles(volume.data.shape, tile, block_of, progress)
    if prepared.binning == 1:
        return blended
    return unbin_volume(blended, prepared.binning, prepared.volume.data.shape)


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
