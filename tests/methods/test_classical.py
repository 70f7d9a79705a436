"""The filters as methods: settings in units of the noise, what they need to know, bad input."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import vitreous
from vitreous import filters
from vitreous.core import InputError, Normalization, Volume, measure_voxels
from vitreous.filters.structure_tensor import gradient, smooth
from vitreous.methods import CLASSICAL
from vitreous.methods.classical.noise import noise_deviation, noise_power, squared_gradient
from vitreous.training import TrainingVolume

NOISE_RELATIVE = ("bilateral", "nad", "nlm")
QUICK = {"nad": {"steps": 3}, "nlm": {"search_radius": 2, "patch_side": 3}, "deconv": {"defocus_um": 4.0}}


def noise(seed=0, shape=(12, 13, 14)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def blobs(shape=(40, 40, 40), height=4.0, seed=1):
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    inside = (z // 2 - 10) ** 2 + (y % 20 - 10) ** 2 + (x % 20 - 10) ** 2 < 30
    return height * inside.astype(np.float32), noise(seed, shape)


def training_volume(data, spacing=10.0):
    return TrainingVolume(data, measure_voxels(data).normalization, voxel_spacing_angstrom=spacing)


def applied(name, data, spacing=10.0, **settings):
    prepared = CLASSICAL[name](**settings).prepare(training_volume(data, spacing))
    for _ in range(prepared.repeats):
        data = prepared.apply(data)
    return data


def test_linear_filters_are_those_of_the_library():
    data = noise()
    before = data.copy()
    np.testing.assert_array_equal(applied("gaussian", data, sigma=2.0), filters.gaussian(data, sigma=2.0))
    np.testing.assert_array_equal(applied("median", data, size=5), filters.median(data, size=5))
    for spacing, cutoff in ((None, 0.25), (10.0, 0.25), (5.0, 0.125), (100.0, 0.5)):
        expected = filters.lowpass(data, cutoff=cutoff)  # 40 Å at so many Å per voxel
        np.testing.assert_array_equal(applied("lowpass", data, spacing, resolution_angstrom=40), expected)
    np.testing.assert_array_equal(data, before)


def test_the_noise_is_found_in_grey_values():
    """White noise of deviation 3 with a little structure; in 40³ voxels the estimate is good to 10 %."""
    clean, white = blobs()
    power = noise_power(training_volume(3 * (clean + white) + 50))
    assert noise_deviation(power) == pytest.approx(3, rel=0.1)
    for smoothing in (0.5, 1.0):
        slopes = gradient(smooth(torch.from_numpy(3 * white), smoothing))
        measured = float(sum(s.square().mean() for s in slopes))
        assert squared_gradient(power, smoothing) == pytest.approx(measured, rel=0.2)
    assert squared_gradient(torch.ones(32, 32, 32), 1.0) == pytest.approx(0.0213, rel=0.01)


@pytest.mark.parametrize("name", NOISE_RELATIVE)
def test_results_follow_the_scale_of_the_volume(name):
    data = np.add(*blobs((24, 32, 32)))
    once = applied(name, data, **QUICK.get(name, {}))
    scaled = applied(name, 200 * data - 3000, **QUICK.get(name, {}))
    np.testing.assert_allclose((scaled + 3000) / 200, once, atol=2e-3)
    assert np.abs(once - data).max() > 0.5


@pytest.mark.parametrize("name", NOISE_RELATIVE)
def test_defaults_remove_noise_and_keep_structure(name):
    """A third of the squared error of the noise at most, without tuning, at contrast/noise 4."""
    clean, white = blobs()
    error = np.mean((applied(name, clean + white) - clean) ** 2)
    assert error < 0.33 * np.mean(white**2)


@pytest.mark.parametrize("name", sorted(set(CLASSICAL) - {"bm4d"}))
@pytest.mark.parametrize("shape", [(8, 21, 19), (15, 9, 8)])
def test_thin_and_odd_volumes_with_holes(name, shape):
    data = noise(2, shape) + 5
    data[3, 4, 5], data[6, 7, 1] = np.nan, np.inf
    settings = {"defocus_um": 4.0} if name == "deconv" else {}
    denoised = vitreous.denoise(Volume(data, (10.0, 10.0, 10.0)), name, **settings)
    assert denoised.shape == shape
    assert denoised.data.dtype == np.float32
    assert np.isfinite(denoised.data).all()
    assert np.isnan(data[3, 4, 5])  # the input is as it was


@pytest.mark.parametrize("name", sorted(set(CLASSICAL) - {"bm4d"}))
def test_a_block_without_contrast_stays_so(name):
    """Blocks of padding hold one value; deconvolution takes the mean away."""
    settings = QUICK.get(name, {})
    prepared = CLASSICAL[name](**settings).prepare(training_volume(noise(3, (16, 16, 16))))
    constant = np.full((12, 11, 10), 2.0, np.float32)
    for _ in range(prepared.repeats):
        constant = prepared.apply(constant)
    np.testing.assert_allclose(constant, 0.0 if name == "deconv" else 2.0, atol=1e-4)


def test_deconvolution_says_what_it_lacks():
    data = noise(0, (16, 16, 16))
    with pytest.raises(InputError, match="--defocus UM"):
        vitreous.denoise(Volume(data, (10.0, 10.0, 10.0)), "deconv")
    with pytest.raises(InputError, match="--voxel-size A"):
        vitreous.denoise(data, "deconv", defocus_um=4.0)
    with pytest.raises(InputError, match="--defocus: input should be greater than 0"):
        vitreous.denoise(Volume(data, (10.0, 10.0, 10.0)), "deconv", defocus_um=-4.0)
    with pytest.raises(InputError, match="--voltage means nothing to nad"):
        vitreous.denoise(data, "nad", voltage_kv=200)
    given = {"defocus_um": 4.0, "voltage_kv": 200, "spherical_aberration_mm": 2.0, "amplitude_contrast": 0.1}
    denoised = vitreous.denoise(Volume(data, (10.0, 10.0, 10.0)), "deconv", **given)
    np.testing.assert_array_equal(denoised.data, applied("deconv", data, **given))


def test_bm4d_where_it_is_installed():
    pytest.importorskip("bm4d", reason="the extra bm4d is not installed")
    clean, white = blobs((16, 20, 20))
    for assumed in ("spectrum", "white"):
        error = np.mean((applied("bm4d", clean + white, noise=assumed) - clean) ** 2)
        assert error < 0.25 * np.mean(white**2)


def test_impossible_settings_are_refused():
    for name, settings in (
        ("nad", {"time_step": 0.2}),
        ("nlm", {"patch_side": 0}),
        ("bilateral", {"range_over_noise": np.inf}),
        ("gaussian", {"sigma": -1}),
        ("deconv", {"amplitude_contrast": 1.0}),
        ("median", {"width": 3}),
    ):
        with pytest.raises(ValidationError):
            CLASSICAL[name](**settings)


def test_masks_choose_where_the_noise_is_measured():
    """Noise twice as strong outside the mask."""
    data = noise(4, (64, 40, 40))
    data[32:] *= 2
    mask = np.zeros(data.shape, bool)
    mask[:32] = True
    volume = TrainingVolume(data, Normalization(0.0, 1.0, -np.inf, np.inf), mask)
    assert noise_deviation(noise_power(volume)) == pytest.approx(1, rel=0.1)
