"""Contrast: told by the tail of the histogram, with an error that noise alone keeps to."""

import numpy as np
import pytest
from scipy.stats import skew

from vitreous.metrics import measure_polarity
from vitreous.metrics.polarity import jackknifed_skewness

SHAPE, SPACING = (48, 96, 96), 10.0


def noise(seed, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def balls(seed, count=20, radius=6, shape=SHAPE):
    rng = np.random.default_rng([seed, 1])
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centres = rng.uniform(radius, np.array(shape) - radius, (count, 3))
    return np.any([np.sum((grid - c) ** 2, axis=-1) < radius**2 for c in centres], axis=0).astype(np.float32)


@pytest.mark.parametrize("contrast", [0.3, 1.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_dark_and_bright_are_told_in_noise(contrast, sign):
    found = measure_polarity(noise(0) + sign * contrast * balls(0), SPACING)
    assert found.protein == ("bright" if sign > 0 else "dark")
    assert (found.probability_dark < 0.02) == (sign > 0)


def test_noise_alone_is_unclear():
    found = [measure_polarity(noise(seed), SPACING) for seed in range(20)]
    # A normal variable is beyond 2.56 = 2 × 1.28 standard errors in 1 % of all cases.
    assert sum(f.protein != "unclear" for f in found) <= 1
    assert np.std([f.skewness / f.standard_error for f in found]) == pytest.approx(1.0, abs=0.4)


def test_gold_decides_unless_it_is_left_out():
    volume = noise(1) + 0.5 * balls(1)
    gold = np.zeros(SHAPE, bool)
    gold[20:28, 10:18, 10:18] = gold[20:28, 60:68, 60:68] = True
    volume[gold] = -30
    assert measure_polarity(volume, SPACING).skewness < 0
    assert measure_polarity(volume, SPACING, gold).protein == "bright"


def test_the_jackknife_knows_the_error():
    values = [np.random.default_rng(s).gamma(2.0, size=(30, 30, 30)) for s in range(30)]
    found = np.array([jackknifed_skewness(v) for v in values])
    np.testing.assert_allclose(found[:, 0], [skew(v, axis=None) for v in values], rtol=1e-6)
    # 30 draws know a deviation within 13 %, the jackknife of 8 blocks each within 25 %.
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.5)
