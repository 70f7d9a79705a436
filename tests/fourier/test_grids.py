"""Frequency grids and shell means."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from vitreous.fourier import frequency_axes, frequency_radius, shell_means


@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 3), (6, 1, 9)])
def test_axes_are_numpys(shape):
    for half in (False, True):
        axes = frequency_axes(shape, half=half)
        for axis, (f, side) in enumerate(zip(axes, shape, strict=True)):
            last = half and axis == 2
            np.testing.assert_allclose(
                f.flatten(), (np.fft.rfftfreq if last else np.fft.fftfreq)(side), atol=1e-7
            )
            assert f.shape[axis] == f.numel()


def test_a_wave_peaks_at_its_frequency():
    z, y, x = np.mgrid[:16, :16, :16]
    wave = torch.from_numpy(np.cos(2 * np.pi * (3 * z + 2 * y - 5 * x) / 16))
    peak = torch.fft.rfftn(wave).abs().argmax()
    radius = frequency_radius((16, 16, 16), half=True).flatten()[peak]
    assert float(radius) == pytest.approx(np.sqrt(9 + 4 + 25) / 16, abs=1e-6)


def test_shell_means_against_a_loop():
    values = torch.randn(12, 10, 9, generator=torch.Generator().manual_seed(0))
    weights = torch.rand(12, 10, 9, generator=torch.Generator().manual_seed(1))
    edges = [0.031, 0.13, 0.29, 0.47, 0.61]
    grids = np.meshgrid(*(np.fft.fftfreq(n) for n in values.shape), indexing="ij")
    radius = np.sqrt(sum(g**2 for g in grids))
    for w in (None, weights):
        expected = []
        for low, high in pairwise(edges):
            shell = (radius >= low) & (radius < high)
            expected.append(
                np.average(values.numpy()[shell], weights=None if w is None else w.numpy()[shell])
            )
        np.testing.assert_allclose(shell_means(values, edges, w), expected, rtol=1e-6)


def test_shell_means_of_a_constant_and_of_nothing():
    means = shell_means(torch.full((8, 8, 8), 2.5), [0.0, 0.01, 0.02, 0.4, 0.9, 2.0])
    assert means.dtype == torch.float64
    assert means[[0, 2, 3]].tolist() == [2.5] * 3
    assert means[[1, 4]].isnan().all()  # no frequency lies there
    assert shell_means(torch.ones(8, 8, 8), [0.1, 0.4], torch.zeros(8, 8, 8)).isnan().all()
