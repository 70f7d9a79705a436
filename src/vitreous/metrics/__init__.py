"""Array(s) to a number or a curve."""

from vitreous.metrics.detection import (
    MATCHINGS,
    Matches,
    Matching,
    average_precision,
    detection_scores,
    match_picks,
)
from vitreous.metrics.embedding import principal_components, separability, t_sne
from vitreous.metrics.fidelity import correlation, inside_outside_contrast, psnr, ssim
from vitreous.metrics.fsc import band_correlation, fourier_shell_correlation, fsc_resolution
from vitreous.metrics.overlap import class_overlaps, dice, intersection_over_union, means_of

__all__ = [
    "MATCHINGS",
    "Matches",
    "Matching",
    "average_precision",
    "band_correlation",
    "class_overlaps",
    "correlation",
    "detection_scores",
    "dice",
    "fourier_shell_correlation",
    "fsc_resolution",
    "inside_outside_contrast",
    "intersection_over_union",
    "match_picks",
    "means_of",
    "principal_components",
    "psnr",
    "separability",
    "ssim",
    "t_sne",
]
