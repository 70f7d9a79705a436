"""What is measured of a result against its case."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.benchmark.cases import Case
from vitreous.core import measure_voxels
from vitreous.fourier import frequency_radius, shell_means
from vitreous.fourier.spectrum import hann_window
from vitreous.methods import CLASSICAL
from vitreous.methods.noise_model import estimate_noise_spectrum
from vitreous.methods.noise_model.spectrum import PATCH_SIDE, patch_starts
from vitreous.metrics import (
    correlation,
    fourier_shell_correlation,
    fsc_resolution,
    inside_outside_contrast,
    psnr,
    ssim,
)
from vitreous.workflows.denoise import Source, standardized

BORDER = 8  # voxels left out at each face: back-projection is incomplete there
LOW_FREQUENCY = 0.066
SHELL_EDGES = tuple(0.05 * i for i in range(11))

Array = NDArray[np.float32]

# Filters with the one setting that is tuned on the reference: an upper bound of what each can do. bm4d takes
# the noise spectrum and has none: given white noise instead it was worse in both cases that were tried.
TUNED_FILTERS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "gaussian": ("sigma", (0.5, 0.7, 0.9, 1.1, 1.4, 1.7, 2.0, 2.4, 2.8, 3.4, 4.0)),
    "lowpass": ("resolution_angstrom", (25, 30, 37, 45, 55, 67, 83, 100, 125, 167)),
    "median": ("size", (3, 5, 7)),
    "bilateral": ("range_over_noise", (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 20.0)),
    "nad": ("steps", (3, 5, 7, 10, 14, 20)),
    "nlm": ("tolerance_over_noise", (0.3, 0.45, 0.6, 0.8, 1.1, 1.5, 2.2, 3.5)),
}


def score(case: Case, result: Array) -> dict[str, float]:
    """Fidelity inside the border, and what is left of the low frequencies.

    `resolution_angstrom` is where the FSC with the truth falls below 0.5, `low_fsc` the mean FSC below 0.066
    cycles/voxel, `low_gain` the regression coefficient of the result on the truth there, `contrast` the
    inside/outside contrast as a share of the truth's.
    """
    cut = (slice(BORDER, -BORDER),) * 3
    r, clean, noisy = result[cut], case.clean[cut], case.noisy[cut]
    frequency, curve = fourier_shell_correlation(result, case.clean)
    spectrum, truth = np.fft.fftn(result), np.fft.fftn(case.clean)
    radius = frequency_radius(result.shape).numpy()
    low = (radius > 0) & (radius < LOW_FREQUENCY)
    gain = (spectrum[low] * truth[low].conj()).sum().real / (np.abs(truth[low]) ** 2).sum()
    inside = case.ground.inside[cut]
    value = psnr(r, clean, data_range=case.data_range)
    return {
        "psnr": value,
        "delta_psnr": value - psnr(noisy, clean, data_range=case.data_range),
        "ssim": ssim(r, clean, data_range=case.data_range),
        "cc": correlation(r, clean),
        "resolution_angstrom": fsc_resolution((frequency, curve), case.ground.spacing_angstrom),
        "low_fsc": float(curve[frequency < LOW_FREQUENCY].mean()),
        "low_gain": float(gain),
        "contrast": inside_outside_contrast(r, inside) / inside_outside_contrast(clean, inside),
    }


def score_complete(case: Case, result: Array) -> dict[str, float]:
    """Fidelity inside the border to the specimen itself, wedge and all, where noise was added to it."""
    cut = (slice(BORDER, -BORDER),) * 3
    return {"psnr_complete": psnr(result[cut], case.ground.density[cut], data_range=case.data_range)}


def best_filter(case: Case, name: str) -> tuple[Array, Any, float]:
    """What a filter makes of a case, with the setting that the reference asks for, and how long that took."""
    field, values = TUNED_FILTERS[name]
    volume, _ = standardized(Source(case.volume), needs_target=False)
    cut = (slice(BORDER, -BORDER),) * 3

    def filtered(value: Any) -> tuple[Array, Any, float]:
        begun = time.monotonic()
        prepared = CLASSICAL[name](**{field: value}).prepare(volume)
        result = case.noisy
        for _ in range(prepared.repeats):
            result = prepared.apply(result)
        return result, value, time.monotonic() - begun

    tries = map(filtered, values)
    return max(tries, key=lambda t: psnr(t[0][cut], case.clean[cut], data_range=case.data_range))


def spectrum_ratios(case: Case) -> dict[str, float]:
    """Estimated over true noise power per shell of |k|, where the truth exceeds 5 % of its mean."""
    statistics = measure_voxels(case.noisy)
    estimate = estimate_noise_spectrum(case.noisy, statistics.normalization).power
    deviation = statistics.normalization.deviation
    shape = (PATCH_SIDE,) * 3
    window = hann_window(shape)
    starts = patch_starts(case.noise.shape, shape)
    truth = torch.zeros(shape)
    for start in starts:
        block = torch.from_numpy(case.noise[tuple(slice(s, s + PATCH_SIDE) for s in start)] / deviation)
        truth += torch.fft.fftn(block * window).abs().square() / block.numel() / len(starts)
    weights = (truth > 0.05 * truth.mean()).float()
    ratios = shell_means(estimate, SHELL_EDGES, weights) / shell_means(truth, SHELL_EDGES, weights)
    return {
        f"{low:.2f}-{low + 0.05:.2f}": float(r) for low, r in zip(SHELL_EDGES, ratios.tolist(), strict=False)
    }
