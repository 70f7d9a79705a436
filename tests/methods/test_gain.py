"""Noise whose strength varies over the volume: measured, levelled, and put back."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization, measure_voxels
from vitreous.inference import tiles_of
from vitreous.methods.gain import GainMap
from vitreous.methods.method import PreparedVolume
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig, estimate_gain, estimate_noise_spectrum
from vitreous.simulate import crowd, wedge_filtered, white_noise
from vitreous.training import TrainingVolume

SHAPE = (64, 96, 96)
AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)


@pytest.fixture(scope="module")
def parts():
    """Signal and noise in the wedge, both of deviation 1."""
    signal = wedge_filtered(crowd(SHAPE, occupancy=0.15, seed=8).density, (-60, 60))
    noise = wedge_filtered(white_noise(SHAPE, np.random.default_rng(3)), (-60, 60))
    return signal / signal.std(), noise / noise.std()


def estimated(volume, mask=None):
    normalization = measure_voxels(volume).normalization
    spectrum = estimate_noise_spectrum(volume, normalization)
    return estimate_gain(volume, normalization, spectrum, mask)


def along_x(low, high):
    return np.broadcast_to(np.linspace(low, high, SHAPE[2], dtype=np.float32), SHAPE)


def test_a_slope_of_the_noise_is_found(parts):
    """Measured: 3 % off, root mean square over all voxels, up to the borders; 0.6 to 1.4 there."""
    signal, noise = parts
    truth = along_x(0.6, 1.4)
    gain = estimated(signal + truth * noise)
    found = gain.over((0, 0, 0), SHAPE).numpy()
    assert np.log(found * np.sqrt((truth**2).mean()) / truth).std() < 0.05
    assert (found**2).mean() == pytest.approx(1, rel=0.03)  # the spectrum is that of the mean


def test_structure_is_not_taken_for_noise(parts):
    """A membrane or a crowd in one half of the volume: the noise is the same in both."""
    signal, noise = parts
    half = np.where(np.arange(SHAPE[2]) < SHAPE[2] // 2, 0.0, 1.5).astype(np.float32)
    assert estimated(noise) is None
    assert estimated(half * signal + noise) is None


def test_gold_does_not_look_like_noise(parts):
    signal, noise = parts
    volume = signal + noise
    volume[30:36, 40:46, 50:56] -= 60
    assert estimated(volume) is None


def test_outside_the_mask_nothing_counts(parts):
    signal, noise = parts
    mask = np.zeros(SHAPE, bool)
    mask[:, :, :48] = True
    volume = signal + np.where(mask, 1, 3).astype(np.float32) * noise
    assert estimated(volume).spread > 0.3
    assert estimated(volume, mask) is None
    assert estimated(volume, np.zeros(SHAPE, bool)) is None


def test_padding_does_not_blow_up(parts):
    volume = sum(parts)
    volume[:, :, :40] = volume.mean()
    gain = estimated(volume)
    assert np.isfinite(gain.values).all()
    assert gain.values.min() > 0.1


@pytest.mark.parametrize("shape", [(6, 40, 200), (33, 33, 65), (20, 18, 70)])
def test_thin_and_odd_volumes(shape):
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    gain = estimated(noise * np.linspace(1, 3, shape[2], dtype=np.float32))
    found = gain.over((0, 0, 0), shape)
    assert found.shape == shape
    assert 1.7 < float(found[..., -8:].mean() / found[..., :8].mean()) < 3.5


def test_blocks_beyond_the_volume_are_reflected():
    nodes = np.array([0.0, 7.0], np.float32)
    gain = GainMap(np.arange(1.0, 9.0, dtype=np.float32).reshape(2, 2, 2), (nodes,) * 3, (8, 8, 8))
    whole = gain.over((0, 0, 0), (8, 8, 8)).numpy()
    assert whole[0, 0, 7] == pytest.approx(2)
    assert whole[0, 7, 0] == pytest.approx(3)
    assert whole[7, 0, 0] == pytest.approx(5)
    around = gain.over((-3, 2, 0), (14, 6, 8)).numpy()
    np.testing.assert_allclose(around, np.pad(whole, ((3, 3), (0, 0), (0, 0)), mode="reflect")[:, 2:])
    coarse = gain.binned(2, (4, 4, 4)).over((0, 0, 0), (4, 4, 4)).numpy()
    np.testing.assert_allclose(coarse, whole[::2, ::2, ::2], rtol=1e-6)


class Identity(torch.nn.Module):
    stride, receptive_radius = 1, 0

    def forward(self, x):
        return x


def test_the_network_sees_level_noise_and_the_result_has_its_own_level():
    nodes = np.array([0.0, 31.0], np.float32)
    values = np.broadcast_to(np.array([0.5, 1.5], np.float32), (2, 2, 2))
    gain = GainMap(values, (nodes,) * 3, (32, 32, 32))
    truth = gain.over((0, 0, 0), (32, 32, 32))
    volume = PreparedVolume(
        TrainingVolume((3 * truth).numpy(), AS_IS), torch.full((16, 16, 16), 0.25), gain=gain
    )
    method = NoiseModel(NoiseModelConfig(draws=1, alpha=0.7, patch_side=16))
    seen = []

    class Watching(Identity):
        def forward(self, x):
            seen.append(x.detach())
            return x

    (tile,) = tiles_of((32, 32, 32), tile=32, margin=0, stride=1)
    result = method.predictor(Watching(), volume, torch.device("cpu"), 0)(3 * truth, tile)
    added = (seen[0][0, 0] - 3).numpy()  # a flat 3 and noise that is everywhere the same
    for half in (added[..., :16], added[..., 16:]):
        assert abs(half.mean()) < 0.02
        assert half.var() == pytest.approx(0.7**2 * 0.25, rel=4 * np.sqrt(2 / half.size))
    np.testing.assert_allclose(result.numpy(), (seen[0][0, 0] * truth).numpy(), rtol=1e-5)
    seen.clear()
    objective = method.objective(Watching(), [volume], torch.device("cpu"))
    objective.loss(torch.Generator().manual_seed(0))
    for patch in seen[0][:, 0].numpy():
        for half in (patch[..., :8], patch[..., 8:]):  # flips or not, the slope is gone
            assert abs(half.mean() - 3) < 0.1


def test_prepare_finds_it_and_says_so(parts):
    signal, noise = parts
    volume = signal + along_x(0.6, 1.4) * noise
    prepared = NoiseModel().prepare(TrainingVolume(volume, measure_voxels(volume).normalization))
    assert prepared.gain is not None
    assert "levelled" in prepared.summary["noise level over the volume"]
