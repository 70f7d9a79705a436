"""Pure Fourier functions on tensors: grids, wedges, CTF, dose, power spectra, coloured noise."""

from vitreous.fourier.amplitude import with_amplitude_of
from vitreous.fourier.ctf import Optics, contrast_transfer, volume_contrast_transfer
from vitreous.fourier.dose import critical_exposure, exposure_damping
from vitreous.fourier.grids import frequency_axes, frequency_radius, shell_means
from vitreous.fourier.insertion import insert_slices
from vitreous.fourier.resample import crop_spectrum, resample
from vitreous.fourier.spectrum import NoiseGenerator, interpolate_spectrum, patch_spectra, symmetrize
from vitreous.fourier.wedge import estimated_tilt_range, measured_region, measured_weight

__all__ = [
    "NoiseGenerator",
    "Optics",
    "contrast_transfer",
    "critical_exposure",
    "crop_spectrum",
    "estimated_tilt_range",
    "exposure_damping",
    "frequency_axes",
    "frequency_radius",
    "insert_slices",
    "interpolate_spectrum",
    "measured_region",
    "measured_weight",
    "patch_spectra",
    "resample",
    "shell_means",
    "symmetrize",
    "volume_contrast_transfer",
    "with_amplitude_of",
]
