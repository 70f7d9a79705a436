"""Fill the missing wedge of one volume in memory."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Progress, SilentProgress, Volume
from vitreous.inference import MemoryPlan, choose_device, plan_tiles, predict_tiled, unbin_volume
from vitreous.methods import WEDGE, PreparedVolume, WedgeMethod
from vitreous.methods.wedge import WedgeConfig, check_tilt_range, merged, region_of
from vitreous.training import CheckpointStore
from vitreous.workflows.denoise import Source, TrainedModel, fit, prepared_model, standardized, untrained
from vitreous.workflows.denoise.config import configured
from vitreous.workflows.denoise.model import check_patches
from vitreous.workflows.denoise.plan import FEW_STEPS, check_settings, check_source, memory_limit
from vitreous.workflows.denoise.volumes import as_volume
from vitreous.workflows.wedge.values import Filled, WedgePlan, WedgeSettings

MOST_OBLONG = 1.02  # longest over shortest edge of a voxel
FOURIER_BYTES = 44  # for each voxel: moments, what was denoised, and a region of a prediction cut out


def fill_wedge(
    volume: Volume | NDArray[Any] | str | Path,
    method: str = "noise-model",
    *,
    even: Volume | NDArray[Any] | str | Path | None = None,
    odd: Volume | NDArray[Any] | str | Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Volume:
    """Fill the missing wedge of a tomogram and denoise it.

    Parameters
    ----------
    volume
        `Volume`, array (z, y, x) or path of a file.
    method
        "noise-model", "dual" or "isonet".
    even, odd
        Half tomograms, split by frames: both or neither.
    progress
        Receives progress; silent by default.
    **settings
        Other fields of `WedgeSettings`, such as `tilt_range_deg`, `keep_measured`, `steps` or `seed`.

    Returns
    -------
    Volume
        float32 voxels with the spacing and header of the input.

    Raises
    ------
    InputError
        If the input cannot be used, or its tilt range is neither given nor to be seen.
    """
    halves = [None if half is None else as_volume(half) for half in (even, odd)]
    source = Source(as_volume(volume), halves[0], halves[1])
    wanted = WedgeSettings(method=method, **settings)
    result = carry_out(plan_filling(source, wanted), source, wanted, progress or SilentProgress())
    return source.volume.with_data(result.data)


def plan_filling(source: Source, settings: WedgeSettings) -> WedgePlan:
    """Look at the input, the wedge, the device and the memory.

    Raises
    ------
    InputError
        If anything of what is needed is missing, does not fit or is not enough.
    """
    check_source(source)
    check_cubes(source)
    check_settings(settings)
    config = chosen_filling(settings)
    kind = WEDGE[settings.method][0]
    model = untrained(kind, config, choose_device(settings.device), settings.seed)
    check_patches(model, settings)
    halves = source.even is not None
    if halves and not kind.takes_halves:
        raise InputError(f"--even and --odd mean nothing to {settings.method}", remedy="leave them out")
    volume, warnings = standardized(source, needs_target=halves)
    if halves and source.split == "tilts":
        text = "The halves are split by tilts: they differ in signal too, which is then taken for noise."
        warnings = (*warnings, text)
    memory = plan_memory(model, source, settings)
    model, (prepared,) = prepared_model(model, [volume], settings.seed)
    steps = model.method.config.steps
    if steps is not None and steps < FEW_STEPS:
        warnings = (*warnings, f"Trained for {steps} steps only: good to try things out, no result.")
    return WedgePlan(model, prepared, memory, (*warnings, *prepared.warnings))


def chosen_filling(settings: WedgeSettings) -> WedgeConfig:
    """The configuration of the method, with what the settings say of it.

    Raises
    ------
    InputError
        If there is no such method or configuration, or the settings do not fit it.
    """
    if settings.method not in WEDGE:
        known = ", ".join(WEDGE)
        raise InputError(f"--method {settings.method} fills no wedge", remedy=f"use one of {known}")
    if settings.tilt_range_deg is not None:
        check_tilt_range(settings.tilt_range_deg)
    config = configured(settings.method, WEDGE[settings.method][1], settings, WEDGE)
    return config.model_copy(update=config_update(settings))


def check_cubes(source: Source) -> None:
    """Raise InputError if the voxels are no cubes: what is learned from rotated patches would not hold."""
    spacing = source.volume.voxel_spacing_angstrom
    if spacing is not None and max(spacing) > MOST_OBLONG * min(spacing):
        sides = " × ".join(f"{s:.4g}" for s in spacing)
        text = f"its voxels of {sides} Å are no cubes, so that a rotated patch is none of the specimen's"
        raise InputError(text, path=source.name, remedy="resample it, or correct its header")


def config_update(settings: WedgeSettings) -> dict[str, Any]:
    """What the settings say about the configuration of a method."""
    if settings.defocus_um is not None and settings.method != "isonet":
        raise InputError(f"--defocus means nothing to {settings.method}", remedy="leave it out")
    if settings.defocus_um is not None and settings.keep_measured:
        text = "--defocus and --keep-measured exclude each other"
        raise InputError(text, remedy="a deconvolved volume is not the measured one")
    if settings.tilt_axis not in (None, "y", "x"):
        raise InputError(f"--tilt-axis {settings.tilt_axis} is unknown", remedy="use y or x")
    named = {
        "steps": settings.steps,
        "tilt_range_deg": settings.tilt_range_deg,
        "tilt_axis": settings.tilt_axis,
        "defocus_um": settings.defocus_um,
    }
    return {name: value for name, value in named.items() if value is not None}


def plan_memory(model: TrainedModel, source: Source, settings: WedgeSettings) -> MemoryPlan:
    """Tile size and peak memory for the prediction."""
    network: Any = model.network
    device = model.compute.device
    halves = 1 if source.even is None else 3
    return plan_tiles(
        source.volume.shape,
        bytes_per_voxel=model.method.bytes_per_voxel,
        margin=network.receptive_radius,
        stride=network.stride,
        limit_bytes=memory_limit(device, settings),
        input_bytes=halves * source.volume.data.nbytes + FOURIER_BYTES * source.volume.data.size,
        host=device.type != "cuda",
    )


def carry_out(
    plan: WedgePlan,
    source: Source,
    settings: WedgeSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
) -> Filled:
    """Train round for round, predict, and put the measured region back if that is wanted."""
    for text in plan.warnings:
        progress.warn(text)
    model, memory = plan.model, plan.memory
    progress.note(f"method: {model.method.name}; {plan.prepared.summary['tilt range']}")
    needed = f"up to {memory.peak_bytes / 1e9:.1f} GB of memory, tiles of {memory.tile}"
    progress.note(f"{model.compute.description}; {needed}")
    begun = time.monotonic()
    model, prepared, losses, measured_spread = trained(plan, settings, progress, store)
    trained_at = time.monotonic()
    method: WedgeMethod[Any] = model.method  # type: ignore[assignment]
    missing = True if settings.keep_measured or method.denoises_first else None
    data, uncertainty = predicted(model, prepared, memory, settings.seed, progress, missing=missing)
    if measured_spread is not None and not settings.keep_measured:
        np.hypot(uncertainty, measured_spread, out=uncertainty)
    if settings.keep_measured:
        measured = np.asarray(source.volume.data, np.float32)
        finite = np.where(
            np.isfinite(measured), measured, np.float32(plan.prepared.volume.normalization.mean)
        )
        data = merged(finite, data, method.wedge)
    seconds = {"training": trained_at - begun, "denoising": time.monotonic() - trained_at}
    if settings.invert:
        data = -data
    return Filled(data, uncertainty, model, plan.prepared, losses, plan.warnings, seconds)


def trained(
    plan: WedgePlan, settings: WedgeSettings, progress: Progress, store: CheckpointStore | None
) -> tuple[TrainedModel, PreparedVolume, tuple[float, ...], NDArray[np.float32] | None]:
    """The model after all its rounds, what the last one trained on, and the losses of all of them.

    Last comes the deviation between the predictions of the round before, in the measured region, where
    they are the result. Each round keeps its checkpoints in a folder of its own. A finished round is over
    at once when it is resumed, and what was predicted after it is predicted again: the bytes are the same.
    """
    model, prepared = plan.model, plan.prepared
    method: WedgeMethod[Any] = model.method  # type: ignore[assignment]
    rounds = method.rounds
    losses: tuple[float, ...] = ()
    spread: NDArray[np.float32] | None = None
    budget = settings.time_budget_seconds
    for number in range(rounds):
        if rounds > 1:
            progress.note(f"round {number + 1} of {rounds}")
        if number:
            missing = False if method.denoises_first else None
            prediction, spread = predicted(
                model, prepared, plan.memory, settings.seed, progress, missing=missing
            )
            prepared = method.refilled(plan.prepared, prediction)
        of_round = replace(
            settings,
            seed=settings.seed + number,
            time_budget_seconds=None if budget is None else budget / rounds,
        )
        folder = store if store is None or rounds == 1 else CheckpointStore(store.folder / f"round_{number}")
        model = replace(model, method=model.method.at_round(number))  # type: ignore[attr-defined]
        model = fit(model, [prepared], of_round, progress, folder)
        losses = (*losses, *(model.record.losses if model.record else ()))
    return model, prepared, losses, spread if method.denoises_first else None


def predicted(
    model: TrainedModel,
    prepared: PreparedVolume,
    memory: MemoryPlan,
    seed: int,
    progress: Progress,
    *,
    missing: bool | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A method's result and the standard deviation of its members, in grey values of the input.

    The deviation is that within the `missing` region, within the measured one (False), or of all (None).
    """
    network: Any = model.network
    method: WedgeMethod[Any] = model.method  # type: ignore[assignment]
    volume = prepared.network_volume
    mean, middle, squares = (np.zeros(volume.data.shape, np.float32) for _ in range(3))
    count = 0
    for member in method.members(network, prepared, model.compute.device, seed):
        for data in method.seen(prepared):
            part = predict_tiled(
                member,
                data,
                volume.normalization,
                tile=memory.tile,
                margin=network.receptive_radius,
                stride=network.stride,
                progress=progress,
            )
            count += 1
            mean += (part - mean) / np.float32(count)
            if missing is not None:
                part = region_of(part, method.wedge, missing=missing)
            part -= middle
            middle += part / np.float32(count)
            squares += np.square(part) * np.float32((count - 1) / count)
    spread = np.sqrt(squares / np.float32(max(1, count - 1)))
    if prepared.binning == 1:
        return method.completed(prepared, mean), spread
    shape, whole = prepared.volume.data.shape, prepared.volume.normalization
    fine = np.maximum(unbin_volume(spread, prepared.binning, shape), 0) * np.float32(whole.deviation)
    return method.completed(prepared, whole.invert(unbin_volume(mean, prepared.binning, shape))), fine
