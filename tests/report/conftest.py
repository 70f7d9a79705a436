from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitreous.report import DenoiseEvidence, LossCurve, NoiseCurve, slices_for_display, xz_power_spectrum

SHAPE = (24, 30, 40)


def build_evidence(**changes: Any) -> DenoiseEvidence:
    """A small denoise run: a bright ball in noise, its mean filter, and every kind of evidence."""
    rng = np.random.default_rng(3)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    truth = np.exp(-((z - 12) ** 2 + (y - 15) ** 2 + (x - 20) ** 2) / 60.0).astype(np.float32)
    noisy = truth + rng.normal(0, 0.5, SHAPE).astype(np.float32)
    denoised = (noisy + np.roll(noisy, 1, 2) + np.roll(noisy, -1, 2) + np.roll(noisy, 1, 1)) / 4
    f = np.linspace(0.02, 0.5, 20)
    values: dict[str, Any] = {
        "title": "Denoising of ball.mrc",
        "summary": {"Input": "ball.mrc", "Method": "noise-model – the default", "Seed": "0"},
        **slices_for_display(noisy, denoised, truth, per_axis=5),
        "voxel_spacing_angstrom": (10.0, 10.0, 10.0),
        "spectrum_before": xz_power_spectrum(noisy),
        "spectrum_after": xz_power_spectrum(denoised),
        "noise_spectrum_image": xz_power_spectrum(noisy - truth),
        "noise_curve": NoiseCurve(f, np.full(20, 0.25), 0.25 + np.exp(-f * 20), np.full(20, 0.2), None),
        "residual_check": {"agrees": True, "message": "The ratio is 0.98.", "ratio": 0.98},
        "loss": LossCurve(np.arange(80), 1 / (1 + np.arange(80.0)), np.array([0, 40]), np.array([1.0, 0.1])),
        "fsc": {"noisy": (f, 1 - f * 2), "denoised": (f, 1 - f**2)},
        "scores": {"noisy": {"psnr": 11.25, "cc": 0.4}, "denoised": {"psnr": 20.5, "cc": 0.8, "ssim": 0.7}},
        "histograms": {"before": np.histogram(noisy, 20)[::-1]},
        "replay_command": "vitreous denoise ball.mrc -o out.mrc --seed 0",
        "citations": ("The authors. A paper.",),
    }
    return DenoiseEvidence(**{**values, **changes})


@pytest.fixture
def make_evidence() -> Callable[..., DenoiseEvidence]:
    return build_evidence
