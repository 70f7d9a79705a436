"""Array(s) to a number or a curve."""

from vitreous.metrics.detection import (
    MATCHINGS,
    Matches,
    Matching,
    average_precision,
    detection_scores,
    match_picks,
)
from vitreous.metrics.fidelity import correlation, inside_outside_contrast, psnr, ssim
from vitreous.metrics.fsc import (
    MaskedFsc,
    band_correlation,
    fourier_shell_correlation,
    fsc_resolution,
    masked_fsc,
)

__all__ = [
    "MATCHINGS",
    "MaskedFsc",
    "Matches",
    "Matching",
    "average_precision",
    "band_correlation",
    "correlation",
    "detection_scores",
    "fourier_shell_correlation",
    "fsc_resolution",
    "inside_outside_contrast",
    "masked_fsc",
    "match_picks",
    "psnr",
    "ssim",
]
