"""Band-limited resampling, judged by waves and by the noise it leaves."""

import pytest
import torch

from vitreous.fourier import (
    NoiseGenerator,
    crop_spectrum,
    frequency_axes,
    frequency_radius,
    resample,
    shell_means,
)


def wave(shape, cycles):
    grids = torch.meshgrid(*(torch.arange(n) / n for n in shape), indexing="ij")
    return torch.cos(2 * torch.pi * sum(c * g for c, g in zip(cycles, grids, strict=True)) + 0.3)


@pytest.mark.parametrize("shape", [(8, 12, 10), (32, 40, 48), (16, 24, 10)])
def test_waves_below_both_nyquist_frequencies_are_kept_exactly(shape):
    cycles = (2, -3, 4)
    assert (resample(wave((16, 20, 24), cycles), shape) - wave(shape, cycles)).abs().max() < 1e-5


def test_waves_above_the_new_nyquist_frequency_do_not_alias():
    assert resample(wave((16, 16, 16), (1, 6, 0)), (16, 8, 16)).abs().max() < 1e-5
    assert resample(wave((16, 16, 16), (1, 4, 0)), (16, 8, 16)).abs().max() < 1e-5  # at Nyquist


def test_there_and_back_is_a_lowpass_that_repeats_itself():
    volume = torch.randn(16, 20, 24, generator=torch.Generator().manual_seed(0))
    once = resample(resample(volume, (8, 10, 12)), volume.shape)
    twice = resample(resample(once, (8, 10, 12)), volume.shape)
    assert (once - twice).abs().max() < 1e-5
    assert (resample(resample(volume, (32, 40, 48)), volume.shape) - volume).std() < 0.5 * volume.std()
    assert torch.equal(resample(torch.zeros(4, 4, 4), (8, 8, 8)), torch.zeros(8, 8, 8))


def test_cropped_spectrum_is_that_of_resampled_noise():
    spectrum = 0.3 + 2 * torch.exp(-((frequency_radius((32, 32, 32)) / 0.2) ** 2))
    fields = NoiseGenerator(spectrum, (32, 32, 32)).draw(torch.Generator().manual_seed(0), 30)
    coarse = torch.stack([resample(f, (16, 16, 16)) for f in fields])
    powers = torch.fft.fftn(coarse, dim=(1, 2, 3)).abs().square() / 16**3
    expected, edges = crop_spectrum(spectrum, 2), [0.0, 0.1, 0.2, 0.3, 0.45]
    assert expected.shape == (16, 16, 16)
    shares = torch.stack([shell_means(p / expected, edges) for p in powers])
    errors = (shares.mean(0) - 1).abs() / (shares.std(0) / 30**0.5)
    assert errors.max() < 4
    wrong = torch.stack([shell_means(p / (expected * 8), edges) for p in powers])  # without the factor
    assert ((wrong.mean(0) - 1).abs() / (wrong.std(0) / 30**0.5)).min() > 8


@pytest.mark.parametrize("shape", [(32, 32, 32), (16, 32, 32)])
@pytest.mark.parametrize("factor", [2, 3])
def test_cropped_spectrum_keeps_its_frequencies(shape, factor):
    """S(k) = 1 + cos(2π·a·k) on the fine grid is 1 + cos(2π·a·k/factor) on the coarse one, per axis."""

    def spectrum(sides, scale):
        parts = [1 + torch.cos(2 * torch.pi * 2 * f / scale) for f in frequency_axes(sides)]
        return parts[0] * parts[1] * parts[2]

    coarse = crop_spectrum(spectrum(shape, 1), factor)
    expected = spectrum(coarse.shape, factor) / factor**3
    assert (coarse - expected).abs().max() < 0.03 * expected.max()
