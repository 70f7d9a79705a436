"""One training loop, its checkpoints and its patches; knows no method."""

from vitreous.training.checkpoint import (
    CheckpointStore,
    load_model,
    model_sha256,
    save_model,
)
from vitreous.training.loop import (
    Objective,
    Phase,
    Trainable,
    TrainingRecord,
    TrainingSettings,
    Watch,
    train,
)
from vitreous.training.samples import LabelledSamples, UnlabelledSamples
from vitreous.training.sampling import Patch, PatchSampler, TrainingVolume, step_generator
from vitreous.training.timing import seconds_per_step, steps_within, tell_time

__all__ = [
    "CheckpointStore",
    "LabelledSamples",
    "Objective",
    "Patch",
    "PatchSampler",
    "Phase",
    "Trainable",
    "TrainingRecord",
    "TrainingSettings",
    "TrainingVolume",
    "UnlabelledSamples",
    "Watch",
    "load_model",
    "model_sha256",
    "save_model",
    "seconds_per_step",
    "step_generator",
    "steps_within",
    "tell_time",
    "train",
]
