"""Denoise one volume in memory: carry out what was planned for it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Interrupted, Progress, SilentProgress, Volume, read_block
from vitreous.inference import tiles_of
from vitreous.io import open_volume
from vitreous.methods import PreparedFilter, PreparedVolume
from vitreous.training import CheckpointStore
from vitreous.workflows.denoise.model import fit, predict, prepared_model
from vitreous.workflows.denoise.plan import plan_denoising
from vitreous.workflows.denoise.values import Denoised, DenoiseSettings, Plan, Source, TrainedModel


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
    memory = plan.memory
    device = plan.model.compute.description if plan.model else "CPU"
    progress.note(f"{device}; up to {memory.peak_bytes / 1e9:.1f} GB of memory, tiles of {memory.tile}")
    if plan.filter is not None:
        return filtered(plan, plan.filter, source, settings, progress)
    assert plan.model is not None
    model, (prepared,) = prepared_model(plan.model, [plan.volume], settings.seed)
    warnings = (*plan.warnings, *prepared.warnings)
    if model.record is None:
        model = fit(model, [prepared], settings, progress, store)
        warnings += () if model.record is None else model.record.warnings
    begun = time.monotonic()
    strength = 1.0 if settings.strength is None else settings.strength
    prediction = predict(model, prepared, memory, settings.seed, progress, strength)
    seconds = {"denoising": time.monotonic() - begun}
    if model.record:
        seconds["training"] = model.record.seconds
    data = -prediction.data if settings.invert else prediction.data
    prepared = replace(prepared, summary={**prepared.summary, **prediction.found})
    warnings += prediction.warnings
    return Denoised(data, plan.method, plan.reason, prepared, model, memory, warnings, seconds)


def filtered(
    plan: Plan, prepared: PreparedFilter, source: Source, settings: DenoiseSettings, progress: Progress
) -> Denoised:
    """What a classical filter makes of a source, block by block; equal to the filter of the whole."""
    begun = time.monotonic()
    data, result = source.volume.data, np.empty(source.volume.shape, np.float32)
    tiles = list(tiles_of(data.shape, tile=plan.memory.tile, margin=prepared.method.reach or 0, stride=1))
    progress.start("filtering", len(tiles) * prepared.repeats)
    for tile in tiles:
        block = read_block(data, tile.start, tile.shape)
        block[~np.isfinite(block)] = plan.volume.normalization.mean
        for _ in range(prepared.repeats):
            if progress.should_stop():
                raise Interrupted
            block = prepared.apply(block)
            progress.advance()
        result[tile.core] = block[tile.inner]
    if settings.invert:
        np.negative(result, out=result)
    summary = {"settings": prepared.method.settings, **prepared.summary}
    return Denoised(
        result,
        plan.method,
        plan.reason,
        PreparedVolume(plan.volume, summary=summary),
        plan=plan.memory,
        warnings=plan.warnings,
        seconds={"filtering": time.monotonic() - begun},
    )
