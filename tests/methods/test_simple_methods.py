"""Noise2Noise on pairs, and the filters as methods."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization
from vitreous.methods import CLASSICAL, LEARNED, Noise2Noise, PreparedVolume
from vitreous.methods.noise2noise import PairConfig
from vitreous.training import TrainingVolume

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)


def noise(seed, shape=(30, 30, 30)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Double(torch.nn.Module):
    stride, receptive_radius = 1, 0

    def forward(self, x):
        return 2 * x


def losses(symmetric, volume, steps=24):
    config = PairConfig(patch_side=30, batch=1, symmetric=symmetric)
    objective = Noise2Noise(config).objective(Double(), [PreparedVolume(volume)], torch.device("cpu"))
    return [float(objective.loss(torch.Generator().manual_seed(s))[0]) for s in range(steps)]


def test_pairs_are_swapped_at_random_only_when_symmetric():
    """The patch is the whole volume: |2a - b|² one way, |2b - a|² the other."""
    a, b = noise(0), 3 * noise(1)
    volume = TrainingVolume(a, AS_IS, target=b)
    forward, backward = np.mean((2 * a - b) ** 2), np.mean((2 * b - a) ** 2)
    np.testing.assert_allclose(losses(False, volume), forward, rtol=1e-5)
    both = np.array(losses(True, volume))
    swapped = np.isclose(both, backward, rtol=1e-5)
    assert (swapped | np.isclose(both, forward, rtol=1e-5)).all()
    assert 4 <= swapped.sum() <= 20  # 24 fair coins


def test_a_volume_without_partner_is_refused():
    with pytest.raises(ValueError, match="target"):
        losses(True, TrainingVolume(noise(0), AS_IS))


def test_padding_of_a_thin_pair_stays_out_of_the_loss():
    a, b = noise(0, (5, 30, 30)), noise(1, (5, 30, 30))
    np.testing.assert_allclose(
        losses(False, TrainingVolume(a, AS_IS, target=b), 4), np.mean((2 * a - b) ** 2), rtol=1e-5
    )


def test_names_that_users_type_are_the_names_of_the_methods():
    assert {name: kind.name for name, kind in CLASSICAL.items()} == {name: name for name in CLASSICAL}
    assert {name: kind.name for name, (kind, _) in LEARNED.items()} == {name: name for name in LEARNED}
    for kind, config in LEARNED.values():
        assert type(kind().config) is config
