"""Swapping amplitudes: what changes, what stays, and the share of the spectrum (fda)."""

import numpy as np
import pytest
import torch

from vitreous.fourier import with_amplitude_of


def volumes(seed, side=10):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 1, side, side, side))).float()


@pytest.mark.parametrize(("share", "half"), [(0.1, 1), (0.2, 2), (0.35, 3)])
def test_low_amplitudes_are_the_others_and_phases_stay(share, half):
    """On a grid of 10, L = 0.1 swaps |k| ≤ 1 along each axis: 27 of 1000 frequencies."""
    ours, others = volumes(0), volumes(1)
    mixed = with_amplitude_of(ours, others, share)
    spectra = [np.fft.fftn(v[0, 0].numpy()) for v in (mixed, ours, others)]
    k = np.abs(np.fft.fftfreq(10) * 10).round()
    low = (k[:, None, None] <= half) & (k[:, None] <= half) & (k <= half)
    assert low.sum() == (2 * half + 1) ** 3
    expected = np.where(low, np.abs(spectra[2]), np.abs(spectra[1]))
    np.testing.assert_allclose(np.abs(spectra[0]), expected, atol=1e-3)
    phases = [spectrum / np.abs(spectrum) for spectrum in spectra]
    np.testing.assert_allclose(phases[0], phases[1], atol=1e-3)
