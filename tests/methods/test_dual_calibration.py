"""How far DUAL's denoiser is trusted at each frequency."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization, SilentProgress
from vitreous.methods import Dual, DualConfig, PreparedVolume
from vitreous.methods.dual.calibration import ShellWeights, told_by_simulation, weighted
from vitreous.methods.dual.networks import DualNetworks
from vitreous.training import TrainingVolume

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
TINY = {"width": 2, "judge_width": 2, "levels": 1, "patch_side": 16}
CPU = torch.device("cpu")


def white(seed, shape=(16, 16, 16)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def clean(seed=0, side=40):
    return TrainingVolume(white(seed, (side,) * 3).numpy(), AS_IS, voxel_spacing_angstrom=10.0)


def test_weights_are_those_of_least_squares():
    """With independent errors of variances p and q, a and b are q and p over p + q + pq."""
    sums, p, q = ShellWeights(16), 0.5, 2.0
    for n in range(40):
        v = white(n)
        sums.add(v, v + p**0.5 * white(100 + n), v + q**0.5 * white(200 + n))
    weights = sums.solved()
    expected = torch.tensor([q, p]) / (p + q + p * q)
    outer = weights[4:9].mean(0)  # thousands of coefficients: their errors are below 0.01
    torch.testing.assert_close(outer, expected, atol=0.03, rtol=0)
    assert torch.equal(weights[0], weights[1])


def test_an_invented_result_is_not_trusted():
    sums = ShellWeights(16)
    for n in range(20):
        v = white(n)
        sums.add(v, 3 * white(300 + n), v + white(400 + n))
    weights = sums.solved()[2:]
    assert weights[:, 0].abs().max() < 0.1
    assert weights[:, 1].mean() == pytest.approx(0.5, abs=0.05)


def test_weighting_a_block():
    denoised, tomogram = white(0), white(1)
    weights = DualNetworks(DualConfig(**TINY)).trust
    torch.testing.assert_close(weighted(denoised, tomogram, weights), denoised, atol=1e-5, rtol=1e-4)
    other = weights.flip(-1)
    torch.testing.assert_close(weighted(denoised, tomogram, other), tomogram, atol=1e-5, rtol=1e-4)


def test_simulated_tomograms_tell_that_an_idle_denoiser_gives_nothing():
    network = DualNetworks(DualConfig(**TINY)).eval()
    with torch.no_grad():
        network.denoiser.head.weight.zero_()
        network.denoiser.head.bias.zero_()
    weights = told_by_simulation(network, [clean()], CPU, 0, SilentProgress())
    assert weights.shape == network.trust.shape
    assert weights[:, 0].abs().max() < 1e-6
    assert weights[2:6, 1].min() > 0.1  # a tomogram tells something of its density
    again = told_by_simulation(network, [clean()], CPU, 0, SilentProgress())
    assert torch.equal(weights, again)


def test_the_network_keeps_what_was_found_and_prediction_uses_it():
    method = Dual(
        DualConfig(**TINY, voxel_spacing_angstrom=10.0), clean=[clean(1, 12)]
    )  # smaller than a block
    network = method.build_network(0)
    volume = PreparedVolume(clean(2), torch.full((16, 16, 16), 0.9), 0.9)
    block, before = white(5), network.trust.clone()
    plain = method.predictor(network, volume, CPU, 0)(block, None)
    method.finish(network, [volume], CPU, 0, SilentProgress())
    assert not torch.equal(network.trust, before)
    assert "trust" in network.state_dict()
    found = method.predictor(network, volume, CPU, 0)(block, None)
    torch.testing.assert_close(found, weighted(plain, block, network.trust), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, plain)
