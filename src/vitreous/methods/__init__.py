"""The denoising methods: one folder each, and one mapping from the names users type."""

from vitreous.methods.blindspot import BlindSpot, BlindSpotConfig
from vitreous.methods.classical import Gaussian, Lowpass, Median
from vitreous.methods.method import ClassicalMethod, LearnedConfig, LearnedMethod, PreparedVolume
from vitreous.methods.noise2noise import Noise2Noise, PairConfig
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig

CLASSICAL: dict[str, type[Gaussian] | type[Lowpass] | type[Median]] = {
    "gaussian": Gaussian,
    "lowpass": Lowpass,
    "median": Median,
}
LEARNED: dict[str, tuple[type[NoiseModel] | type[BlindSpot] | type[Noise2Noise], type[LearnedConfig]]] = {
    "noise-model": (NoiseModel, NoiseModelConfig),
    "blindspot": (BlindSpot, BlindSpotConfig),
    "n2n": (Noise2Noise, PairConfig),
}

__all__ = [
    "CLASSICAL",
    "LEARNED",
    "BlindSpot",
    "ClassicalMethod",
    "LearnedConfig",
    "LearnedMethod",
    "Noise2Noise",
    "NoiseModel",
    "PreparedVolume",
]
