"""Train a segmentation network on two domains in memory: what the command and the benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from vitreous.core import InputError, Progress
from vitreous.inference import ComputeDevice, available_memory
from vitreous.inference.memory import BASE_BYTES, GIGABYTE
from vitreous.inference.predict import is_out_of_memory
from vitreous.methods.adaptation import (
    OBJECTIVES,
    AdaptationConfig,
    AdaptationObjective,
    SubtomogramSamples,
    UnlabelledSubtomograms,
    objective_for,
)
from vitreous.segmentation import (
    ModelDescription,
    SegmentationModel,
    ShiftedLabelled,
    ShiftedUnlabelled,
    ZoomedLabelled,
    build_network,
)
from vitreous.training import (
    CheckpointStore,
    TrainingRecord,
    TrainingSettings,
    steps_within,
    tell_time,
    train,
)
from vitreous.workflows.denoise import is_preset
from vitreous.workflows.denoise.config import config_of_file
from vitreous.workflows.subtomograms import LoadedBoxes

SUPERVISED = "supervised"
UNADAPTED = ("source-only", SUPERVISED)
CENTRED_SHARE = 8  # shifts by less than an eighth of the side leave the middle known
TRAINING_BYTES = 600.0  # for each voxel of a batch and channel of the width


@dataclass(frozen=True, eq=False)
class Adapted:
    """A trained model, how it was trained, and with which settings."""

    model: SegmentationModel
    record: TrainingRecord
    config: AdaptationConfig


def chosen_adaptation(
    method: str, config: str | None, *, denoiser: str | None = None, steps: int | None = None
) -> AdaptationConfig:
    """The configuration that is asked for: the defaults, "paper" or a TOML file, with what options change.

    Raises
    ------
    InputError
        If the method, the configuration or the denoiser is not known, or the file is none.
    """
    if method not in OBJECTIVES:
        raise InputError(f"--method {method} is unknown", remedy=f"use one of {', '.join(OBJECTIVES)}")
    if config is None:
        found = AdaptationConfig()
    elif is_preset(config):
        found = AdaptationConfig.paper()
    else:
        found = config_of_file(method, AdaptationConfig, Path(config))
    changes = {"denoiser": denoiser, "steps": steps}
    return with_changes(found, {name: value for name, value in changes.items() if value is not None})


def with_changes(config: AdaptationConfig, changes: dict[str, Any]) -> AdaptationConfig:
    """The configuration with other values; InputError if one is impossible."""
    try:
        return AdaptationConfig.model_validate({**config.model_dump(exclude_unset=True), **changes})
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise InputError(f"{name}: {fault['msg'].lower()}", remedy="see vitreous adapt --help") from error


def adapted(
    method: str,
    config: AdaptationConfig,
    source: LoadedBoxes,
    target: LoadedBoxes,
    compute: ComputeDevice,
    *,
    seed: int = 0,
    shift: int = 0,
    budget_seconds: float | None = None,
    progress: Progress,
    store: CheckpointStore | None = None,
) -> Adapted:
    """Train a new network; of the target's masks only the method "supervised" knows.

    With a `shift`, boxes of both domains are rolled at random by up to so many voxels. A time budget
    decides about the number of steps, in the place of the configuration.

    Raises
    ------
    InputError
        If there is not enough memory.
    Interrupted
        If the user stopped; a checkpoint is left in `store`.
    TrainingDiverged
        If the loss was not finite twice.
    """
    side = source.values.shape[-1]
    config = with_changes(config, {"patch_side": side})
    check_training_memory(config, compute)
    description = ModelDescription(
        architecture="voxresnet",
        width=config.width,
        norm=config.norm,
        voxel_spacing_angstrom=target.spacing_angstrom,
        side=side,
        centred=shift < side / CENTRED_SHARE,
    )
    posing = Posing(method, description, source, target, compute, seed, shift)
    try:
        objective, settings = posed_in_time(posing.posed, config, budget_seconds, progress, store)
        record = train(objective, settings, progress, store)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        remedy = "close other programs, or use a --config with a smaller batch or width"
        raise InputError("there is not enough memory to train", remedy=remedy) from error
    return Adapted(SegmentationModel(objective.trained.eval(), description), record, objective.config)


def posed_in_time(
    posed: Callable[[AdaptationConfig], tuple[AdaptationObjective, TrainingSettings]],
    config: AdaptationConfig,
    budget_seconds: float | None,
    progress: Progress,
    store: CheckpointStore | None = None,
    *,
    fewest: int = 1,
) -> tuple[AdaptationObjective, TrainingSettings]:
    """What `posed` makes of the configuration, with as many steps as a time budget allows.

    Without one the configuration's steps stay, and how long they will take is said.
    """
    objective, settings = posed(config)
    with at_its_dearest(objective):
        if budget_seconds is None:
            tell_time(objective, settings, progress)
            return objective, settings
        steps = steps_within(budget_seconds, objective, settings, store, fewest=fewest)
    progress.note(f"{steps} steps fit into the time budget")
    return posed(with_changes(config, {"steps": steps}))


@dataclass(frozen=True, eq=False)
class Posing:
    """Everything that a training begins with, but for the configuration."""

    method: str
    description: ModelDescription
    source: LoadedBoxes
    target: LoadedBoxes
    compute: ComputeDevice
    seed: int
    shift: int

    def posed(self, config: AdaptationConfig) -> tuple[AdaptationObjective, TrainingSettings]:
        """The objective with new networks, and how to train it."""
        network = build_network(self.description, self.seed)
        labelled = self.target if self.method == SUPERVISED else self.source
        if labelled.masks is None:
            raise ValueError(f"{labelled.path} has no masks")
        known = ZoomedLabelled(SubtomogramSamples(labelled.values, labelled.masks), config.zoom)
        unlabelled = ShiftedUnlabelled(UnlabelledSubtomograms(self.target.values), self.shift)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # discriminators and generators are made with the objective
            objective = objective_for(
                self.method,
                network,
                ShiftedLabelled(known, self.shift),
                None if self.method in UNADAPTED else unlabelled,
                config,
                self.compute.device,
            )
        compute = self.compute
        return objective, config.training_settings(self.seed, compute.device, compute.precision)


@contextmanager
def at_its_dearest(objective: AdaptationObjective) -> Iterator[None]:
    """As if most steps were done: pseudo-labels, which make steps dearer, do not begin at once."""
    done = objective.network.done
    before = done.clone()
    done.fill_(objective.config.steps or 1)
    yield
    done.copy_(before)


def training_bytes(config: AdaptationConfig) -> int:
    """Memory that a training takes beside its subtomograms, roughly."""
    voxels = config.batch * config.patch_side**3
    return int(BASE_BYTES + TRAINING_BYTES * config.width * voxels)


def check_training_memory(config: AdaptationConfig, compute: ComputeDevice) -> None:
    """Raise InputError if a training is likely not to fit."""
    needed, free = training_bytes(config), available_memory(compute.device)
    if needed > free:
        raise InputError(
            f"training needs about {needed / GIGABYTE:.1f} GB and {free / GIGABYTE:.1f} GB are free",
            remedy="use a --config with a smaller batch or width, or a larger machine",
        )
