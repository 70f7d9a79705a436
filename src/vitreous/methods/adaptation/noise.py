"""The noise generation module: how strong the target's noise is, and noise like it (vox-uda, III-A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from vitreous.fourier import patch_spectra, symmetrize
from vitreous.methods.noise_model.spectrum import INNER_SHARE, best_fit, highest_frequency, without_gold

Passed = Literal["cube", "complement"]
Reading = Literal["variance-of-mean", "mean-of-variance", "calibrated"]
NoiseKind = Literal["none", "gaussian", "poisson", "speckle", "spectrum"]

AXES = (-3, -2, -1)
MEASURED = 0.2  # of the median power of what the filter keeps


def high_pass(shape: Sequence[int], share: float, passed: Passed = "cube") -> Tensor:
    """H of vox-uda eq. 3 in FFT order, real and symmetric, so that filtered volumes are real.

    Parameters
    ----------
    shape
        (z, y, x).
    share
        ρ. The published 8.4, 17.8, 24.4 and 42.2 % are (14, 18, 20 and 24 ÷ 32)³, cubes of a grid of 32³.
    passed
        "cube" keeps the share ρ of the grid that is around its highest frequencies; "complement" removes
        the share ρ around zero and keeps the rest.

    Examples
    --------
    >>> [round(float(high_pass((32, 32, 32), 0.244, kind).mean()), 3) for kind in ("cube", "complement")]
    [0.244, 0.756]
    """
    transfer = torch.ones(())
    for axis, side in enumerate(shape):
        count = round(side * share ** (1 / 3))
        start = (side - count) // 2
        inside = torch.zeros(side)
        inside[start : start + count] = 1  # around the middle of the FFT order: the highest frequencies
        if passed == "complement":
            inside = inside.roll(side // 2)
        transfer = transfer * inside.reshape([-1 if i == axis else 1 for i in range(3)])
    transfer = symmetrize(transfer)  # an even count cannot be symmetric: its edges pass half
    return 1 - transfer if passed == "complement" else transfer


def high_passed(values: Tensor, share: float, passed: Passed = "cube") -> Tensor:
    """Volumes (n, 1, z, y, x) without their low frequencies (vox-uda eqs 2 to 4)."""
    transfer = high_pass(values.shape[-3:], share, passed).to(values.device)
    filtered: Tensor = torch.fft.ifftn(torch.fft.fftn(values.float(), dim=AXES) * transfer, dim=AXES).real
    return filtered


def noise_variance(
    values: Tensor, share: float, passed: Passed = "cube", reading: Reading = "calibrated"
) -> float:
    """σ_t² of vox-uda eq. 5 from sampled volumes of the target.

    Parameters
    ----------
    values
        (n, 1, z, y, x), standardized.
    share, passed
        Of `high_pass`.
    reading
        "variance-of-mean" averages the filtered volumes first, as published, which divides the variance
        of independent noise by their number. "mean-of-variance" averages the variances. "calibrated" also
        divides by the share of the measured part of Fourier space that the filter keeps, as a filter
        that keeps a part of white noise keeps that part of its variance.
    """
    noise = high_passed(values, share, passed)
    if reading == "variance-of-mean":
        return float(noise.mean(0).var(correction=0))
    variance = float(noise.var(dim=(1, 2, 3, 4), correction=0).mean())
    if reading == "mean-of-variance":
        return variance
    squared = high_pass(values.shape[-3:], share, passed).square()
    power = torch.fft.fftn(values.float().cpu(), dim=AXES).abs().square().mean(dim=(0, 1))
    measured = (power > MEASURED * power[squared > 0].median()).float()
    kept = float((squared * measured).sum() / measured.sum().clamp_min(1))
    return variance / max(kept, 1e-6)


def generated_noise(source: Tensor, variance: float, kind: NoiseKind, generator: torch.Generator) -> Tensor:
    """ε for source volumes (n, 1, z, y, x): what is added to them (vox-uda eqs 5, 6 and 15).

    "gaussian" is N(0, σ²), "poisson" counts of mean σ, which is their variance too, and "speckle" is
    x · N(0, σ²).

    Raises
    ------
    ValueError
        For a kind that is not drawn from a variance alone.
    """
    if kind == "poisson":
        rate = torch.full(source.shape, variance**0.5)
        return torch.poisson(rate, generator=generator).to(source.device)
    if kind not in ("gaussian", "speckle"):
        raise ValueError(f"{kind} noise is not drawn from a variance")
    noise = variance**0.5 * torch.randn(source.shape, generator=generator).to(source.device)
    made: Tensor = source * noise if kind == "speckle" else noise
    return made


def sampled_spectrum(values: Tensor) -> Tensor:
    """Noise power spectrum of volumes (n, 1, z, y, x) in FFT order, as the noise model estimates it.

    The mean of it is the variance of the noise; see `methods.noise_model`.
    """
    spectra = patch_spectra(values[:, 0].cpu())
    inner = INNER_SHARE * highest_frequency(spectra.mean(0))
    power, _, _ = best_fit(without_gold(spectra, inner), inner)
    return power
