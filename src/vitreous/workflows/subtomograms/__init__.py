"""Simulate sets of labelled subtomograms, in memory or as files."""

from vitreous.workflows.subtomograms.dataset import (
    resume_subtomograms,
    simulate_subtomograms,
    write_subtomograms,
)
from vitreous.workflows.subtomograms.request import SubtomogramRequest, expanded

__all__ = [
    "SubtomogramRequest",
    "expanded",
    "resume_subtomograms",
    "simulate_subtomograms",
    "write_subtomograms",
]
