"""Noise that grows with the density: measured, made even, and undone without bias."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization, measure_voxels
from vitreous.inference import tiles_of
from vitreous.methods.method import PreparedVolume
from vitreous.methods.noise_model import (
    NoiseModel,
    NoiseModelConfig,
    estimate_noise_spectrum,
    signal_dependence,
)
from vitreous.methods.noise_model.method import gain_over, levelled
from vitreous.methods.stabilizer import Stabilizer
from vitreous.simulate import crowd, wedge_filtered, white_noise
from vitreous.training import TrainingVolume

SHAPE = (64, 72, 80)
AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
DRAWS = 20_000


@pytest.fixture(scope="module")
def density():
    """Dark particles, from 0 (the densest) to 1 (empty ice)."""
    values = crowd(SHAPE, occupancy=0.15, seed=8).density
    return ((values.max() - values) / np.ptp(values)).astype(np.float32)


def found_in(volume, mask=None):
    normalization = measure_voxels(volume).normalization
    spectrum = estimate_noise_spectrum(volume, normalization, mask)
    return signal_dependence(volume, normalization, spectrum, mask), normalization


@pytest.mark.parametrize("slope", [0.3, -0.3])
def test_noise_is_even_afterwards(slope):
    """Where the variance is at least a third of its mean; below, Gaussian noise reaches beyond the bend."""
    bend, rng = Stabilizer(slope, 0.5), np.random.default_rng(0)
    for x in np.linspace(-2, 2, 9):
        relative = 1 + slope * x
        noisy = x + np.sqrt(0.5 * relative) * rng.normal(size=DRAWS)
        deviation = float(bend.apply(torch.from_numpy(noisy)).std())
        assert deviation == pytest.approx(0.5**0.5, rel=0.12)


@pytest.mark.parametrize("slope", [0.3, -0.3])
def test_the_inverse_takes_off_the_bias_of_the_bend(slope):
    bend, rng = Stabilizer(slope, 0.5), np.random.default_rng(0)
    naive = []
    for x in np.linspace(-2, 2, 9):
        noise = np.sqrt(0.5 * (1 + slope * x)) * rng.normal(size=DRAWS)
        mean = bend.apply(torch.from_numpy(x + noise)).mean()
        assert float(bend.invert(mean[None])) == pytest.approx(x, abs=4 * noise.std() / DRAWS**0.5 + 0.002)
        naive.append(abs(float(mean) - float(bend.apply(torch.tensor(x)))))
    assert max(naive) > 0.05  # control: there is something to take off


def test_the_bend_is_smooth_and_rises_everywhere():
    bend = Stabilizer(-0.4, 0.5)
    x = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    bent = bend.apply(x)
    assert (bent.diff() > 0).all()
    assert bent.diff().diff().abs().max() < 1e-3 * 5  # no step in the slope, which is 4.5 at the most
    assert float(bend.apply(torch.zeros(1))) == pytest.approx(0, abs=1e-6)
    assert float(bend.apply(torch.full((1,), 1e-3))) == pytest.approx(1e-3, rel=1e-3)


def test_counting_noise_is_seen_as_strong_as_it_is(density):
    """Poisson counts, 25 in empty ice. The variance falls to nothing at density 0."""
    rng = np.random.default_rng(0)
    noisy = (rng.poisson(25 * density) / 25).astype(np.float32)
    bend, normalization = found_in(noisy)
    truth = -1 / float(normalization.apply(np.zeros(1, np.float32))[0])
    assert bend.slope == pytest.approx(truth, rel=0.2)
    assert bend.variance * normalization.deviation**2 == pytest.approx(density.mean() / 25, rel=0.1)


def test_noise_that_is_even_is_left_alone(density):
    rng = np.random.default_rng(0)
    for sigma in (0.1, 0.2, 0.5):
        noisy = density + np.float32(sigma) * white_noise(SHAPE, rng)
        assert found_in(noisy)[0] is None


def test_the_mask_is_kept_to(density):
    """Outside it the noise follows a slope of density."""
    rng = np.random.default_rng(0)
    mask = np.zeros(SHAPE, bool)
    mask[:, :, :48] = True  # three patches of 32 voxels lie more than half in it, none of them beyond
    counted = np.where(mask, 0.5, rng.poisson(25 * np.linspace(0.2, 2, SHAPE[1])[:, None], SHAPE) / 25)
    noisy = (counted + mask * 0.2 * white_noise(SHAPE, rng)).astype(np.float32)
    assert found_in(noisy)[0] is not None
    assert found_in(noisy, mask)[0] is None


def test_prepare_asks_only_where_noise_is_white(density):
    rng = np.random.default_rng(0)
    counted = rng.poisson(25 * density).astype(np.float32)
    inside = wedge_filtered(counted, (-60, 60))
    prepared = [
        NoiseModel().prepare(TrainingVolume(v, measure_voxels(v).normalization)) for v in (counted, inside)
    ]
    assert prepared[0].stabilizer is not None
    assert "made even" in prepared[0].summary["noise follows the density"]
    assert prepared[1].stabilizer is None


class Identity(torch.nn.Module):
    stride, receptive_radius = 1, 0

    def forward(self, x):
        return x


def test_training_and_prediction_see_bent_values_and_the_result_is_bent_back():
    bend = Stabilizer(-0.3, 0.04)
    data = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    volume = PreparedVolume(TrainingVolume(data, AS_IS), torch.full((16, 16, 16), 0.04), stabilizer=bend)
    method = NoiseModel(NoiseModelConfig(draws=2, alpha=0.7, patch_side=16))
    (tile,) = tiles_of((16, 16, 16), tile=16, margin=0, stride=1)
    block = torch.from_numpy(data)
    result = method.predictor(Identity(), volume, torch.device("cpu"), 0)(block, tile)
    np.testing.assert_allclose(result.numpy(), bend.invert(bend.apply(block)).numpy(), atol=1e-4)
    objective = method.objective(Identity(), [volume], torch.device("cpu"))
    patch = objective.sampler.draw(torch.Generator().manual_seed(0))
    pair = objective._pair(patch, torch.Generator().manual_seed(1))
    middle = (pair[0] + 0.7**2 * pair[1]) / (1 + 0.7**2)  # the drawn noise cancels
    np.testing.assert_allclose(middle.numpy(), bend.apply(patch.values).numpy(), atol=1e-5)


def test_what_the_bend_makes_even_is_no_gain_too():
    """Counts around 20 on one side and 30 on the other: after both corrections the noise is even, once."""
    rng = np.random.default_rng(0)
    mean = np.full((64, 64, 96), 20.0)
    mean[..., 48:] = 30.0
    counts = rng.poisson(mean).astype(np.float32)
    normalization = measure_voxels(counts).normalization
    prepared = NoiseModel(NoiseModelConfig(binning=1)).prepare(TrainingVolume(counts, normalization))
    assert prepared.stabilizer is not None
    values = torch.from_numpy(normalization.apply(counts))
    gain = gain_over(prepared, (0, 0, 0), values.shape)
    level = levelled(prepared, values, gain)
    left, right = level[..., 4:40].std(), level[..., 56:92].std()
    assert float(left / right) == pytest.approx(1, abs=0.06)  # 0.82 as it was, 1.22 corrected twice
