"""Classical filters against independent implementations and closed forms."""

from itertools import product

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch

from vitreous.filters import bilateral, deconvolve, diffuse, gaussian, lowpass, median, nlm


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def bilateral_reference(volume, spatial_sigma, range_sigma, radius):
    """One voxel at a time, float64."""
    padded = np.pad(volume.astype(np.float64), radius, mode="edge")
    out = np.empty(volume.shape)
    for z, y, x in product(*(range(n) for n in volume.shape)):
        centre, total, weights = float(volume[z, y, x]), 0.0, 0.0
        for i, j, k in product(range(-radius, radius + 1), repeat=3):
            value = padded[z + i + radius, y + j + radius, x + k + radius]
            exponent = (i * i + j * j + k * k) / (2 * spatial_sigma**2)
            exponent += (value - centre) ** 2 / (2 * range_sigma**2)
            total, weights = total + np.exp(-exponent) * value, weights + np.exp(-exponent)
        out[z, y, x] = total / weights
    return out


@pytest.mark.parametrize(("spatial", "spread", "radius"), [(1.0, 0.7, 2), (2.0, 3.0, 1)])
def test_bilateral_against_loops(spatial, spread, radius):
    volume = noise((5, 6, 7))
    tensor = torch.from_numpy(volume)
    ours = bilateral(tensor, spatial_sigma=spatial, range_sigma=spread, radius=radius)
    expected = bilateral_reference(volume, spatial, spread, radius)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)
    wrong = bilateral(
        torch.from_numpy(volume), spatial_sigma=spatial, range_sigma=1.2 * spread, radius=radius
    )
    assert np.abs(wrong.numpy() - expected).max() > 1e-3


def test_bilateral_treats_leading_axes_as_batches():
    volume = torch.from_numpy(noise((2, 1, 5, 6, 7)))
    together = bilateral(volume, spatial_sigma=1, range_sigma=1)
    alone = bilateral(volume[1, 0], spatial_sigma=1, range_sigma=1)
    assert together.shape == volume.shape
    assert (together[1, 0] - alone).abs().max() < 1e-6


def test_bilateral_is_itks():
    """ITK looks the range weights up in a table and cuts them off at four deviations: 0.002 is granted."""
    itk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    volume, radius = noise((9, 10, 11)), 2  # ITK's window: 2.5 sigmas, rounded up
    filtering = itk.BilateralImageFilter()
    filtering.SetDomainSigma(0.8)
    filtering.SetRangeSigma(1.2)
    filtering.SetNumberOfRangeGaussianSamples(4000)
    theirs = itk.GetArrayFromImage(filtering.Execute(itk.GetImageFromArray(volume)))
    ours = bilateral(torch.from_numpy(volume), spatial_sigma=0.8, range_sigma=1.2, radius=radius)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-3)
    wrong = bilateral(torch.from_numpy(volume), spatial_sigma=0.8, range_sigma=1.3, radius=radius)
    assert np.abs(wrong.numpy() - theirs).max() > 0.01


def test_bilateral_passes_no_gradient():
    volume = torch.from_numpy(noise((5, 6, 7))).requires_grad_()
    assert not bilateral(volume, spatial_sigma=1, range_sigma=1).requires_grad


def test_bilateral_keeps_a_step_that_a_gaussian_blurs():
    step = np.zeros((12, 8, 8), np.float32)
    step[6:] = 10
    kept = bilateral(torch.from_numpy(step), spatial_sigma=1, range_sigma=0.5).numpy()
    assert np.abs(kept - step).max() < 1e-4
    assert np.abs(gaussian(step, sigma=1) - step).max() > 2


def test_bilateral_with_wide_range_is_a_truncated_gaussian():
    volume = noise((9, 9, 9))
    wide = bilateral(torch.from_numpy(volume), spatial_sigma=1.0, range_sigma=1e4, radius=2).numpy()
    expected = ndi.gaussian_filter(volume.astype(np.float64), 1.0, mode="nearest", radius=2)
    np.testing.assert_allclose(wide, expected, atol=1e-5)


def test_bilateral_without_range_leaves_all_as_it_is():
    """A patch of padding has no noise at all: its range is zero, its output must still be finite."""
    volume = torch.from_numpy(noise((6, 6, 6)))
    assert (bilateral(volume, spatial_sigma=1, range_sigma=0.0) - volume).abs().max() < 1e-6
    assert torch.equal(bilateral(torch.ones(4, 4, 4), spatial_sigma=1, range_sigma=0.0), torch.ones(4, 4, 4))


def test_gaussian_and_median_are_scipys():
    volume = noise((9, 10, 11))
    np.testing.assert_allclose(
        gaussian(volume, sigma=1.3), ndi.gaussian_filter(volume, 1.3, mode="reflect"), atol=1e-6
    )
    np.testing.assert_array_equal(median(volume, size=3), ndi.median_filter(volume, size=3, mode="reflect"))


def test_gaussian_damps_a_sinusoid_by_its_transfer_function():
    sigma, frequency = 1.5, 0.1
    wave = np.sin(2 * np.pi * frequency * np.arange(120))
    middle = slice(30, 90)
    gain = gaussian(wave, sigma=sigma)[middle] @ wave[middle] / (wave[middle] @ wave[middle])
    assert gain == pytest.approx(np.exp(-2 * (np.pi * sigma * frequency) ** 2), abs=2e-3)


def test_median_removes_single_outliers():
    volume = np.ones((7, 7, 7), np.float32)
    volume[3, 3, 3] = 1000
    assert (median(volume) == 1).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_lowpass_keeps_and_removes_sinusoids(axis):
    shape = [24, 24, 24]
    shape[axis] = 96
    position = np.arange(96).reshape([-1 if i == axis else 1 for i in range(3)])
    middle = tuple(slice(24, 72) if i == axis else slice(None) for i in range(3))
    for frequency, gain in ((0.08, 1.0), (0.32, 0.0)):
        wave = np.broadcast_to(np.cos(2 * np.pi * frequency * position), shape).astype(np.float32)
        np.testing.assert_allclose(lowpass(wave, cutoff=0.2)[middle], gain * wave[middle], atol=0.02)


def test_lowpass_halves_the_amplitude_at_the_cutoff():
    frequency = 8 / 48
    n = np.arange(256 - 32)  # padded to 256 by 16 on either side: exact frequency bins
    wave = np.cos(2 * np.pi * frequency * n)
    middle = slice(64, 160)
    filtered = lowpass(wave, cutoff=frequency, edge=0.05)
    gain = filtered[middle] @ wave[middle] / (wave[middle] @ wave[middle])
    assert gain == pytest.approx(0.5, abs=0.02)


def test_lowpass_is_isotropic_and_keeps_the_mean():
    volume = noise((20, 20, 20)) + 5
    filtered = lowpass(volume, cutoff=0.2)
    assert np.abs(lowpass(volume.transpose(2, 0, 1), cutoff=0.2) - filtered.transpose(2, 0, 1)).max() < 1e-4
    assert filtered.mean() == pytest.approx(volume.mean(), abs=0.05)
    assert filtered.std() < 0.5 * volume.std()


def test_lowpass_does_not_mix_opposite_faces():
    ramp = np.linspace(0, 10, 64, dtype=np.float32)[:, None, None] * np.ones((1, 8, 8), np.float32)
    filtered = lowpass(ramp, cutoff=0.1)
    assert np.abs(filtered - ramp).max() < 0.5  # wrapping around would put 5 at both ends


@pytest.mark.parametrize(
    "apply",
    [
        lambda v: gaussian(v, sigma=1),
        lambda v: median(v),
        lambda v: lowpass(v, cutoff=0.2),
        lambda v: bilateral(torch.from_numpy(v), spatial_sigma=1, range_sigma=1).numpy(),
        lambda v: nlm(torch.from_numpy(v), tolerance=1.0).numpy(),
        lambda v: diffuse(torch.from_numpy(v), contrast=1.0, coherence=1.0).numpy(),
        lambda v: deconvolve(v, spacing_angstrom=10.0, defocus_um=4.0),
    ],
    ids=["gaussian", "median", "lowpass", "bilateral", "nlm", "diffuse", "deconvolve"],
)
@pytest.mark.parametrize("shape", [(5, 8, 9), (1, 6, 6)])
def test_inputs_are_left_untouched_and_shapes_kept(apply, shape):
    volume = noise(shape)
    before = volume.copy()
    out = apply(volume)
    np.testing.assert_array_equal(volume, before)
    assert out.shape == shape
    assert out.dtype == np.float32
    assert not np.shares_memory(out, volume)
    assert np.abs(out - volume).max() > 0.1
