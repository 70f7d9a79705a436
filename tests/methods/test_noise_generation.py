"""The noise generation module against numbers worked out by hand (vox-uda eqs 2 to 6 and 15)."""

from itertools import product

import numpy as np
import pytest
import torch

from vitreous.methods.adaptation.noise import (
    generated_noise,
    high_pass,
    high_passed,
    noise_variance,
    sampled_spectrum,
)

SIDE = 32


def wave(*frequency):
    """cos(2π k·x / 32) as (1, 1, 32, 32, 32); its variance is a half."""
    grid = np.indices((SIDE,) * 3)
    phase = sum(k * axis for k, axis in zip(frequency, grid, strict=True)) * 2 * np.pi / SIDE
    return torch.from_numpy(np.cos(phase)).float()[None, None]


def white(count, variance=1.0, seed=0):
    noise = np.random.default_rng(seed).standard_normal((count, 1, SIDE, SIDE, SIDE), dtype=np.float32)
    return variance**0.5 * torch.from_numpy(noise)


def in_wedge(values, lowest=-60.0, highest=60.0):
    """Volumes without what a tilt series about y leaves out."""
    k = np.fft.fftfreq(SIDE)
    angle = np.degrees(np.arctan2(k[:, None, None], np.abs(k)[None, None, :] + 1e-9))
    measured = (angle >= lowest) & (angle <= highest) & np.ones((SIDE,) * 3, bool)
    return torch.fft.ifftn(
        torch.fft.fftn(values, dim=(-3, -2, -1)) * torch.from_numpy(measured), dim=(-3, -2, -1)
    ).real, measured


@pytest.mark.parametrize("count", [14, 18, 20, 24])
def test_published_shares_are_cubes_of_the_grid(count):
    """8.4, 17.8, 24.4 and 42.2 % are (14, 18, 20 and 24 ÷ 32)³; the complement keeps the rest."""
    share = (count / SIDE) ** 3
    assert round(100 * share, 1) in (8.4, 17.8, 24.4, 42.2)
    for passed, kept in (("cube", share), ("complement", 1 - share)):
        transfer = high_pass((SIDE,) * 3, round(share, 3), passed)
        assert float(transfer.mean()) == pytest.approx(kept, abs=1e-6)
        mirrored = transfer.flip((0, 1, 2)).roll((1, 1, 1), (0, 1, 2))
        assert torch.equal(transfer, mirrored)


@pytest.mark.parametrize(
    ("frequency", "cube", "complement"),
    [
        ((0, 0, 0), 0, 0),
        ((3, 3, 3), 0, 0),
        ((8, 8, 8), 1, 0),
        ((8, 8, 0), 0, 0),
        ((15, 0, 0), 0, 1),
        ((16, 9, 12), 1, 1),
    ],
)
def test_waves_pass_or_do_not(frequency, cube, complement):
    """With ρ = (20 ÷ 32)³ the cube is |k| ≥ 7 on every axis, the complement |k| ≥ 11 on some."""
    for passed, kept in (("cube", cube), ("complement", complement)):
        filtered = high_passed(wave(*frequency), 0.244, passed)
        np.testing.assert_allclose(filtered, kept * wave(*frequency), atol=1e-5)


def test_readings_of_white_noise():
    """Of variance 2 in 10 volumes: 2 ρ' / 10 as published, 2 ρ', and 2, to 5 %; ρ' is the mean of H²."""
    values = white(10, 2.0)
    kept = float(high_pass((SIDE,) * 3, 0.244).square().mean())
    whole, half = 19**3, 2 * (20**3 - 19**3)  # of the frequencies; of the latter half the amplitude passes
    assert kept == pytest.approx((whole + half / 4) / SIDE**3, abs=1e-6)
    expected = {"variance-of-mean": 0.2 * kept, "mean-of-variance": 2 * kept, "calibrated": 2.0}
    for reading, variance in expected.items():
        assert noise_variance(values, 0.244, "cube", reading) == pytest.approx(variance, rel=0.05)


def test_a_wedge_is_no_lack_of_noise():
    """The share that the filter keeps is one of what was measured: the variance stays right to 5 %."""
    values, measured = in_wedge(white(10))
    truth = float(measured.mean())
    assert noise_variance(values, 0.244) == pytest.approx(truth, rel=0.05)
    assert noise_variance(values, 0.244, "complement") == pytest.approx(truth, rel=0.05)
    unaware = noise_variance(values, 0.244, "cube", "mean-of-variance") / float(
        high_pass((SIDE,) * 3, 0.244).square().mean()
    )
    assert abs(unaware / truth - 1) > 0.05  # the share of the whole grid is the wrong one


def test_kinds_of_noise():
    """σ² = 0.49: Gaussian of that variance, counts of mean and variance 0.7, and x times the first."""
    source = 3 * torch.ones(4, 1, SIDE, SIDE, SIDE)
    generator = torch.Generator().manual_seed(0)
    for kind, mean, variance in (("gaussian", 0, 0.49), ("poisson", 0.7, 0.7), ("speckle", 0, 9 * 0.49)):
        noise = generated_noise(source, 0.49, kind, generator)
        assert float(noise.mean()) == pytest.approx(mean, abs=0.02), kind
        assert float(noise.var()) == pytest.approx(variance, rel=0.02), kind
    with pytest.raises(ValueError, match="spectrum"):
        generated_noise(source, 0.49, "spectrum", generator)


def test_the_spectrum_has_the_variance_and_the_wedge():
    """Its mean is the variance to 5 %, and the frequencies never measured hold under a tenth of it."""
    values, measured = in_wedge(white(24))
    power = sampled_spectrum(values)
    assert float(power.mean()) == pytest.approx(float(measured.mean()), rel=0.05)
    far = np.ones((SIDE,) * 3, bool)
    for axis, by in product(range(3), (-2, 2)):  # the window blurs by two frequencies
        far &= ~np.roll(measured, by, axis)
    assert float(power[torch.from_numpy(far & ~measured)].mean()) < 0.1
