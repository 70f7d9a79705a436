"""Fourier shell correlation: closed forms, statistics, and a direct evaluation on the full transform."""

import numpy as np
import pytest

from vitreous.metrics import (
    band_correlation,
    fourier_shell_correlation,
    fsc_resolution,
    masked_fsc,
    phase_randomized,
)


def noise(shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


def direct(a, b):
    """The textbook sum over whole shells of the full transform."""
    fa, fb = np.fft.fftn(a), np.fft.fftn(b)
    n = min(a.shape)
    grids = np.meshgrid(*(np.fft.fftfreq(s) for s in a.shape), indexing="ij")
    shell = np.rint(np.sqrt(sum(g**2 for g in grids)) * n).astype(int)
    curve = []
    for s in range(1, n // 2 + 1):
        x, y = fa[shell == s], fb[shell == s]
        curve.append((x * y.conj()).sum().real / np.sqrt((abs(x) ** 2).sum() * (abs(y) ** 2).sum()))
    return np.array(curve)


@pytest.mark.parametrize("shape", [(16, 16, 16), (15, 17, 20), (12, 20, 15)])
def test_against_the_full_transform(shape):
    a = noise(shape, 0)
    b = a + noise(shape, 1)
    frequency, curve = fourier_shell_correlation(a, b)
    np.testing.assert_allclose(curve, direct(a, b), atol=1e-5)
    np.testing.assert_allclose(frequency, np.arange(1, min(shape) // 2 + 1) / min(shape))


@pytest.mark.parametrize("side", [10, 49, 98, 100, 186])
def test_every_shell_up_to_nyquist_is_there(side):
    volume = noise((side, side, max(side, 98)), 0)
    frequency, curve = fourier_shell_correlation(volume, volume)
    assert len(frequency) == len(curve) == min(volume.shape) // 2
    assert frequency[-1] <= 0.5 + 1e-12
    np.testing.assert_allclose(curve, 1, atol=1e-6)


@pytest.mark.parametrize(("side", "finest"), [(16, 20.0), (15, 150 / 7)])
def test_a_curve_that_never_falls_ends_with_the_last_shell(side, finest):
    volume = noise((side,) * 3, 0)
    assert fsc_resolution(fourier_shell_correlation(volume, volume), 10.0) == pytest.approx(finest)


def test_scale_does_not_matter_and_sign_does():
    a, b = noise((16, 16, 16), 0), noise((16, 16, 16), 1)
    curve = fourier_shell_correlation(a, a + b)[1]
    np.testing.assert_allclose(fourier_shell_correlation(5 * a, a + b)[1], curve, atol=1e-6)
    np.testing.assert_allclose(fourier_shell_correlation(-a, a + b)[1], -curve, atol=1e-6)


def test_independent_noise_is_within_four_standard_errors_of_zero():
    seeds = range(24)
    curves = np.array(
        [fourier_shell_correlation(noise((32,) * 3, 2 * s), noise((32,) * 3, 2 * s + 1))[1] for s in seeds]
    )
    four_errors = 4 * curves.std(0, ddof=1) / np.sqrt(len(curves))
    assert (np.abs(curves.mean(0)) < four_errors).all()
    assert (four_errors < 0.3).all()
    shared = [noise((32,) * 3, 100 + s) for s in seeds]
    wrong = np.array(
        [
            fourier_shell_correlation(
                noise((32,) * 3, 2 * s) + shared[s], noise((32,) * 3, 2 * s + 1) + shared[s]
            )[1]
            for s in seeds
        ]
    )
    assert (wrong.mean(0) > 4 * wrong.std(0, ddof=1) / np.sqrt(len(wrong))).all()
    assert wrong[:, 4:].mean() == pytest.approx(0.5, abs=0.02)  # signal and noise of equal power


def test_a_mask_restricts_the_sums():
    a, b = noise((16, 16, 16), 0), noise((16, 16, 16), 1)
    mask = np.zeros((16, 16, 9), bool)
    mask[:, :, :3] = True
    transform = np.where(mask, np.fft.rfftn(a), np.fft.rfftn(b))
    mixed = np.fft.irfftn(transform, s=a.shape, axes=(0, 1, 2))
    inside = fourier_shell_correlation(a, mixed, mask=mask)[1]
    assert inside[0] == pytest.approx(1, abs=1e-5)
    assert inside[:8].min() > 0.99  # kx = 0 must be its own mirror image: only rounding is lost
    assert fourier_shell_correlation(a, mixed)[1][-1] < 0.9


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shapes differ"):
        fourier_shell_correlation(np.zeros((8, 8, 8)), np.zeros((8, 8, 9)))


def test_empty_shells_are_zero_not_nan():
    assert (fourier_shell_correlation(np.zeros((8, 8, 8)), noise((8, 8, 8), 0))[1] == 0).all()


def test_resolution_is_interpolated():
    frequency = np.array([0.1, 0.2, 0.3, 0.4])
    values = np.array([1.0, 0.8, 0.4, 0.9])
    crossing = 0.2 + 0.1 * (0.8 - 0.5) / (0.8 - 0.4)  # the first crossing counts
    assert fsc_resolution((frequency, values), 10.0) == pytest.approx(10 / crossing)
    lower = 0.1 + 0.1 * (1 - 0.9) / 0.2
    assert fsc_resolution((frequency, values), 10.0, threshold=0.9) == pytest.approx(10 / lower)


def test_resolution_at_the_ends():
    frequency = np.array([0.25, 0.5])
    assert fsc_resolution((frequency, np.array([1.0, 0.9])), 4.0) == pytest.approx(8.0)
    assert fsc_resolution((frequency, np.array([0.1, 0.9])), 4.0) == float("inf")


@pytest.mark.parametrize("least", [0.0, 0.15])
def test_the_correlation_of_a_band_is_that_of_its_frequencies(least):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(12, 15, 14)) for _ in range(2))
    f = np.meshgrid(*(np.fft.fftfreq(n) for n in a.shape), indexing="ij")
    radius = np.sqrt(sum(x**2 for x in f))
    region = np.abs(f[0]) >= least
    keep = (radius >= 0.1) & (radius < 0.4) & region
    A, B = (np.fft.fftn(v)[keep] for v in (a, b))
    expected = (A * B.conj()).sum().real / np.sqrt((np.abs(A) ** 2).sum() * (np.abs(B) ** 2).sum())
    assert band_correlation(a, b, (0.1, 0.4), region[..., :8]) == pytest.approx(expected, abs=1e-6)


def soft_ball(side, radius):
    axis = np.arange(side) - side // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    return 0.5 * (1 + np.cos(np.pi * np.clip((distance - radius) / 3, 0, 1)))


def test_random_phases_keep_the_power_and_what_is_coarse():
    volume = noise((24, 24, 24), 0).astype(np.float32)
    changed = phase_randomized(volume, np.random.default_rng(1), 0.2)
    frequency, curve = fourier_shell_correlation(volume, changed)
    assert curve[frequency < 0.15].min() > 0.999
    assert np.abs(curve[frequency > 0.25]).max() < 0.2
    assert changed.std() == pytest.approx(volume.std(), rel=0.02)


def test_the_correction_takes_away_what_a_tight_mask_adds():
    """Two noise volumes share nothing; a mask on low-passed ones makes them look alike."""
    shared = noise((32, 32, 32), 5)
    transform = np.fft.rfftn(shared)
    radius = np.sqrt(
        sum(g**2 for g in np.meshgrid(*[np.fft.fftfreq(32)] * 2, np.fft.rfftfreq(32), indexing="ij"))
    )
    shared = np.fft.irfftn(transform * (radius < 0.12), s=(32,) * 3, axes=(0, 1, 2))
    shared *= 3 / shared.std()
    halves = [shared + noise((32, 32, 32), seed) + 4 for seed in (1, 2)]  # a constant, so that the mask shows
    found = masked_fsc(*halves, soft_ball(32, 8))
    beyond = found.frequency > 0.3
    assert abs(found.corrected[beyond].mean()) < 0.15
    assert found.corrected[found.frequency < 0.09].min() > 0.8
    assert found.frequency[0] < found.randomized_beyond < 0.3
