"""Pure Fourier functions on tensors: grids, wedges, power spectra, coloured noise."""

from vitreous.fourier.grids import frequency_axes, frequency_radius, shell_means
from vitreous.fourier.resample import crop_spectrum, resample
from vitreous.fourier.spectrum import NoiseGenerator, interpolate_spectrum, patch_spectra, symmetrize
from vitreous.fourier.wedge import measured_region

__all__ = [
    "NoiseGenerator",
    "crop_spectrum",
    "frequency_axes",
    "frequency_radius",
    "interpolate_spectrum",
    "measured_region",
    "patch_spectra",
    "resample",
    "shell_means",
    "symmetrize",
]
