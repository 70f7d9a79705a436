"""Training from one noisy volume to another of the same specimen."""

from vitreous.methods.noise2noise.method import Noise2Noise, PairConfig, PairObjective, pair_noise_spectrum

__all__ = ["Noise2Noise", "PairConfig", "PairObjective", "pair_noise_spectrum"]
