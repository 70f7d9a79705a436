"""Simulate tomograms with complete ground truth, by one specification."""

from vitreous.workflows.simulate.dataset import (
    SimulateOutcome,
    rerender_simulation,
    resume_simulation,
    simulate_files,
)
from vitreous.workflows.simulate.estimate import Estimate, estimate
from vitreous.workflows.simulate.like import spec_and_doubts, spec_like
from vitreous.workflows.simulate.request import Likeness, SimulateRequest
from vitreous.workflows.simulate.spec import SimulationSpec
from vitreous.workflows.simulate.spec_file import is_file, load_spec, preset_names, preset_text, spec_text
from vitreous.workflows.simulate.structures import build_templates
from vitreous.workflows.simulate.tomogram import simulate_tomogram
from vitreous.workflows.simulate.values import SimulatedTomogram

__all__ = [
    "Estimate",
    "Likeness",
    "SimulateOutcome",
    "SimulateRequest",
    "SimulatedTomogram",
    "SimulationSpec",
    "build_templates",
    "estimate",
    "is_file",
    "load_spec",
    "preset_names",
    "preset_text",
    "rerender_simulation",
    "resume_simulation",
    "simulate_files",
    "simulate_tomogram",
    "spec_and_doubts",
    "spec_like",
    "spec_text",
]
