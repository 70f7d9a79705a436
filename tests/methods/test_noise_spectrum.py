"""The noise spectrum estimated from one volume, against the spectrum of the noise that was put in.

The truth is the mean windowed periodogram of pure noise over many patches, no mean taken off. The
estimate is judged per shell of |k|, DC left out, where the true power exceeds 5 % of its mean.
"""

from functools import cache

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch

from vitreous.core import measure_voxels
from vitreous.fourier import frequency_radius, patch_spectra, shell_means, symmetrize
from vitreous.fourier.spectrum import hann_window
from vitreous.methods.noise_model import estimate_noise_spectrum
from vitreous.simulate import crowd, wedge_filtered, weighted_back_projection, white_noise

TILTS = range(-60, 61, 3)
EDGES = [0.02, 0.05, 0.08, 0.12, 0.18, 0.25, 0.32, 0.4, 0.5]
LOW = slice(0, 3)
SIDE = 32


def unit(noise):
    return noise / noise.std()


KINDS = {
    "white": white_noise,
    "masked-white": lambda shape, rng: unit(wedge_filtered(white_noise(shape, rng), (-60, 60))),
    "wbp": lambda shape, rng: unit(
        weighted_back_projection(white_noise((len(TILTS), *shape[1:]), rng), TILTS, shape[0])
    ),
    "smoothed": lambda shape, rng: unit(
        ndi.gaussian_filter(wedge_filtered(white_noise(shape, rng), (-60, 60)), 0.7, mode="wrap")
    ),
}


def corners(shape):
    """Patch shape, and starts of half-overlapping patches all over a volume."""
    patch = tuple(min(SIDE, n) for n in shape)
    starts = [
        np.linspace(0, n - p, max(1, 2 * n // p - 1)).round().astype(int)
        for n, p in zip(shape, patch, strict=True)
    ]
    return patch, np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, 3)


def patches(volume):
    patch, starts = corners(volume.shape)
    return [volume[tuple(slice(s, s + n) for s, n in zip(start, patch, strict=True))] for start in starts]


@cache
def true_spectrum(kind, shape, volumes=3):
    window = hann_window(corners(shape)[0]).numpy()
    periodograms = [
        np.abs(np.fft.fftn(patch * window)) ** 2 / patch.size
        for seed in range(volumes)
        for patch in patches(KINDS[kind](shape, np.random.default_rng(1000 + seed)))
    ]
    return torch.from_numpy(np.mean(periodograms, axis=0))


@cache
def specimen(shape, occupancy, seed=1):
    """Particles and a membrane; with seed 1 it stands across the tilt axis, with others aslant."""
    signal = wedge_filtered(crowd(shape, occupancy=occupancy, seed=seed, sheets=1).density, (-60, 60))
    return unit(signal - signal.mean())


def noisy(kind, shape, occupancy, seed=5):
    """Signal and noise of unit variance each."""
    return specimen(shape, occupancy) + KINDS[kind](shape, np.random.default_rng(seed))


def estimate(data, mask=None):
    """The estimate in units of grey values, whose noise has unit variance."""
    normalization = measure_voxels(data, mask).normalization
    found = estimate_noise_spectrum(data, normalization, mask)
    return found, found.power.double() * normalization.deviation**2


def ratios(power, truth):
    weights = (truth > 0.05 * truth.mean()).double()
    return (shell_means(power * weights, EDGES, weights) / shell_means(truth, EDGES, weights)).numpy()


def naive(data):
    """The quietest 15 % of patches by low-frequency power, as measured at all k."""
    spectra = patch_spectra(torch.from_numpy(patch) for patch in patches(data))
    radius = frequency_radius(spectra.shape[1:])
    low = spectra[:, (radius > 0) & (radius < 0.1)].sum(1)
    return symmetrize(spectra[low.argsort()[: int(0.15 * len(low))]].mean(0)).double()


@pytest.mark.parametrize(
    ("kind", "shape", "occupancy"),
    [
        ("white", (96, 96, 96), 0.13),
        ("masked-white", (96, 96, 96), 0.13),
        ("masked-white", (112, 112, 112), 0.26),
        ("wbp", (120, 120, 120), 0.065),
        ("wbp", (112, 112, 112), 0.26),
        ("smoothed", (96, 96, 96), 0.13),
    ],
)
def test_estimate_is_within_twenty_percent_of_the_truth_in_every_shell(kind, shape, occupancy):
    found, power = estimate(noisy(kind, shape, occupancy))
    share = ratios(power, true_spectrum(kind, shape))
    assert np.isfinite(share).all()
    assert np.abs(share - 1).max() < 0.2
    assert float(power.mean()) == pytest.approx(1, abs=0.1)  # the variance of the noise
    assert found.noise_share == pytest.approx(0.5, abs=0.1)


def test_control_quiet_patches_alone_hold_signal_at_low_frequency():
    """What the estimator must not do, in the crowded volume where the one above stays within 20 %."""
    shape = (112, 112, 112)
    share = ratios(naive(noisy("masked-white", shape, 0.26)), true_spectrum("masked-white", shape))
    assert (share[LOW] > 1.2).all()
    assert np.abs(share[-2:] - 1).max() < 0.2  # at high frequency nothing is wrong with it


def test_control_a_spectrum_of_the_wrong_kind_fails_the_same_check():
    shape = (96, 96, 96)
    wrong = ratios(true_spectrum("wbp", shape), true_spectrum("masked-white", shape))
    assert np.abs(wrong - 1).max() > 0.4


@pytest.mark.parametrize("kind", ["masked-white", "wbp"])
def test_a_thin_volume(kind):
    shape = (16, 96, 96)
    found, power = estimate(thin(kind, seed=3))
    assert found.power.shape == (16, 32, 32)
    share = ratios(power, true_spectrum(kind, shape, volumes=8))
    assert np.abs(share - 1).max() < 0.25  # a tenth of the patches of a cube


def thin(kind, seed):
    signal = specimen((48, 96, 96), 0.14, seed)[16:32]
    return signal / signal.std() + KINDS[kind]((16, 96, 96), np.random.default_rng(5))


@pytest.mark.xfail(strict=True, reason="31 % too much at low frequency, 25 % allowed")
def test_limit_a_thin_volume_with_a_membrane_across_the_tilt_axis():
    power = estimate(thin("wbp", seed=1))[1]
    share = ratios(power, true_spectrum("wbp", (16, 96, 96), volumes=8))
    assert np.abs(share - 1).max() < 0.25


@pytest.mark.xfail(strict=True, reason="60 % too little: noise without high frequencies, a membrane aslant")
@pytest.mark.parametrize("seed", [2, 4])
def test_limit_smoothed_noise_and_a_membrane_aslant(seed):
    shape = (96, 96, 96)
    data = specimen(shape, 0.13, seed) + KINDS["smoothed"](shape, np.random.default_rng(5))
    share = ratios(estimate(data)[1], true_spectrum("smoothed", shape))
    assert np.abs(share - 1).max() < 0.2


def test_power_is_symmetric_and_not_negative():
    found, _ = estimate(noisy("wbp", (64, 96, 64), 0.1))
    assert (found.power - symmetrize(found.power)).abs().max() < 1e-5 * found.power.max()
    assert (found.total - symmetrize(found.total)).abs().max() < 1e-5 * found.total.max()
    assert found.power.min() >= 0
    assert found.power.shape == (32, 32, 32)


def test_gold_is_ignored():
    shape = (96, 96, 96)
    data = noisy("masked-white", shape, 0.13)
    rng = np.random.default_rng(0)
    for z, y, x in rng.integers(2, 92, size=(12, 3)):
        data[z : z + 3, y : y + 3, x : x + 3] = -300
    share = ratios(estimate(data)[1], true_spectrum("masked-white", shape))
    assert np.abs(share - 1).max() < 0.2
    deviation = measure_voxels(data).normalization.deviation
    with_gold = patch_spectra(torch.from_numpy(patch) for patch in patches(data)).mean()
    assert with_gold > 10 * estimate(data)[0].total.mean() * deviation**2


@pytest.mark.parametrize("kind", ["masked-white", "wbp"])
def test_the_tilt_axis_is_recognized_when_the_volume_is_transposed(kind):
    data = noisy(kind, (96, 96, 96), 0.13)
    upright, power = estimate(data)
    turned, turned_power = estimate(np.ascontiguousarray(data.transpose(0, 2, 1)))
    assert (upright.tilt_axis, turned.tilt_axis) == (1, 2)
    assert upright.tilt_axis_seen
    assert turned.tilt_axis_seen
    difference = (turned_power.transpose(1, 2) - power).abs()
    assert difference.max() < 0.01 * power.max()
    assert (turned_power - power).abs().max() > 0.2 * power.max()


@pytest.mark.parametrize("sigma", [0.0, 0.4, 1.0])
def test_no_tilt_axis_is_seen_in_noise_that_is_alike_in_all_directions(sigma):
    noise = np.random.default_rng(0).normal(size=(64, 64, 64)).astype(np.float32)
    assert not estimate(ndi.gaussian_filter(noise, sigma, mode="wrap"))[0].tilt_axis_seen


def test_a_mask_is_honoured():
    shape = (96, 96, 96)
    data, mask = noisy("masked-white", shape, 0.13), np.zeros(shape, bool)
    mask[:, :, :64] = True
    data[:, :, 64:] *= 1.6  # outside the specimen the noise is something else
    truth = true_spectrum("masked-white", shape)
    assert np.abs(ratios(estimate(data, mask)[1], truth) - 1).max() < 0.2
    assert np.abs(ratios(estimate(data)[1], truth) - 1).max() > 0.3


def test_units_are_those_of_the_standardized_volume():
    data = noisy("masked-white", (64, 64, 64), 0.1)
    first = estimate(data)[0].power
    second = estimate(250 * data - 4000)[0].power
    assert (first - second).abs().max() < 1e-2 * first.max()


def test_filled_share_tells_white_from_wedge():
    shape = (64, 64, 64)
    shares = {}
    for kind in ("white", "masked-white"):
        noise = KINDS[kind](shape, np.random.default_rng(3)).astype(np.float32)
        shares[kind] = estimate(noise)[0].filled_share
    assert shares["white"] > 0.9
    assert 0.5 < shares["masked-white"] < 0.85  # 0.72 of the corners' measured region
