"""Sets of subtomograms: simulated with labels, or opened and loaded whatever their origin."""

from vitreous.workflows.subtomograms.dataset import (
    resume_subtomograms,
    simulate_subtomograms,
    write_subtomograms,
)
from vitreous.workflows.subtomograms.loading import FITS, Fit, Grid, LoadedBoxes, load_boxes
from vitreous.workflows.subtomograms.opening import BoxSource, open_boxes
from vitreous.workflows.subtomograms.request import SubtomogramRequest, expanded

__all__ = [
    "FITS",
    "BoxSource",
    "Fit",
    "Grid",
    "LoadedBoxes",
    "SubtomogramRequest",
    "expanded",
    "load_boxes",
    "open_boxes",
    "resume_subtomograms",
    "simulate_subtomograms",
    "write_subtomograms",
]
