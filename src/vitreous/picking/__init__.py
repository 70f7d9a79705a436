"""Volume to scored picks."""

from vitreous.picking.dog import DogConfig, blob_diameter, dog_bytes, pick_blobs, sigmas_voxel
from vitreous.picking.labels import LabelConfig, class_diameter, labels_bytes, pick_labels
from vitreous.picking.matched_filter import SearchSpace
from vitreous.picking.peaks import Picked, Picks, merged
from vitreous.picking.template import Matched, TemplateConfig, match_template, template_bytes

__all__ = [
    "DogConfig",
    "LabelConfig",
    "Matched",
    "Picked",
    "Picks",
    "SearchSpace",
    "TemplateConfig",
    "blob_diameter",
    "class_diameter",
    "dog_bytes",
    "labels_bytes",
    "match_template",
    "merged",
    "pick_blobs",
    "pick_labels",
    "sigmas_voxel",
    "template_bytes",
]
