"""Power spectra and the noise drawn from them, within four standard errors."""

import numpy as np
import pytest
import torch

from vitreous.fourier import (
    NoiseGenerator,
    frequency_axes,
    frequency_radius,
    interpolate_spectrum,
    patch_spectra,
    shell_means,
    symmetrize,
)
from vitreous.fourier.spectrum import hann_window

EDGES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9]


def coloured(shape):
    """A spectrum that varies by a factor of nine, symmetric under k → -k but under no single mirror."""
    kz, ky, kx = frequency_axes(shape)
    angle = 2 * np.pi
    return (
        1
        + 0.5 * torch.cos(angle * kz) * torch.cos(angle * kx)
        + 0.3 * torch.sin(angle * kz) * torch.sin(angle * kx)
        + 0.2 * torch.cos(2 * angle * ky)
    )


def draws(spectrum, shape, count, seed=0):
    return NoiseGenerator(spectrum, shape).draw(torch.Generator().manual_seed(seed), count)


def test_drawn_noise_has_the_spectrum_it_was_asked_for():
    shape, count = (24, 20, 16), 60
    spectrum = coloured(shape)
    fields = draws(spectrum, shape, count)
    powers = torch.fft.fftn(fields.double(), dim=(1, 2, 3)).abs().square() / fields[0].numel()

    def errors_from(expected):
        shells = torch.stack([shell_means(p / expected, EDGES) for p in powers]) - 1
        return (shells.mean(0) / (shells.std(0) / count**0.5)).abs()

    assert errors_from(spectrum).max() < 4
    assert errors_from(spectrum.mean().expand(shape)).max() > 8  # white noise of the same variance
    mirrored = spectrum.flip(0).roll(1, 0)
    corners = (frequency_axes(shape)[0] * frequency_axes(shape)[2] > 0.02).expand(shape)
    ratios = (powers[:, corners] / spectrum[corners]).mean(1)
    wrong = (powers[:, corners] / mirrored[corners]).mean(1)
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / count**0.5
    assert abs(wrong.mean() - 1) > 8 * wrong.std() / count**0.5  # the tilt of the spectrum keeps its sign


def test_variance_is_the_mean_of_the_spectrum_and_the_mean_is_zero():
    shape, count = (16, 18, 20), 80
    spectrum = coloured(shape)
    fields = draws(spectrum, shape, count, seed=1)
    variances, means = fields.square().mean((1, 2, 3)), fields.mean((1, 2, 3))
    assert abs(variances.mean() - spectrum.mean()) < 4 * variances.std() / count**0.5
    assert abs(variances.mean() - 1.1 * spectrum.mean()) > 4 * variances.std() / count**0.5
    assert abs(means.mean()) < 4 * means.std() / count**0.5


def test_noise_is_gaussian():
    values = draws(coloured((32, 32, 32)), (32, 32, 32), 8).flatten().double()
    values = values / values.std()
    # Neighbours are correlated: count the effective samples as a fifth of all.
    effective = values.numel() / 5
    assert abs(values.pow(3).mean()) < 4 * (6 / effective) ** 0.5
    assert abs(values.pow(4).mean() - 3) < 4 * (24 / effective) ** 0.5


def test_noise_is_periodic():
    """Across the wrap the neighbours are as correlated as anywhere else; in a cropped field they are not."""
    shape, count = (16, 16, 16), 100
    smooth = torch.exp(-((frequency_radius(shape) / 0.1) ** 2))
    fields = draws(smooth, shape, count)
    for axis in (1, 2, 3):
        across = (fields.select(axis, 0) * fields.select(axis, 15)).mean((1, 2))
        within = (fields.select(axis, 6) * fields.select(axis, 7)).mean((1, 2))
        spread = (across - within).std() / count**0.5
        assert abs((across - within).mean()) < 4 * spread
        cropped = (fields.select(axis, 0) * fields.select(axis, 8)).mean((1, 2))
        assert abs((cropped - within).mean()) > 4 * spread


def test_same_generator_same_bytes():
    spectrum = coloured((16, 16, 16))
    first, again, other = (draws(spectrum, (12, 14, 10), 2, seed=s) for s in (5, 5, 6))
    assert first.shape == (2, 12, 14, 10)
    assert first.dtype == torch.float32
    assert first.numpy().tobytes() == again.numpy().tobytes()
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("shape", [(5, 6, 7), (16, 16, 16), (40, 9, 32)])
@pytest.mark.parametrize("half", [False, True])
def test_interpolation_keeps_flat_spectra(shape, half):
    flat = interpolate_spectrum(torch.full((16, 8, 16), 3.0), shape, half=half)
    assert flat.shape == (*shape[:2], shape[2] // 2 + 1 if half else shape[2])
    assert (flat - 3).abs().max() < 1e-5


@pytest.mark.parametrize("shape", [(12, 20, 16), (9, 15, 21), (32, 32, 32), (48, 10, 7)])
def test_interpolation_keeps_symmetric_spectra_symmetric(shape):
    wild = symmetrize(torch.rand(16, 12, 16, generator=torch.Generator().manual_seed(0)))
    full = interpolate_spectrum(wild, shape)
    assert (full - symmetrize(full)).abs().max() < 1e-5
    half = interpolate_spectrum(wild, shape, half=True)
    assert (half - full[..., : shape[2] // 2 + 1]).abs().max() < 1e-5


def test_interpolation_onto_the_same_grid_is_the_identity():
    wild = symmetrize(torch.rand(16, 12, 14, generator=torch.Generator().manual_seed(0)))
    assert (interpolate_spectrum(wild, wild.shape) - wild).abs().max() < 1e-5


def test_interpolation_follows_a_smooth_spectrum():
    for shape in ((24, 30, 21), (64, 64, 64)):
        error = interpolate_spectrum(coloured((32, 32, 32)), shape) - coloured(shape)
        assert error.abs().max() < 0.02


def test_symmetrize():
    spectrum = torch.rand(6, 5, 8, generator=torch.Generator().manual_seed(0))
    result = symmetrize(spectrum)
    for k in ((1, 2, 3), (0, 4, 4), (3, 0, 7)):
        minus = tuple(-i % n for i, n in zip(k, spectrum.shape, strict=True))
        assert float(result[k]) == pytest.approx(float(spectrum[k] + spectrum[minus]) / 2, abs=1e-6)
    assert torch.equal(symmetrize(result), result)
    real = torch.fft.fftn(torch.randn(6, 5, 8, dtype=torch.float64)).abs()
    assert (symmetrize(real) - real).abs().max() < 1e-12


def test_patch_spectra_are_unbiased_for_white_noise_and_ignore_an_offset():
    generator = torch.Generator().manual_seed(0)
    patches = [2 * torch.randn(16, 14, 12, generator=generator) for _ in range(60)]
    spectra = patch_spectra(patches)
    assert spectra.shape == (60, 16, 14, 12)
    away = frequency_radius((16, 14, 12)) > 2.5 / 12  # the mean that is taken off spreads over the window
    powers = spectra[:, away].mean(1)
    assert abs(powers.mean() - 4) < 4 * powers.std() / 60**0.5
    assert powers.std() / 60**0.5 < 0.04
    shifted = patch_spectra([p + 100 for p in patches])
    assert (shifted - spectra).abs().max() < 1e-3 * spectra.max()


def test_window_has_unit_mean_square_and_falls_to_the_borders():
    window = hann_window((16, 8, 31))
    assert float(window.square().mean()) == pytest.approx(1, abs=1e-5)
    assert window[0].max() < 0.1 * window.max()
    assert (window - window.flip(0, 1, 2)).abs().max() < 1e-5
    assert window.min() > 0
