"""The one training loop: steps, schedule, finiteness, checkpoints, interruption."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
VALIDATIONS = 20  # in one training
LONGEST_UNCHECKED = 50  # steps between two looks at an objective that is monitored

Snapshot = tuple[dict[str, Tensor], dict[str, Any], int]


class Objective(Protocol):
    """What a method hands to the loop: a network and the loss of one step."""

    network: nn.Module

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Differentiable scalar loss of one freshly drawn batch, and what the batch was, in words."""


@dataclass(frozen=True, eq=False)
class Phase:
    """One of several updates in a step: a scalar loss, the parameters that follow it, and on what batch."""

    loss: Tensor
    parameters: Sequence[nn.Parameter]
    where: str


@runtime_checkable
class PhasedObjective(Protocol):
    """An objective whose step has several updates, such as generators and discriminators in turn."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    def phases(self, generator: torch.Generator) -> Iterator[Phase]:
        """The updates of one step, each made before the next is asked for; the first has the step's loss."""


Trainable = Objective | PhasedObjective


@runtime_checkable
class MonitoredObjective(Protocol):
    """An objective that can go wrong while its loss stays finite."""

    def monitored(self, generator: torch.Generator) -> tuple[Mapping[str, float], str]:
        """Figures of the state it is in, and what is wrong in words, empty if nothing; no side effects."""


@runtime_checkable
class ValidatedObjective(Objective, Protocol):
    """An objective that may hold something back to measure the network on."""

    def validation_loss(self) -> float | None:
        """Mean loss on what no batch is drawn from, the network in evaluation mode; None without any."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to train.

    `precision` is "float32" or "bfloat16" (autocast); `schedule` is "cosine" (after `warmup_steps`),
    "constant", or "steps": a tenth of the rate after each third. With a `weight_decay` the optimizer is
    AdamW, else Adam.
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
    weight_decay: float = 0.0


@dataclass(frozen=True)
class TrainingRecord:
    """What a training did: every step's loss, seconds in this process, roll-backs, validation losses.

    `monitored` has the figures of a `MonitoredObjective` after the steps at which they were taken;
    `warnings` is what went wrong in this process, one sentence each.
    """

    losses: tuple[float, ...]
    seconds: float
    rollbacks: int
    validation: tuple[tuple[int, float], ...] = ()
    monitored: tuple[tuple[int, Mapping[str, float]], ...] = ()
    warnings: tuple[str, ...] = ()


Watch = Callable[[TrainingRecord], None]


def train(
    objective: Trainable,
    settings: TrainingSettings,
    progress: Progress,
    store: CheckpointStore | None = None,
    watch: Watch | None = None,
) -> TrainingRecord:
    """Train `objective.network` in place for `settings.steps` steps, from the newest checkpoint if any.

    On the CPU the result depends on settings and objective alone: an interrupted and resumed
    training gives the same weights bit for bit. For that also to hold when a roll-back follows, a
    checkpoint is always one of the states that are rolled back to, at most `SNAPSHOT_STEPS` old, or as
    old as the last look at an objective that is monitored. That is rolled back, too, when something is
    wrong with it that once was right; what never was is warned of at the end. `watch` is told what was
    done so far whenever such an objective was looked at, the network in evaluation mode.

    Raises
    ------
    Interrupted
        If `progress.should_stop()` turned true; a checkpoint is left in `store`.
    TrainingDiverged
        If loss or gradient is not finite, or something else is wrong, again after one roll-back at a
        lower rate.
    """
    network = objective.network.train()
    optimizer = new_optimizer(network, settings)
    period = snapshot_steps(objective, settings)
    state = (store.restore(network, optimizer) if store else None) or TrainingState(0, 1.0, ())
    progress.start("training", settings.steps, done=state.step)
    begun = saved = time.monotonic()
    good = _snapshot(network, optimizer, state.step)
    warnings: list[str] = []
    rollbacks = 0

    def warn(text: str) -> None:
        warnings.append(text)
        progress.warn(text)

    def so_far() -> TrainingRecord:
        seconds = time.monotonic() - begun
        return TrainingRecord(
            state.losses, seconds, rollbacks, state.validation, state.monitored, tuple(warnings)
        )

    def keep_good_state() -> None:
        if store:
            _return_to(good, network, optimizer)
            store.save(network, optimizer, state.back_at(good[2]))

    while state.step < settings.steps:
        if progress.should_stop():
            keep_good_state()
            raise Interrupted
        value, text = one_step(objective, optimizer, settings, state.step, state.rate_factor)
        figures: Mapping[str, float] | None = None
        if not text:
            figures, wrong = _looked_at(objective, settings, state.step + 1, period)
            text = wrong if any(seen["healthy"] for _, seen in state.monitored) else ""
        if text:
            if state.rate_factor < 1:
                keep_good_state()
                raise TrainingDiverged(f"{text}, again after a roll-back at a lower rate")
            _return_to(good, network, optimizer)
            state, rollbacks = replace(state.back_at(good[2]), rate_factor=RATE_AFTER_ROLLBACK), rollbacks + 1
            warn(f"{text}: back to step {state.step} at {RATE_AFTER_ROLLBACK:g} times the rate")
            progress.start("training", settings.steps, done=state.step)
            continue
        state = state.after(value, _validated(objective, settings, state.step + 1), figures)
        progress.advance(loss=value)
        if watch is not None and figures is not None:
            network.eval()
            watch(so_far())
            network.train()
        if state.step % period and state.step < settings.steps:
            continue
        good = _snapshot(network, optimizer, state.step)
        if store and (state.step == settings.steps or time.monotonic() - saved > CHECKPOINT_SECONDS):
            store.save(network, optimizer, state)
            saved = time.monotonic()
    network.eval()
    if state.monitored and not state.monitored[-1][1]["healthy"]:
        warn("the training ended with something wrong: see the figures in its record")
    return so_far()


def new_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer of a training, nothing learned yet."""
    rate, betas, decay = settings.learning_rate, settings.betas, settings.weight_decay
    if decay:
        return torch.optim.AdamW(network.parameters(), rate, betas=betas, weight_decay=decay)
    return torch.optim.Adam(network.parameters(), rate, betas=betas)


def snapshot_steps(objective: Trainable, settings: TrainingSettings) -> int:
    """How many steps apart the states lie that a training can be rolled back to."""
    if not isinstance(objective, MonitoredObjective):
        return SNAPSHOT_STEPS
    return max(1, min(LONGEST_UNCHECKED, settings.steps // VALIDATIONS))


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Rate at a step (0-based): linear warm-up, then cosine to zero, constant or in three steps."""
    warmup = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    if settings.schedule == "constant":
        return settings.learning_rate * warmup
    if settings.schedule == "steps":
        return settings.learning_rate * warmup * 0.1 ** (3 * step // settings.steps)
    return settings.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


@contextmanager
def autocast(settings: TrainingSettings) -> Iterator[None]:
    """Mixed precision as the settings say."""
    with torch.autocast(settings.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        yield


def one_step(
    objective: Trainable,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    step: int,
    factor: float,
) -> tuple[float, str]:
    """One update, or one of each phase; returns the loss and what is wrong with it, "" if nothing.

    Nothing is updated by a loss, or a gradient, that is not finite.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(settings, step) * factor
    phases = _phases(objective, step_generator(settings.seed, step))
    values: list[float] = []
    while True:
        with autocast(settings):
            phase = next(phases, None)
        if phase is None:
            return values[0], ""
        optimizer.zero_grad()  # to None: the optimizer passes over what is in no phase's gradient
        torch.autograd.backward(phase.loss, inputs=list(phase.parameters))
        norm = torch.nn.utils.clip_grad_norm_(phase.parameters, settings.gradient_clip)
        values.append(float(phase.loss.detach()))
        if not (math.isfinite(values[-1]) and math.isfinite(float(norm))):
            return math.nan, f"the loss is not finite at step {step + 1}, on {phase.where}"
        optimizer.step()


def _phases(objective: Trainable, generator: torch.Generator) -> Iterator[Phase]:
    """The updates of a step; a plain objective has one, of all parameters."""
    if isinstance(objective, PhasedObjective):
        yield from objective.phases(generator)
        return
    loss, where = objective.loss(generator)
    yield Phase(loss, list(objective.network.parameters()), where)


def _looked_at(
    objective: Trainable, settings: TrainingSettings, step: int, period: int
) -> tuple[Mapping[str, float] | None, str]:
    """Figures of a monitored objective and what is wrong with it, if it is to be looked at after a step."""
    due = step == settings.steps or step % period == 0
    if not due or not isinstance(objective, MonitoredObjective):
        return None, ""
    objective.network.eval()
    with torch.no_grad(), autocast(settings):
        figures, wrong = objective.monitored(step_generator(settings.seed, -step % 2**32))
    objective.network.train()
    return {**figures, "healthy": float(not wrong)}, f"{wrong} at step {step}" if wrong else ""


def _validated(objective: Trainable, settings: TrainingSettings, step: int) -> float | None:
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
