"""DUAL on files: train on two unpaired domains, simulate from grand models, convert between domains."""

from vitreous.workflows.dual.convert import convert_dual, resume_conversion
from vitreous.workflows.dual.request import DualSimulateRequest, DualTrainRequest
from vitreous.workflows.dual.simulate import resume_dual_simulation, simulate_dual
from vitreous.workflows.dual.train import resume_dual, train_dual

__all__ = [
    "DualSimulateRequest",
    "DualTrainRequest",
    "convert_dual",
    "resume_conversion",
    "resume_dual",
    "resume_dual_simulation",
    "simulate_dual",
    "train_dual",
]
