"""A volume to class probabilities and labels, by a trained network."""

from vitreous.segmentation.model import (
    POLARITIES,
    ModelDescription,
    SegmentationModel,
    build_network,
    load_segmentation_model,
    save_segmentation_model,
)
from vitreous.segmentation.predict import (
    labels_of,
    segment_boxes,
    segment_slabs,
    segment_volume,
    standardized_box,
)
from vitreous.segmentation.shifted_samples import ShiftedLabelled, ShiftedUnlabelled
from vitreous.segmentation.zoomed_samples import ZoomedLabelled

__all__ = [
    "POLARITIES",
    "ModelDescription",
    "SegmentationModel",
    "ShiftedLabelled",
    "ShiftedUnlabelled",
    "ZoomedLabelled",
    "build_network",
    "labels_of",
    "load_segmentation_model",
    "save_segmentation_model",
    "segment_boxes",
    "segment_slabs",
    "segment_volume",
    "standardized_box",
]
