"""How long a training will take, and how many steps a time budget allows."""

from __future__ import annotations

import copy
import time

from vitreous.core import Progress
from vitreous.training.checkpoint import CheckpointStore
from vitreous.training.loop import Trainable, TrainingSettings, new_optimizer, one_step

TIMED_STEPS = 4
WORTH_TIMING = 100  # steps; a shorter training is over before its time has been estimated


def seconds_per_step(objective: Trainable, settings: TrainingSettings) -> float:
    """What a step takes, from timing a few; the network is left as it was."""
    network = objective.network.train()
    before = copy.deepcopy(network.state_dict())
    optimizer = new_optimizer(network, settings)
    one_step(objective, optimizer, settings, 0, 1.0)
    begun = time.monotonic()
    for step in range(1, TIMED_STEPS + 1):
        one_step(objective, optimizer, settings, step, 1.0)
    network.load_state_dict(before)
    return (time.monotonic() - begun) / TIMED_STEPS


def steps_within(
    budget_seconds: float,
    objective: Trainable,
    settings: TrainingSettings,
    store: CheckpointStore | None = None,
    *,
    fewest: int = 1,
) -> int:
    """How many steps a time budget allows, at least `fewest`.

    A resumed training finds the number in `store` again: seed and steps, not the clock, decide about the
    result.
    """
    steps = store.kept_steps() if store else None
    if steps is None:
        steps = max(fewest, int(budget_seconds / seconds_per_step(objective, settings)))
        if store:
            store.keep_steps(steps)
    return steps


def tell_time(objective: Trainable, settings: TrainingSettings, progress: Progress) -> None:
    """Say what a training will take, if it is worth saying."""
    if settings.steps >= WORTH_TIMING:
        minutes = settings.steps * seconds_per_step(objective, settings) / 60
        progress.note(f"{settings.steps} training steps, about {minutes:.1f} min in all")
