"""Segment tomograms and sets of subtomograms on disk with a trained model."""

from vitreous.workflows.segment.files import rerender_segmentation, resume_segmentation, segment, segment_file
from vitreous.workflows.segment.request import SegmentRequest

__all__ = ["SegmentRequest", "rerender_segmentation", "resume_segmentation", "segment", "segment_file"]
