"""N2V, SC-Net and NMSG: what they hide, and that each denoises white noise, its own ground."""

import numpy as np
import pytest
import torch

from vitreous.core import SilentProgress, measure_voxels
from vitreous.inference import predict_tiled
from vitreous.methods.n2v import Noise2Void, Noise2VoidConfig
from vitreous.methods.nmsg import Nmsg, NmsgConfig
from vitreous.methods.sc_net import ScNet, ScNetConfig
from vitreous.methods.sc_net.method import random_spots
from vitreous.metrics import psnr
from vitreous.simulate import crowd
from vitreous.training import TrainingVolume, train

CPU = torch.device("cpu")


def values(seed=0, shape=(24, 24, 24)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


METHODS = {
    "n2v": Noise2Void(),
    "n2v, means": Noise2Void(Noise2VoidConfig(replacement="mean", radius=1)),
    "sc-net": ScNet(),
    "sc-net, cubes": ScNet(ScNetConfig(spot_side=3)),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_share_of_hidden_voxels_is_the_configurations(name):
    """Within 4.5 standard errors of a binomial number of cubes over 20 patches."""
    method = METHODS[name]
    expected = getattr(method.config, "masked_share", None) or method.config.hidden_share
    shares = [float(method.hide(values(), generator(s))[1].float().mean()) for s in range(20)]
    cubes = 20 * 24**3 / getattr(method.config, "spot_side", 1) ** 3
    assert abs(np.mean(shares) - expected) < 4.5 * np.sqrt(expected * (1 - expected) / cubes)


@pytest.mark.parametrize("name", METHODS)
def test_no_hidden_value_is_shown_and_every_other_is(name):
    v = values()
    shown, hidden = METHODS[name].hide(v, generator())
    assert not torch.isin(shown, v[hidden]).any()
    assert torch.equal(shown[~hidden], v[~hidden])
    again, same = METHODS[name].hide(v, generator())
    assert torch.equal(again, shown)
    assert torch.equal(same, hidden)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_spots_are_cubes_on_a_grid_of_random_origin(side):
    """Every face between a hidden and a visible voxel lies on planes that are `side` apart."""
    origins = set()
    for seed in range(30):
        spots = random_spots((12, 13, 14), side, 0.3, generator(seed))
        faces = [(spots.diff(dim=axis) != 0).nonzero()[:, axis].unique() + 1 for axis in range(3)]
        assert all(len((f % side).unique()) == 1 for f in faces)
        origins.add(tuple(int(f[0]) % side for f in faces))
    assert len(origins) == 1 if side == 1 else len(origins) > side


def test_the_sparsity_term_is_the_weighted_mean_absolute_gradient():
    prediction = values(3, (2, 1, 6, 7, 8)).double()
    inside = torch.ones_like(prediction)
    inside[0, :, :, :, 5:] = 0
    expected = 0.0
    for axis in (2, 3, 4):
        n = prediction.shape[axis]
        kept = inside.numpy().take(range(1, n), axis) * inside.numpy().take(range(n - 1), axis) > 0
        expected += np.abs(np.diff(prediction.numpy(), axis=axis))[kept].mean()
    term = ScNet(ScNetConfig(sparsity=0.3)).penalty(prediction, inside)
    assert float(term) == pytest.approx(0.3 * expected, rel=1e-9)
    assert float(ScNet(ScNetConfig(sparsity=0)).penalty(prediction, inside)) == 0


def white_case(side=40):
    """A crowded box with white noise of a fifth of its range, and that range."""
    structures = ("rubisco", "hsp90", "apoferritin")
    clean = crowd((side,) * 3, occupancy=0.1, seed=0, structures=structures, sheets=1).density
    noise = np.random.default_rng(0).normal(size=clean.shape)
    return clean, (clean + 0.2 * np.ptp(clean) * noise).astype(np.float32), float(np.ptp(clean))


def improvement(method, seed=0):
    """PSNR that training on a white-noise case of 40³ voxels gains, in dB."""
    clean, noisy, data_range = white_case()
    prepared = method.prepare(TrainingVolume(noisy, measure_voxels(noisy).normalization))
    network = method.build_network(seed)
    objective = method.objective(network, [prepared], CPU)
    train(objective, method.config.training_settings(seed, CPU, "float32"), SilentProgress())
    denoised = predict_tiled(
        method.predictor(network, prepared, CPU, seed),
        noisy,
        prepared.volume.normalization,
        tile=40,
        margin=network.receptive_radius,
        stride=network.stride,
        progress=SilentProgress(),
    )
    before, after = (psnr(v, clean, data_range=data_range) for v in (noisy, denoised))
    return after - before


SMALL = {"steps": 60, "patch_side": 24, "batch": 1, "width": 4, "levels": 1, "learning_rate": 5e-3}


@pytest.mark.parametrize(
    ("method", "decibels"),
    [
        (Noise2Void(Noise2VoidConfig(**SMALL)), 6.0),
        (ScNet(ScNetConfig(**SMALL)), 6.0),
        (Nmsg(NmsgConfig(**{**SMALL, "steps": 100}, draws=4)), 3.0),
    ],
    ids=["n2v", "sc-net", "nmsg"],
)
def test_it_denoises_white_noise(method, decibels):
    """In seconds: 60 steps, or 100 where the noise is learned first; a copy of the input gains nothing."""
    assert improvement(method) > decibels
