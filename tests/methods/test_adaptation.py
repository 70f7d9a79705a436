"""Adaptation: samples, moving averages, and each objective on a tiny case."""

import numpy as np
import pytest
import torch

from vitreous.core import Interrupted
from vitreous.core.progress import SilentProgress
from vitreous.methods.adaptation import (
    AdaptationConfig,
    AdaptationNetworks,
    SubtomogramSamples,
    UnlabelledSubtomograms,
    objective_for,
)
from vitreous.networks import VoxResNet
from vitreous.training import CheckpointStore, train

CPU = torch.device("cpu")
SIDE, CLASSES = 16, 3


def balls(seed, count=6, noise=0.5, sign=-1.0):
    """Dark balls and shells (classes 1 and 2) in noise, with their labels."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((SIDE,) * 3) - (SIDE - 1) / 2
    radius = np.sqrt(z**2 + y**2 + x**2)
    labels = np.zeros((count, SIDE, SIDE, SIDE), np.uint8)
    for i in range(count):
        labels[i][(radius < 5) & ((radius > 2) | (i % 2 == 0))] = 1 + i % 2
    densities = sign * (labels > 0) + noise * rng.standard_normal(labels.shape)
    return densities.astype(np.float32), labels


def tiny(method="source-only", steps=12, **changes):
    torch.manual_seed(0)
    rate = {"learning_rate": 1e-2, "schedule": "constant"}
    config = AdaptationConfig(steps=steps, batch=2, width=4, patch_side=SIDE, **{**rate, **changes})
    source, target = SubtomogramSamples(*balls(0)), UnlabelledSubtomograms(balls(1, noise=1.0)[0])
    network = VoxResNet(CLASSES, width=4, norm=config.norm)
    return objective_for(method, network, source, target, config, CPU), config


def test_samples_are_standardized_and_follow_the_generator():
    densities, labels = balls(0, count=3)
    samples = SubtomogramSamples(7 + 3 * densities, labels)
    values, drawn = samples.draw(8, torch.Generator().manual_seed(3))  # more than there are
    again, _ = samples.draw(8, torch.Generator().manual_seed(3))
    assert torch.equal(values, again)
    assert torch.allclose(values.mean((1, 2, 3, 4)), torch.zeros(8), atol=1e-5)
    assert torch.allclose(values.std((1, 2, 3, 4), correction=0), torch.ones(8), atol=1e-4)
    dark = torch.stack([v[0][mine > 0].mean() for v, mine in zip(values, drawn, strict=True)])
    assert (dark < -1).all()  # labels are mirrored with their volumes


def test_mirrors_leave_a_wedge_about_y_as_it_is():
    """Power where kx is positive and kz negative stays there or at the opposite frequency."""
    side = 8
    k = np.fft.fftfreq(side) * side
    wedge = (k[:, None, None] * k[None, None, :] > 0).astype(float) * np.ones((side,) * 3)
    phases = np.fft.fftn(np.random.default_rng(0).standard_normal((side,) * 3))
    volume = np.fft.ifftn(phases * wedge).real
    values = UnlabelledSubtomograms(volume[None]).draw(20, torch.Generator().manual_seed(0))
    power = torch.fft.fftn(values[:, 0], dim=(-3, -2, -1)).abs()
    odd = torch.from_numpy(np.abs(k) == side / 2)  # the Nyquist frequency is its own opposite
    outside = torch.from_numpy(wedge == 0) & ~(odd[:, None, None] | odd[None, None, :])
    assert float(power[:, outside].max()) < 1e-3
    assert len({v.numpy().tobytes() for v in values}) == 4
    assert float(torch.fft.fftn(values[0, 0].flip(0)).abs()[outside].max()) > 1  # a mirror that is not taken


@pytest.mark.parametrize(
    ("densities", "labels"),
    [
        (np.ones((0, 8, 8, 8)), np.ones((0, 8, 8, 8))),
        (np.ones((2, 8, 8, 8)), np.ones((3, 8, 8, 8))),
        (np.full((2, 8, 8, 8), np.nan), np.ones((2, 8, 8, 8))),
        (np.ones((2, 8, 8, 8)), np.full((2, 8, 8, 8), 0.5)),
        (np.ones((2, 8, 8, 8)), np.full((2, 8, 8, 8), -1)),
    ],
)
def test_samples_refuse_what_they_are_not(densities, labels):
    with pytest.raises(ValueError, match=r"needed|differ|finite|integers"):
        SubtomogramSamples(densities, labels)


def test_a_constant_subtomogram_is_no_nan():
    assert torch.isfinite(UnlabelledSubtomograms(np.ones((1, 8, 8, 8))).values).all()


def test_teachers_follow_with_warm_up():
    """At step n the teacher keeps min(momentum, (1 + n) / (10 + n)) of itself: 0.1, 2/11, then 0.15."""
    student = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(student.weight, 0.0)
    networks = AdaptationNetworks(student, teachers=1)
    torch.nn.init.constant_(student.weight, 1.0)
    expected = 0.0
    for keep in (0.1, 0.15, 0.15):  # 2/11 is above the momentum
        networks.begin_step([0.15])
        expected = keep * expected + (1 - keep)
        assert float(networks.teachers[0].weight.detach()) == pytest.approx(expected, abs=1e-6)
    assert int(networks.done) == 3
    assert not any(p.requires_grad for p in networks.teachers.parameters())


METHODS = ["source-only", "dann", "vox-uda"]


@pytest.mark.parametrize("method", METHODS)
def test_each_objective_learns_a_tiny_case(method):
    objective, config = tiny(method, steps=30)
    record = train(objective, config.training_settings(1, CPU, "float32"), SilentProgress())
    assert np.isfinite(record.losses).all()
    assert not record.rollbacks
    first, last = dict(record.monitored[0][1]), dict(record.monitored[-1][1])
    assert last["segmentation"] < 0.8 * first["segmentation"]
    assert objective.trained(torch.zeros(1, 1, SIDE, SIDE, SIDE)).shape[1] == CLASSES


@pytest.mark.parametrize("method", METHODS)
def test_resuming_gives_the_same_bytes(method, tmp_path):
    class Stop(SilentProgress):
        steps = 0

        def advance(self, steps=1, **values):
            self.steps += steps

        def should_stop(self):
            return self.steps >= 7

    objective, config = tiny(method)
    settings = config.training_settings(1, CPU, "float32")
    train(objective, settings, SilentProgress())
    stopped, _ = tiny(method)
    store = CheckpointStore(tmp_path)
    with pytest.raises(Interrupted):
        train(stopped, settings, Stop(), store)
    resumed, _ = tiny(method)
    train(resumed, settings, SilentProgress(), store)
    for name, tensor in objective.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
