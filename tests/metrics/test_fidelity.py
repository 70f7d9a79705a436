"""Scores against closed forms."""

import numpy as np
import pytest

from vitreous.metrics import correlation, inside_outside_contrast, psnr, ssim


def noise(shape=(16, 16, 16), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("offset", "data_range"), [(0.1, 1.0), (0.5, 1.0), (2.0, 10.0)])
def test_psnr_of_a_constant_error(offset, data_range):
    reference = noise()
    expected = 20 * np.log10(data_range / offset)
    assert psnr(reference + offset, reference, data_range=data_range) == pytest.approx(expected, abs=1e-9)


def test_psnr_of_white_noise_and_of_identity():
    clean, error = np.zeros((32, 32, 32)), 0.2 * noise((32, 32, 32))
    four_errors = 4 * np.sqrt(2 / clean.size) * 10 / np.log(10)
    assert psnr(clean + error, clean, data_range=1.0) == pytest.approx(20 * np.log10(5), abs=four_errors)
    assert psnr(clean, clean, data_range=1.0) == float("inf")


def test_ssim_of_identity_and_of_an_offset():
    volume = noise()
    assert ssim(volume, volume, data_range=4.0) == pytest.approx(1.0, abs=1e-6)
    # Constant images have no structure term: (2ab + c1) / (a² + b² + c1), c1 = (0.01 L)².
    flat, brighter = np.full((9, 9, 9), 0.5), np.full((9, 9, 9), 0.6)
    expected = (2 * 0.5 * 0.6 + 1e-4) / (0.5**2 + 0.6**2 + 1e-4)
    assert ssim(brighter, flat, data_range=1.0) == pytest.approx(expected, abs=1e-5)


def test_ssim_falls_with_noise():
    volume = noise()
    scores = [ssim(volume + s * noise(seed=1), volume, data_range=6.0) for s in (0.1, 0.5, 2.0)]
    assert 1 > scores[0] > scores[1] > scores[2] > 0


def test_correlation():
    a, b = noise((40, 40, 40)), noise((40, 40, 40), seed=1)
    assert correlation(3 * a + 7, a) == pytest.approx(1, abs=1e-12)
    assert correlation(-a, a) == pytest.approx(-1, abs=1e-12)
    assert abs(correlation(a, b)) < 4 / np.sqrt(a.size)
    assert correlation(a + b, a) == pytest.approx(np.sqrt(0.5), abs=4 / np.sqrt(a.size))


def test_inside_outside_contrast():
    mask = noise() > 0.5
    volume = np.where(mask, 3.0, 1.0) + 10
    assert inside_outside_contrast(volume, mask) == pytest.approx(2.0, abs=1e-12)
    assert inside_outside_contrast(volume, ~mask) == pytest.approx(-2.0, abs=1e-12)
    assert inside_outside_contrast(0.8 * volume, mask) == pytest.approx(1.6, abs=1e-12)


@pytest.mark.parametrize("score", [psnr, ssim])
@pytest.mark.parametrize("data_range", [0.0, -1.0, float("nan")])
def test_a_range_that_is_none_is_refused_in_words(score, data_range):
    with pytest.raises(ValueError, match=r"data range of .* is not positive"):
        score(noise(), np.ones((16, 16, 16)), data_range=data_range)


def test_correlation_with_a_constant_is_not_a_number():
    assert np.isnan(correlation(noise(), np.ones((16, 16, 16))))
    assert np.isnan(correlation(np.ones((16, 16, 16)), noise()))
