"""Weighted back-projection and SIRT: what they recover, and that SIRT converges."""

import numpy as np
import pytest

from vitreous.core import Interrupted, SilentProgress
from vitreous.fourier import measured_region
from vitreous.simulate import TiltGeometry, crowd, sirt, weighted_back_projection, white_noise
from vitreous.simulate.projection import angular_weights

SIDE, HEIGHT = 80, 40
LIMITED = range(-60, 61, 3)


@pytest.fixture(scope="module")
def density():
    """Packed complexes and a bilayer: content up to the Nyquist frequency."""
    structures = ("rubisco", "hsp90", "apoferritin")
    return crowd((SIDE, HEIGHT, SIDE), occupancy=0.18, seed=0, structures=structures, sheets=1).density


def projections(density, tilts, oversampling=4):
    return TiltGeometry(len(density), density.shape[2], tilts, oversampling=oversampling).project(density)


def inside(volume):
    """The voxels of the sphere (here: the cylinder about y) that every tilt sees whole."""
    return volume.transpose(1, 0, 2)[:, disc()]


def disc():
    offset = np.arange(SIDE) - (SIDE - 1) / 2
    return np.hypot(offset[:, None], offset[None]) < SIDE / 2 - 2


def correlation(first, second):
    return np.corrcoef(inside(first).ravel(), inside(second).ravel())[0, 1]


def test_noise_free_full_range_gives_the_density_back(density):
    tilts = np.arange(-90, 90, 2)
    series = projections(density, tilts)
    volume = weighted_back_projection(series, tilts, SIDE)
    assert volume.dtype == np.float32
    assert correlation(volume, density) >= 0.98
    slope = np.polyfit(inside(density).ravel(), inside(volume).ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.03)  # values, not only shapes
    assert correlation(weighted_back_projection(series[::-1], tilts, SIDE), density) < 0.7
    # Near Nyquist the oversampled operator keeps what linear interpolation loses.
    plain = TiltGeometry(SIDE, SIDE, tilts)
    linear = plain.reconstruct(plain.project(density))
    assert high_gain(volume, density) > 0.9
    assert high_gain(linear, density) < 0.85


def high_gain(volume, density):
    """Regression of the volume on the density between 0.3 and 0.4 cycles/voxel across the tilt axis."""
    frequency = np.fft.fftfreq(SIDE)
    radius = np.hypot(frequency[:, None], frequency[None])
    ring = (radius > 0.3) & (radius < 0.4)
    got, truth = (
        np.fft.fft2(v * disc()[:, None], axes=(0, 2)).transpose(1, 0, 2)[:, ring] for v in (volume, density)
    )
    return np.vdot(truth, got).real / np.vdot(truth, truth).real


@pytest.mark.parametrize(
    ("depth", "width", "tilts"), [(20, 33, LIMITED), (31, 24, [-70.5, 3.0, 12.0]), (9, 6, [0.0])]
)
def test_the_oversampled_operators_are_adjoint(depth, width, tilts):
    rng = np.random.default_rng(0)
    geometry = TiltGeometry(depth, width, tilts, oversampling=4)
    volume = rng.standard_normal((depth, 5, width), dtype=np.float32)
    series = rng.standard_normal((len(tilts), 5, width), dtype=np.float32)
    forward = np.vdot(geometry.project(volume).astype(np.float64), series)
    backward = np.vdot(volume, geometry.back_project(series).astype(np.float64))
    assert abs(forward - backward) / (np.linalg.norm(volume) * np.linalg.norm(series)) < 1e-5


def test_sirt_converges_and_beats_back_projection_where_angles_are_missing(density):
    series = projections(density, LIMITED)
    result = sirt(series, LIMITED, SIDE, iterations=30)
    assert (np.diff(result.residuals) < 0).all()
    assert result.residuals[0] == pytest.approx(1)
    assert result.residuals[-1] < 0.1
    back_projected = weighted_back_projection(series, LIMITED, SIDE)
    error, other = (np.linalg.norm(inside(v - density)) for v in (result.volume, back_projected))
    assert error < 0.95 * other
    positive = sirt(series, LIMITED, SIDE, iterations=30, nonnegative=True).volume
    assert positive.min() == 0
    assert np.linalg.norm(inside(positive - density)) < error
    # The reported residual is that of the volume that is returned.
    geometry = TiltGeometry(SIDE, SIDE, LIMITED, oversampling=4)
    left = np.linalg.norm(series - geometry.project(result.volume)) / np.linalg.norm(series)
    assert left == pytest.approx(result.residuals[-1], rel=0.3)


def test_the_order_of_the_images_does_not_matter(density):
    series, tilts = projections(density, LIMITED), np.array(LIMITED)
    order = np.random.default_rng(0).permutation(len(tilts))
    right = weighted_back_projection(series, tilts, SIDE)
    np.testing.assert_allclose(weighted_back_projection(series[order], tilts[order], SIDE), right, atol=1e-5)


@pytest.mark.parametrize("depth", [SIDE // 2, SIDE + 20])
def test_another_depth_is_the_same_volume_cut_or_extended(density, depth):
    series = projections(density, LIMITED)[:, :4]
    whole, other = (weighted_back_projection(series, LIMITED, n) for n in (SIDE, depth))
    kept = min(depth, SIDE)
    cut = [v[(len(v) - kept) // 2 : (len(v) + kept) // 2] for v in (whole, other)]
    np.testing.assert_allclose(*cut, atol=1e-4)
    slim, full = (sirt(series, LIMITED, n, iterations=2).volume for n in (depth, SIDE))
    assert slim.shape == (depth, 4, SIDE)
    assert full.shape == (SIDE, 4, SIDE)


def test_windows_damp_high_frequencies(density):
    series = projections(density, LIMITED)
    plain = weighted_back_projection(series, LIMITED, SIDE)
    for options in ({"window": "hamming"}, {"cutoff": 0.25}):
        damped = weighted_back_projection(series, LIMITED, SIDE, **options)
        assert high_gain(damped, density) < 0.75 * high_gain(plain, density)


def test_white_noise_in_the_images_lies_in_the_measured_region_and_grows_with_frequency():
    images = white_noise((len(LIMITED), 48, 64), np.random.default_rng(0))
    noise = weighted_back_projection(images, LIMITED, 64)
    power = np.abs(np.fft.fftn(noise)) ** 2
    measured = measured_region(noise.shape, (-60, 60)).numpy()
    kz, ky, kx = (np.abs(np.fft.fftfreq(n)) for n in noise.shape)
    across = np.hypot(kz[:, None, None], kx[None, None, :]) + 0 * ky[None, :, None]
    band = (across > 0.1) & (across < 0.4)
    assert power[band & ~measured].mean() < 0.08 * power[band & measured].mean()
    low, high = (across > 0.03) & (across < 0.08), (across > 0.2) & (across < 0.3)
    ratio = power[low & measured].mean() / power[high & measured].mean()
    assert 0.1 < ratio < 0.5  # white noise would give 1


def test_weights_follow_the_angles():
    np.testing.assert_allclose(np.rad2deg(angular_weights([0, 3, 6, 8, 10])), [3, 3, 2.5, 2, 2], rtol=1e-5)
    # A gap does not make its neighbours count without bound.
    np.testing.assert_allclose(np.rad2deg(angular_weights([0, 2, 4, 6, 40])), [2, 2, 2, 4, 4], rtol=1e-5)
    np.testing.assert_allclose(
        np.rad2deg(angular_weights([3, 0, 0, 0, 0, 6])), [3, *[0.75] * 4, 3], rtol=1e-5
    )
    np.testing.assert_allclose(angular_weights([5.0]), [1])


def test_bad_arguments_are_refused():
    series = np.zeros((3, 4, 16), np.float32)
    with pytest.raises(ValueError, match="tilt angles"):
        weighted_back_projection(series, (0, 1), 8)
    with pytest.raises(ValueError, match="tilt angles"):
        sirt(series, (0, 1), 8)
    with pytest.raises(ValueError, match="window"):
        weighted_back_projection(series, (0, 1, 2), 8, window="hann")
    for wrong in ({"iterations": 0}, {"relaxation": 2.0}):
        with pytest.raises(ValueError, match="SIRT"):
            sirt(series, (0, 1, 2), 8, **wrong)


@pytest.mark.parametrize("method", [weighted_back_projection, sirt])
def test_the_user_can_stop(method):
    class Impatient(SilentProgress):
        def should_stop(self):
            return True

    with pytest.raises(Interrupted):
        method(np.zeros((3, 4, 16), np.float32), (0, 1, 2), 8, progress=Impatient())
