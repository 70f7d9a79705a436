"""Scores that need a form of their own: of separate halves, and of standardized volumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vitreous.benchmark.cases import Case, CaseKind, make_case
from vitreous.benchmark.contestants import binning_of, denoised, trained_on_pairs, training_cases
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record
from vitreous.benchmark.scores import BORDER, score
from vitreous.core import Progress
from vitreous.methods.noise2noise import PairConfig
from vitreous.metrics import fourier_shell_correlation, fsc_resolution, psnr, ssim
from vitreous.workflows.denoise import Source, standardized

Array = NDArray[np.float32]
OTHER_HALF = 500_000  # what the seed of the second half has more
TOPAZ_WIDTHS = {"topaz-small": 8, "topaz-large": 24}


def measure_halves(kind: CaseKind, seed: int, method: str, progress: Progress) -> Record:
    """Denoise either frame half for itself; their FSC, and that of their mean with the truth."""
    case = make_case(kind, seed)
    results = []
    with measured_cost() as cost:
        for number, half in enumerate(case.halves):
            alone = replace(case, noise=half - case.clean)
            own = seed + number * OTHER_HALF  # else both would be given the same draws of noise
            results.append(denoised(kind, alone, own, method, progress)[0])
    curve = fourier_shell_correlation(results[0], results[1])
    found = score(case, np.float32(0.5) * (results[0] + results[1]))
    return {**found, "halves_angstrom": fsc_resolution(curve, case.ground.spacing_angstrom), **cost}


def measure_standardized(kind: CaseKind, seed: int, method: str, progress: Progress) -> Record:
    """PSNR and SSIM of standardized volumes against the grand model, as the DUAL paper scores them."""
    case = with_grand_model(make_case(kind, seed))
    if method in TOPAZ_WIDTHS:
        training_cases(kind)
    with measured_cost() as cost:
        result = denoised_or_topaz(kind, case, seed, method, progress)
    cut = (slice(BORDER, -BORDER),) * 3
    found, truth = standard(result[cut]), standard(case.clean[cut])
    data_range = float(np.ptp(truth))
    plain = {f"plain_{k}": v for k, v in score(case, result).items() if k in ("psnr", "ssim")}
    scores = {
        "psnr": psnr(found, truth, data_range=data_range),
        "ssim": ssim(found, truth, data_range=data_range),
    }
    return {**scores, **plain, **cost}


def with_grand_model(case: Case) -> Case:
    """The case with its specimen's density as the truth, in contrast and units of the reconstruction."""
    density = case.ground.density - case.ground.density.mean()
    slope = float((density * case.clean).mean() / density.var())
    clean = np.float32(slope) * density + case.clean.mean()
    return replace(case, clean=clean, noise=case.noisy - clean)


def denoised_or_topaz(kind: CaseKind, case: Case, seed: int, method: str, progress: Progress) -> Array:
    """What a method makes of a case, the names of `TOPAZ_WIDTHS` included."""
    if method in TOPAZ_WIDTHS:
        return topaz_like(kind, case, seed, TOPAZ_WIDTHS[method], progress)
    return denoised(kind, case, seed, method, progress)[0]


def standard(volume: Array) -> Array:
    """The volume with mean 0 and deviation 1."""
    result: Array = (volume - volume.mean()) / volume.std()
    return result


def topaz_like(kind: CaseKind, case: Case, seed: int, width: int, progress: Progress) -> Array:
    """A Noise2Noise U-Net trained on the halves of other tomograms, as general models are.

    It sees the case binned as the noise model does.
    """
    volumes = []
    for other in training_cases(kind):
        halves = [replace(other.volume, data=half) for half in other.halves]
        volumes.append(standardized(Source(other.volume, halves[0], halves[1]), needs_target=True)[0])
    config = PairConfig(width=width, binning=binning_of(case))
    return trained_on_pairs(volumes, case.noisy, config, seed, progress)
