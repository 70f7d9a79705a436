"""Choose the method and look at everything it needs; whatever can be refused is refused here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vitreous.core import InputError, Volume, VoxelStatistics, measure_voxels
from vitreous.inference import MemoryPlan, available_memory, parse_memory, plan_tiles
from vitreous.methods import CLASSICAL, LEARNED, BlendedMethod, ClassicalMethod, Dual, Supervised
from vitreous.methods.supervised.pairs import check_spacing
from vitreous.training import TrainingVolume
from vitreous.workflows.denoise.config import check_config, check_optics, chosen_filter, method_of_file
from vitreous.workflows.denoise.model import new_model
from vitreous.workflows.denoise.values import DenoiseSettings, Plan, Source, TrainedModel
from vitreous.workflows.evaluate import check_comparable

SMALLEST_SIDE = 8
FEW_STEPS = 100
METHODS = ("auto", *LEARNED, *CLASSICAL)


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
    check_optics(name, settings)
    if name != "n2n" and source.even is not None and source.even.path == source.volume.path is not None:
        raise InputError(
            f"{name} denoises one tomogram, and only its halves were given",
            path=source.name,
            remedy="name the whole one too; its halves then check the result",
        )
    volume, warnings = standardized(source, needs_target=name == "n2n")
    if settings.strength is not None and not (name in LEARNED and issubclass(LEARNED[name][0], Dual)):
        raise InputError(f"--strength means nothing to {name}", remedy="leave it out, or add --method dual")
    if name in CLASSICAL:
        check_untrained(name, settings)
        method = chosen_filter(name, settings)
        memory = plan_filter(method, source, settings)
        return Plan(name, reason, volume, memory, warnings, filter=method.prepare(volume))
    model = model or new_model(name, settings)
    if model.record is None and isinstance(model.method, (Supervised, Dual)):
        check_spacing(volume.voxel_spacing_angstrom, source.name)
    steps = model.method.config.steps
    if model.record is None and steps is not None and steps < FEW_STEPS:
        warnings = (*warnings, f"Trained for {steps} steps only: good to try things out, no result.")
    return Plan(name, reason, volume, plan_memory(model, source, settings), warnings, model)


def check_settings(settings: DenoiseSettings) -> None:
    """Raise InputError for numbers that make no sense, and choices that exclude each other."""
    if settings.steps is not None and settings.steps < 1:
        raise InputError(f"{settings.steps} training steps are too few", remedy="give at least one")
    if settings.time_budget_seconds is not None and not 0 < settings.time_budget_seconds < np.inf:
        raise InputError("the time budget must be a positive number of seconds")
    if settings.strength is not None and not 0 <= settings.strength <= 1:
        raise InputError(f"a strength of {settings.strength:g} is not between 0 and 1")
    if settings.max_memory is not None:
        parse_memory(settings.max_memory)
    check_config(settings)


def check_untrained(name: str, settings: DenoiseSettings) -> None:
    """Raise InputError if the settings ask a filter to be trained."""
    asked = {"--steps": settings.steps, "--time-budget": settings.time_budget_seconds}
    for option, value in asked.items():
        if value is not None:
            raise InputError(f"{option} means nothing to {name}, which is not trained", remedy="leave it out")


def check_source(source: Source) -> None:
    """Raise InputError if the volumes of a source do not fit together or are too small."""
    shape = source.volume.shape
    if min(shape) < SMALLEST_SIDE:
        sides = " × ".join(map(str, shape))
        raise InputError(
            f"it has {sides} voxels, and every side must have at least {SMALLEST_SIDE}",
            path=source.name,
            remedy="give a larger part of the tomogram",
        )
    if (source.even is None) != (source.odd is None):
        raise InputError("only one half tomogram was given", remedy="give both --even and --odd")
    for what in ("even", "odd", "mask", "reference"):
        other = getattr(source, what)
        if other is not None and other.shape != shape:
            text = f"the size {other.shape} (z, y, x) of --{what} differs from {shape} of the tomogram"
            path = getattr(other, "path", None) or source.name  # a mask is an array
            raise InputError(text, path=path, remedy="give files of the same size")
    if source.mask is not None and not source.mask.any():
        raise InputError(
            "--mask is empty", path=source.name, remedy="mark the specimen with values above 0.5"
        )
    if source.reference is not None:
        check_comparable(source.reference)


def choose_method(settings: DenoiseSettings, source: Source) -> tuple[str, str]:
    """The method to use and why, in words."""
    halves = source.even is not None
    if settings.method not in METHODS:
        raise InputError(f"--method {settings.method} is unknown", remedy=f"use one of {', '.join(METHODS)}")
    if settings.method == "n2n" and not halves:
        raise InputError("n2n needs two half tomograms", path=source.name, remedy="give --even and --odd")
    if settings.method != "auto":
        return settings.method, "as asked for"
    named = method_of_file(settings)
    if named is not None:
        return choose_method(replace(settings, method=named), source)[0], "as the configuration file says"
    if halves:
        return (
            "n2n",
            "even and odd half tomograms are there, and training between them needs no noise estimate",
        )
    return "noise-model", "it takes the noise as the reconstruction shaped it, wedge and all"


def standardized(source: Source, *, needs_target: bool) -> tuple[TrainingVolume, tuple[str, ...]]:
    """The source's voxels with their normalization, and what is odd about them."""
    volume = source.even if needs_target and source.even is not None else source.volume
    target = source.odd if needs_target else None
    statistics = measured(volume, source)
    if target is not None:
        measured(target, source)
    data = None if target is None else target.data
    spacing = source.volume.mean_spacing_angstrom
    return TrainingVolume(
        volume.data, statistics.normalization, source.mask, source.name, data, spacing
    ), statistics.doubts()


def measured(volume: Volume, source: Source) -> VoxelStatistics:
    """Statistics of one volume of a source; InputError if there is nothing in it."""
    try:
        return measure_voxels(volume.data, source.mask)
    except ValueError as error:
        raise InputError(str(error), path=volume.path or source.name, remedy="check the file") from error


def plan_memory(model: TrainedModel, source: Source, settings: DenoiseSettings) -> MemoryPlan:
    """Tile size and peak memory for the prediction."""
    device = model.compute.device
    network: Any = model.network
    calibrated = 4 * source.volume.data.size if isinstance(model.method, BlendedMethod) else 0
    return plan_tiles(
        source.volume.shape,
        bytes_per_voxel=model.method.bytes_per_voxel,
        margin=network.receptive_radius,
        stride=network.stride,
        limit_bytes=memory_limit(device, settings),
        input_bytes=source.volume.data.nbytes + calibrated,
        host=device.type != "cuda",
        tile=model.method.tile,
    )


def plan_filter(method: ClassicalMethod, source: Source, settings: DenoiseSettings) -> MemoryPlan:
    """Tile size and peak memory of a filter, which sees the volume whole unless its reach is limited."""
    return plan_tiles(
        source.volume.shape,
        bytes_per_voxel=method.bytes_per_voxel,
        margin=method.reach or 0,
        stride=1,
        limit_bytes=memory_limit(torch.device("cpu"), settings),
        input_bytes=source.volume.data.nbytes + method.workspace_bytes,
        tile=max(source.volume.shape) if method.reach is None else None,
    )


def memory_limit(device: torch.device, settings: DenoiseSettings) -> int:
    """Bytes that may be used: what is free, or less if the user says so."""
    free = available_memory(device)
    return free if settings.max_memory is None else min(free, parse_memory(settings.max_memory))
