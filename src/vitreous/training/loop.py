"""The one training loop: steps, schedule, finiteness, checkpoints, interruption."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vitreous.core import Interrupted, Progress, TrainingDiverged
from vitreous.training.checkpoint import CheckpointStore, TrainingState
from vitreous.training.sampling import step_generator

CHECKPOINT_SECONDS = 20.0
SNAPSHOT_STEPS = 10
RATE_AFTER_ROLLBACK = 0.25
TIMED_STEPS = 4
VALIDATIONS = 20  # in one training

Snapshot = tuple[dict[str, Tensor], dict[str, Any], int]


class Objective(Protocol):
    """What a method hands to the loop: a network and the loss of one step."""

    network: nn.Module

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Differentiable scalar loss of one freshly drawn batch, and what the batch was, in words."""


@runtime_checkable
class ValidatedObjective(Objective, Protocol):
    """An objective that may hold something back to measure the network on."""

    def validation_loss(self) -> float | None:
        """Mean loss on what no batch is drawn from, the network in evaluation mode; None without any."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to train.

    `precision` is "float32" or "bfloat16" (autocast); `schedule` is "cosine" (after `warmup_steps`)
    or "constant".
    """

    steps: int
    learning_rate: float
    seed: int
    device: torch.device
    precision: str = "float32"
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "cosine"
    warmup_steps: int = 20
    gradient_clip: float = 1.0


@dataclass(frozen=True)
class TrainingRecord:
    """What a training did: every step's loss, seconds in this process, roll-backs, validation losses."""

    losses: tuple[float, ...]
    seconds: float
    rollbacks: int
    validation: tuple[tuple[int, float], ...] = ()


def train(
    objective: Objective,
    settings: TrainingSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
) -> TrainingRecord:
    """Train `objective.network` in place for `settings.steps` steps, from the newest checkpoint if any.

    On the CPU the result depends on settings and objective alone: an interrupted and resumed
    training gives the same weights bit for bit. For that also to hold when a roll-back follows, a
    checkpoint is always one of the states that are rolled back to, at most `SNAPSHOT_STEPS` old.

    Raises
    ------
    Interrupted
        If `progress.should_stop()` turned true; a checkpoint is left in `store`.
    TrainingDiverged
        If loss or gradient is not finite again after one roll-back at a lower rate.
    """
    network = objective.network.train()
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=settings.betas)
    state = (store.restore(network, optimizer) if store else None) or TrainingState(0, 1.0, ())
    progress.start("training", settings.steps, done=state.step)
    begun = saved = time.monotonic()
    good = _snapshot(network, optimizer, state.step)
    rollbacks = 0

    def keep_good_state() -> None:
        if store:
            _return_to(good, network, optimizer)
            store.save(network, optimizer, state.back_at(good[2]))

    while state.step < settings.steps:
        if progress.should_stop():
            keep_good_state()
            raise Interrupted
        value, where = _one_step(objective, optimizer, settings, state.step, state.rate_factor)
        if not math.isfinite(value):
            text = f"the loss is not finite at step {state.step + 1}, on {where}"
            if state.rate_factor < 1:
                keep_good_state()
                raise TrainingDiverged(f"{text}, again after a roll-back at a lower rate")
            _return_to(good, network, optimizer)
            state, rollbacks = replace(state.back_at(good[2]), rate_factor=RATE_AFTER_ROLLBACK), rollbacks + 1
            progress.warn(f"{text}: back to step {state.step} at {RATE_AFTER_ROLLBACK:g} times the rate")
            progress.start("training", settings.steps, done=state.step)
            continue
        state = state.after(value, _validated(objective, settings, state.step + 1))
        progress.advance(loss=value)
        if state.step % SNAPSHOT_STEPS and state.step < settings.steps:
            continue
        good = _snapshot(network, optimizer, state.step)
        if store and (state.step == settings.steps or time.monotonic() - saved > CHECKPOINT_SECONDS):
            store.save(network, optimizer, state)
            saved = time.monotonic()
    network.eval()
    return TrainingRecord(state.losses, time.monotonic() - begun, rollbacks, state.validation)


def seconds_per_step(objective: Objective, settings: TrainingSettings) -> float:
    """What a step takes, from timing a few; the network is left as it was."""
    network = objective.network.train()
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=settings.betas)
    _one_step(objective, optimizer, settings, 0, 1.0)
    begun = time.monotonic()
    for step in range(1, TIMED_STEPS + 1):
        _one_step(objective, optimizer, settings, step, 1.0)
    network.load_state_dict(before)
    return (time.monotonic() - begun) / TIMED_STEPS


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Rate at a step (0-based): linear warm-up, then cosine to zero or constant."""
    warmup = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    if settings.schedule == "constant":
        return settings.learning_rate * warmup
    return settings.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


@contextmanager
def autocast(settings: TrainingSettings) -> Iterator[None]:
    """Mixed precision as the settings say."""
    with torch.autocast(settings.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        yield


def _one_step(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    step: int,
    factor: float,
) -> tuple[float, str]:
    """One update; returns the loss (not finite if the gradient is not, and then nothing is updated)."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(settings, step) * factor
    with autocast(settings):
        loss, where = objective.loss(step_generator(settings.seed, step))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(objective.network.parameters(), settings.gradient_clip)
    value = float(loss.detach())
    if not (math.isfinite(value) and math.isfinite(float(norm))):
        return math.nan, where
    optimizer.step()
    return value, where


def _validated(objective: Objective, settings: TrainingSettings, step: int) -> float | None:
    """The validation loss after a step, if it is one of those at which it is measured."""
    due = step == settings.steps or step % max(1, settings.steps // VALIDATIONS) == 0
    if not due or not isinstance(objective, ValidatedObjective):
        return None
    objective.network.eval()
    with torch.no_grad(), autocast(settings):
        value = objective.validation_loss()
    objective.network.train()
    return value


def _return_to(good: Snapshot, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    network.load_state_dict(good[0])
    # An optimizer goes on in the very tensors it loads: without a copy it would spoil the good state.
    optimizer.load_state_dict(copy.deepcopy(good[1]))


def _snapshot(network: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Snapshot:
    return copy.deepcopy(network.state_dict()), copy.deepcopy(optimizer.state_dict()), step
