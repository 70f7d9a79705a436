"""Warm start: the shipped weights fit, are used where they fit, and have learned to denoise."""

from importlib import resources

import numpy as np
import pytest
import torch

from vitreous.methods.method import PreparedVolume
from vitreous.methods.noise2noise import PairConfig
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig
from vitreous.methods.warm_start import shipped_weights
from vitreous.simulate import crowd, wedge_filtered, white_noise
from vitreous.training import TrainingVolume


def joined(weights):
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


def weights_of(network):
    return joined(network.state_dict())


def test_the_file_is_small_and_whole():
    file = resources.files("vitreous.methods") / "weights" / "unet.safetensors"
    assert len(file.read_bytes()) < 1_000_000
    assert all(torch.isfinite(t).all() for t in shipped_weights().values())


@pytest.mark.parametrize("config", [NoiseModelConfig(), PairConfig()])
def test_the_default_network_begins_with_the_shipped_weights_whatever_the_seed(config):
    first, second = (weights_of(config.build_unet(seed)) for seed in (0, 1))
    assert torch.equal(first, second)
    assert torch.equal(first, joined(shipped_weights()))


@pytest.mark.parametrize("asked", [{"warm_start": False}, {"width": 8}, {"levels": 1}])
def test_any_other_network_begins_at_random(asked):
    config = NoiseModelConfig(**asked)
    first, again, other = (weights_of(config.build_unet(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_one_network_leaves_the_shipped_weights_alone():
    network = NoiseModelConfig().build_unet(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert torch.equal(weights_of(NoiseModelConfig().build_unet(0)) + 1, weights_of(network))


@pytest.mark.parametrize("contrast", [1, -1])
def test_it_denoises_what_it_has_never_seen(contrast):
    """Noise in the wedge, 1.5 times the signal. Measured: a ninth of its power is left."""
    shape = (48, 64, 64)
    signal = contrast * wedge_filtered(crowd(shape, occupancy=0.15, seed=8).density, (-60, 60))
    noise = wedge_filtered(white_noise(shape, np.random.default_rng(3)), (-60, 60))
    signal, noise = signal / signal.std(), 1.5 * noise / noise.std()
    scale = np.float32((1 + 1.5**2) ** -0.5)
    with torch.no_grad():
        result = NoiseModelConfig().build_unet(0)(torch.from_numpy(scale * (signal + noise))[None, None])
    error = result[0, 0].numpy() - scale * signal
    assert (error**2).mean() < 0.2 * (scale * noise).var()


def test_a_very_noisy_volume_asks_for_a_narrow_network_only_without_it():
    volume = of_side(40, noise_share=0.99)
    warm = NoiseModel().adapted([volume]).config
    cold = NoiseModel(NoiseModelConfig(warm_start=False)).adapted([volume]).config
    assert (warm.width, cold.width) == (16, 4)
    assert cold.steps < 900


def of_side(side, noise_share=0.5):
    return PreparedVolume(TrainingVolume(np.zeros((side,) * 3, np.float32), None), noise_share=noise_share)


def test_with_it_small_volumes_are_trained_on_briefly_unless_steps_are_given():
    steps = [NoiseModel().adapted([of_side(side)]).config.steps for side in (15, 60, 130)]
    assert steps == [38, 300, 900]
    for asked in ({"warm_start": False}, {"steps": 900}, {"width": 8}):
        assert NoiseModel(NoiseModelConfig(**asked)).adapted([of_side(60)]).config.steps == 900
