"""Array(s) to a number or a curve."""

from vitreous.metrics.fidelity import correlation, inside_outside_contrast, psnr, ssim
from vitreous.metrics.fsc import band_correlation, fourier_shell_correlation, fsc_resolution

__all__ = [
    "band_correlation",
    "correlation",
    "fourier_shell_correlation",
    "fsc_resolution",
    "inside_outside_contrast",
    "psnr",
    "ssim",
]
