"""Noise-model denoising: estimate the noise spectrum, recorrupt, train, average."""

from vitreous.methods.noise_model.dependence import signal_dependence
from vitreous.methods.noise_model.diagnostics import ResidualCheck, check_residual
from vitreous.methods.noise_model.gain import estimate_gain
from vitreous.methods.noise_model.method import NoiseModel, NoiseModelConfig, recorrupted_pair
from vitreous.methods.noise_model.spectrum import NoiseSpectrum, estimate_noise_spectrum

__all__ = [
    "NoiseModel",
    "NoiseModelConfig",
    "NoiseSpectrum",
    "ResidualCheck",
    "check_residual",
    "estimate_gain",
    "estimate_noise_spectrum",
    "recorrupted_pair",
    "signal_dependence",
]
