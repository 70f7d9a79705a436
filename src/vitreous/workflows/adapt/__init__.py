"""Segmentation learned from labelled simulations and adapted to subtomograms without labels."""

from vitreous.workflows.adapt.request import AdaptRequest
from vitreous.workflows.adapt.train import adapt, rerender_adaptation, resume_adaptation

__all__ = ["AdaptRequest", "adapt", "rerender_adaptation", "resume_adaptation"]
