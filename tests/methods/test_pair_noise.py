"""The noise spectrum from two halves."""

import numpy as np
import pytest

from vitreous.core import Normalization
from vitreous.methods import Noise2Noise
from vitreous.methods.noise2noise import PairConfig, pair_noise_spectrum
from vitreous.simulate import wedge_filtered
from vitreous.training import TrainingVolume

SIDE, DEVIATION = 96, 3.0


def wedge_noise(seed):
    white = np.random.default_rng(seed).normal(size=(SIDE,) * 3).astype(np.float32)
    return wedge_filtered(white, (-60.0, 60.0))


def halves(signal=0.0):
    """Two halves with a strong common structure and independent noise in a ±60° wedge."""
    z, y, x = np.ogrid[:SIDE, :SIDE, :SIDE]
    structure = 40 * np.cos(z / 5) * np.cos(y / 7) * np.cos(x / 3)
    noises = wedge_noise(0), wedge_noise(1)
    extra = signal * np.random.default_rng(9).normal(size=(SIDE,) * 3)
    pair = structure + noises[0] + extra, structure + noises[1]
    return [p.astype(np.float32) for p in pair], noises


def test_it_is_the_noise_of_the_mean_whatever_the_structure():
    (even, odd), noises = halves()
    volume = TrainingVolume(even, Normalization(1.0, DEVIATION, -np.inf, np.inf), target=odd)
    found = pair_noise_spectrum(volume)
    alone = TrainingVolume(noises[0], Normalization(0.0, DEVIATION, -np.inf, np.inf), target=noises[1])
    np.testing.assert_allclose(found, pair_noise_spectrum(alone), rtol=1e-3, atol=1e-4 * float(found.max()))
    assert float(found.mean()) == pytest.approx(np.var((noises[0] + noises[1]) / 2) / DEVIATION**2, rel=0.03)
    assert float(found[16, 0, 0] / found[0, 0, 16]) < 0.1  # the wedge is empty


def test_a_difference_in_signal_makes_it_too_large():
    (even, odd), noises = halves(signal=1.0)
    volume = TrainingVolume(even, Normalization(0.0, 1.0, -np.inf, np.inf), target=odd)
    assert float(pair_noise_spectrum(volume).mean()) > 1.2 * np.var((noises[0] + noises[1]) / 2)


@pytest.mark.parametrize(("config", "target"), [({"symmetric": False}, True), ({}, False)])
def test_a_true_target_or_none_gives_no_spectrum(config, target):
    (even, odd), _ = halves()
    volume = TrainingVolume(even, Normalization(0, 1, -np.inf, np.inf), target=odd if target else None)
    assert Noise2Noise(PairConfig(**config)).prepare(volume).noise_spectrum is None
    assert (
        Noise2Noise().prepare(TrainingVolume(even, volume.normalization, target=odd)).noise_spectrum
        is not None
    )


def test_without_a_partner_there_is_nothing_to_take_the_difference_with():
    with pytest.raises(ValueError, match="partner"):
        pair_noise_spectrum(TrainingVolume(halves()[0][0], Normalization(0, 1, -np.inf, np.inf)))
