"""Denoise volumes in memory: choose a method, train it on the volume itself, apply it."""

from vitreous.workflows.denoise.config import as_toml, config_text, is_preset
from vitreous.workflows.denoise.model import fit, model_description, predict, prepared_model, untrained
from vitreous.workflows.denoise.plan import (
    METHODS,
    SMALLEST_SIDE,
    plan_denoising,
    plan_memory,
    standardized,
)
from vitreous.workflows.denoise.values import (
    OPTICS_OPTIONS,
    Denoised,
    DenoiseSettings,
    Plan,
    Source,
    TrainedModel,
)
from vitreous.workflows.denoise.volumes import carry_out, denoise, denoise_source

__all__ = [
    "METHODS",
    "OPTICS_OPTIONS",
    "SMALLEST_SIDE",
    "DenoiseSettings",
    "Denoised",
    "Plan",
    "Source",
    "TrainedModel",
    "as_toml",
    "carry_out",
    "config_text",
    "denoise",
    "denoise_source",
    "fit",
    "is_preset",
    "model_description",
    "plan_denoising",
    "plan_memory",
    "predict",
    "prepared_model",
    "standardized",
    "untrained",
]
