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
from vitreous.metrics.fsc import (
    MaskedFsc,
    band_correlation,
    fourier_shell_correlation,
    fsc_resolution,
    masked_fsc,
    phase_randomized,
)
from vitreous.metrics.layer import Layer, measure_layer
from vitreous.metrics.outliers import Outliers, find_outliers
from vitreous.metrics.overlap import class_overlaps, dice, intersection_over_union, means_of
from vitreous.metrics.polarity import Polarity, measure_polarity
from vitreous.metrics.realism import (
    autocorrelation,
    autocorrelation_distance,
    histogram_distance,
    spectrum_distance,
)

__all__ = [
    "MATCHINGS",
    "Layer",
    "MaskedFsc",
    "Matches",
    "Matching",
    "Outliers",
    "Polarity",
    "autocorrelation",
    "autocorrelation_distance",
    "average_precision",
    "band_correlation",
    "class_overlaps",
    "correlation",
    "detection_scores",
    "dice",
    "find_outliers",
    "fourier_shell_correlation",
    "fsc_resolution",
    "histogram_distance",
    "inside_outside_contrast",
    "intersection_over_union",
    "masked_fsc",
    "match_picks",
    "means_of",
    "measure_layer",
    "measure_polarity",
    "phase_randomized",
    "principal_components",
    "psnr",
    "separability",
    "spectrum_distance",
    "ssim",
    "t_sne",
]
