"""Distances of statistics: closed forms, sampling error, and noise that is known to be wrong."""

import numpy as np
import pytest
import scipy.ndimage as ndi

from vitreous.metrics import (
    autocorrelation,
    autocorrelation_distance,
    histogram_distance,
    spectrum_distance,
)

SHAPE = (32, 48, 40)


def white(seed, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def coloured(seed):
    smooth = ndi.gaussian_filter(white(seed), (1.0, 0.0, 0.6), mode="wrap")
    return smooth / smooth.std()


def without_wedge(volume):
    """Nothing beyond 45° of (kz, kx)."""
    kz, _, kx = np.meshgrid(*(np.fft.fftfreq(n) for n in volume.shape), indexing="ij")
    left = np.fft.ifftn(np.fft.fftn(volume) * (np.abs(kz) <= np.abs(kx))).real
    return (left / left.std()).astype(np.float32)


def test_two_draws_of_one_noise_are_near_and_other_noise_is_not():
    for one, other in ((white, coloured), (coloured, white)):
        reference = one(0)
        for distance in (autocorrelation_distance, spectrum_distance):
            floor = distance(one(1), reference)
            assert distance(other(2), reference) > 5 * floor, distance.__name__
    assert autocorrelation_distance(white(1), white(0)) < 4 * (2 / white(0).size) ** 0.5


def test_histograms_are_compared_in_deviations_and_not_by_place():
    reference = white(0)
    # Sorted values of n Gaussian ones differ by about 1.1 / √n between two draws.
    assert histogram_distance(white(1), reference) < 4 * 1.1 / reference.size**0.5
    assert histogram_distance(reference[::-1, :, ::-1], reference) == pytest.approx(0, abs=1e-7)
    # E|aX - X| = |a - 1| √(2/π)
    assert histogram_distance(1.5 * reference, reference) == pytest.approx(0.5 * (2 / np.pi) ** 0.5, rel=0.02)
    flat = np.random.default_rng(2).uniform(-(3**0.5), 3**0.5, SHAPE)  # the same mean and deviation
    assert histogram_distance(flat, reference) > 0.1


@pytest.mark.parametrize("reach", [1, 3])
def test_autocorrelation_is_the_mean_product_of_shifted_voxels(reach):
    volume = coloured(3)[:9, :12, :10]
    found, values = autocorrelation(volume, reach), volume - volume.astype(np.float64).mean()
    for lag in ((0, 0, 1), (1, 0, -1), (-1, 1, 1), (reach, -reach, 0)):
        one = values[tuple(slice(max(a, 0), n + min(a, 0)) for a, n in zip(lag, volume.shape, strict=True))]
        two = values[tuple(slice(max(-a, 0), n + min(-a, 0)) for a, n in zip(lag, volume.shape, strict=True))]
        expected = (one * two).mean() / (values**2).mean()
        assert found[tuple(reach + a for a in lag)] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(found, found[::-1, ::-1, ::-1], atol=1e-12)
    assert found.shape == (2 * reach + 1,) * 3


def test_autocorrelation_of_smoothed_noise_is_that_of_its_kernel():
    # Gaussian of σ along z: correlation exp(-lag² / 4σ²); along y, where it was not smoothed, none.
    found = autocorrelation(coloured(4), 2)
    errors = 4 * 2 / SHAPE[0] ** 0.5 / (SHAPE[1] * SHAPE[2]) ** 0.5
    assert found[3, 2, 2] == pytest.approx(np.exp(-1 / 4), abs=errors + 0.01)
    assert found[2, 3, 2] == pytest.approx(0, abs=errors)


def test_a_wedge_that_is_not_missing_is_told():
    reference = without_wedge(white(5))
    floor = spectrum_distance(without_wedge(white(6)), reference)
    whole = spectrum_distance(white(7), reference)
    # Half of Fourier space is empty: there log((1 + 0.01) / 0.01), and elsewhere log 2.
    assert whole == pytest.approx(0.5 * np.log(101) + 0.5 * np.log(2), rel=0.15)
    assert floor < 0.1 * whole
    turned = np.swapaxes(without_wedge(white(6, (32, 48, 32))), 0, 2)
    assert spectrum_distance(turned, without_wedge(white(5, (32, 48, 32)))) > 10 * floor


def test_power_of_cells():
    noise = white(8)
    assert spectrum_distance(noise, noise) == 0
    assert spectrum_distance(noise + 7, noise) == pytest.approx(0, abs=1e-6)
    assert spectrum_distance(1.1 * noise, noise) == pytest.approx(np.log(1.21), abs=0.005)
    # Two draws: |log| of a ratio of means of m exponential variables, about √(4 / π m); here m = 48 kys.
    found = spectrum_distance(white(9), noise, (0, 1, 0))
    assert found == pytest.approx((4 / np.pi / SHAPE[1]) ** 0.5, rel=0.2)
    with pytest.raises(ValueError, match="no cells in common"):
        spectrum_distance(noise, noise[1:])


def test_volumes_are_left_as_they_were_and_bad_ones_refused():
    a, b = white(10), coloured(10)
    before = a.copy(), b.copy()
    for distance in (histogram_distance, autocorrelation_distance, spectrum_distance):
        distance(a, b)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])
    for wrong in (np.ones(SHAPE), white(0)[:3]):
        with pytest.raises(ValueError, match="no autocorrelation"):
            autocorrelation(wrong, 3)
