"""Measure everything that can be told from one tomogram."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Interrupted, Progress, SilentProgress, Spacing, Volume, measure_voxels
from vitreous.inference.coarse import LEAST_VOXELS, coarse_copy
from vitreous.io import volume_warnings
from vitreous.methods.noise_model import estimate_noise_spectrum
from vitreous.metrics import Polarity, find_outliers, measure_layer, measure_polarity
from vitreous.workflows.denoise import SMALLEST_SIDE
from vitreous.workflows.inspect.tilts import measured_tilt_range
from vitreous.workflows.inspect.values import Inspection, TiltRange

UNKNOWN_ANGSTROM = 10.0  # what shapes are judged as where the spacing is unknown; no length is told then
MOSTLY_NOISE = 0.97  # of the variance
LITTLE_NOISE = 0.3  # of the variance: below it protein stands out as gold does
STEEP_DEG = 3.0  # slopes of the specimen that are worth a word
READ_OFF_SIGNAL = "The tilt range is read off the signal, with y taken to be the tilt axis: check it."

Array = NDArray[np.float32]


def inspect_tomogram(volume: Volume, *, progress: Progress | None = None) -> Inspection:
    """Spacing, contrast, tilt range, noise, specimen and gold of one tomogram, each with its doubt.

    Nothing is refused: what cannot be told is None, and why is among the doubts.

    Parameters
    ----------
    volume
        May be memory-mapped; memory is bounded by a coarse copy of at most 17 million voxels.
    progress
        Receives the steps; silent by default.

    Raises
    ------
    Interrupted
        If the user stopped.

    Examples
    --------
    >>> white = np.random.default_rng(0).normal(size=(32, 48, 48)).astype(np.float32)
    >>> found = inspect_tomogram(Volume(white, 10.0))
    >>> found.tilt_range is None, found.polarity.protein, round(found.noise_share, 1)
    (True, 'unclear', 1.0)
    """
    report = progress or SilentProgress()
    doubts = list(volume_warnings(volume))
    spacing = known_spacing(volume.voxel_spacing_angstrom)
    try:
        statistics = measure_voxels(volume.data)
    except ValueError as error:
        doubts.append(f"Nothing can be told: {error}.")
        return Inspection(volume.shape, volume.voxel_spacing_angstrom, doubts=tuple(doubts))
    if statistics.non_finite:
        doubts.append(f"{statistics.non_finite} voxels are NaN or infinite.")
    noise = tilt_range = polarity = layer = outliers = None
    report.start("inspecting", 4)
    if min(volume.shape) >= SMALLEST_SIDE:
        noise = estimate_noise_spectrum(volume.data, statistics.normalization)
        advance(report)
        tilt_range = measured_tilt_range(volume.data, statistics.normalization, noise)
        advance(report)
    if min(volume.shape) >= LEAST_VOXELS:
        coarse, factor = coarse_copy(volume.data, statistics.normalization.mean, spacing or UNKNOWN_ANGSTROM)
        coarse /= np.float32(statistics.normalization.deviation)
        edge = factor * (spacing or UNKNOWN_ANGSTROM)
        if noise is not None and noise.noise_share >= LITTLE_NOISE:
            outliers = find_outliers(coarse, edge)
        left_out = None if outliers is None else outliers.mask
        limits = [
            (limit - statistics.normalization.mean) / statistics.normalization.deviation
            for limit in (statistics.normalization.low, statistics.normalization.high)
        ]
        np.clip(coarse, *limits, out=coarse)
        advance(report)
        polarity = measure_polarity(coarse, edge, left_out)
        layer = None if spacing is None else measure_layer(coarse, edge, left_out)
        advance(report)
    else:
        doubts.append("It is too small to judge contrast, specimen and gold.")
    found = Inspection(
        volume.shape,
        volume.voxel_spacing_angstrom,
        statistics,
        noise,
        tilt_range,
        polarity,
        layer,
        outliers,
        (),
    )
    doubts += [*spectrum_doubts(found), *tilt_doubts(found)]
    doubts += [] if found.polarity is None else polarity_doubts(found.polarity, found)
    doubts += specimen_doubts(found)
    return replace(found, doubts=tuple(doubts))


def advance(progress: Progress) -> None:
    """Count a step; raises Interrupted if the user stopped."""
    progress.advance()
    if progress.should_stop():
        raise Interrupted


def known_spacing(spacing: Spacing | None) -> float | None:
    """Mean edge of a voxel in Å; None if it is 1, which was never set, most likely."""
    mean = None if spacing is None else float(np.mean(spacing))
    return None if mean is None or math.isclose(mean, 1.0, rel_tol=1e-6) else mean


def spectrum_doubts(found: Inspection) -> list[str]:
    """What noise and signal say that a user should know."""
    if found.noise is None or found.noise_share is None:
        return ["It is too small to tell noise from signal, or a missing wedge."]
    texts = []
    if found.noise_share > MOSTLY_NOISE:
        texts.append(f"Noise is {found.noise_share:.0%} of the variance: hardly any signal is seen.")
    elif found.noise_share < LITTLE_NOISE:
        texts.append(
            f"There is little noise ({found.noise_share:.0%} of the variance): was it denoised or smoothed? "
            "Gold cannot be told from protein then."
        )
    return texts


def tilt_doubts(found: Inspection) -> list[str]:
    """What a user should know of the tilt range."""
    texts: list[str] = []
    if found.noise is None:
        return texts
    if found.tilt_range is None:
        texts.append("No missing wedge is seen: give --tilt-range where one is needed.")
    elif found.tilt_range.seen_in == "signal":
        texts.append(READ_OFF_SIGNAL)
    elif found.tilt_range.tilt_axis == 2:
        texts.append("The tilt axis is x, where most programs have y.")
    return texts


def specimen_doubts(found: Inspection) -> list[str]:
    """What gold and the specimen's place say that a user should know."""
    texts = []
    outliers, layer = found.outliers, found.layer
    spacing = known_spacing(found.voxel_spacing_angstrom)
    if outliers is not None and outliers.beads:
        texts.append(f"Places that stand out like gold: {outliers.beads}. `denoise --mask` leaves them out.")
    texts += silence_doubts(found)
    if found.polarity is not None and spacing is not None and layer is None:
        texts.append("No faces of the specimen are seen: it fills the volume, or noise hides it.")
    if layer is not None and max(map(abs, layer.slopes_deg)) > STEEP_DEG + 2 * layer.slope_uncertainty_deg:
        along_y, along_x = layer.slopes_deg
        texts.append(f"The specimen lies aslant: {along_y:.0f}° along y, {along_x:.0f}° along x.")
    return texts


def silence_doubts(found: Inspection) -> list[str]:
    """What places without noise say that a user should know."""
    outliers = found.outliers
    if outliers is not None and outliers.erased:
        return [f"Places without noise: {outliers.erased}. Something was cut out there, such as gold."]
    if outliers is not None and outliers.silent_share > 0.2 and (found.noise_share or 0) > LITTLE_NOISE:
        return [f"{outliers.silent_share:.0%} of the volume has no noise: padding, or a mask."]
    return []


def polarity_doubts(polarity: Polarity, found: Inspection) -> list[str]:
    """Where the contrast is not as usual, not clear, or gold contradicts it."""
    texts = []
    if polarity.protein == "unclear":
        texts.append("Whether protein is dark or bright is not clear: look, and give --invert if bright.")
    elif polarity.protein == "bright":
        texts.append("Protein looks bright, other than in raw tomograms: commands need --invert.")
    gold = "" if found.outliers is None else found.outliers.polarity
    if gold and polarity.protein not in ("unclear", gold):
        texts.append(f"Gold is {gold}, though protein looks {polarity.protein}: one of the two is wrong.")
    return texts


def limits_in_words(tilts: TiltRange) -> str:
    """A tilt range as people write it.

    Examples
    --------
    >>> limits_in_words(TiltRange(-59.6, 61.0, 2.2))
    '-60° … 61° ± 2° about y'
    """
    axis = "y" if tilts.tilt_axis == 1 else "x"
    return f"{tilts.lowest_deg:.0f}° … {tilts.highest_deg:.0f}° ± {tilts.uncertainty_deg:.0f}° about {axis}"


def facts_of(volume: Volume) -> dict[str, Any]:
    """What a header says beside size and spacing."""
    return {
        "voxel_type": str(volume.data.dtype),
        "origin_angstrom": list(volume.header.origin_angstrom),
        "labels": list(volume.header.labels),
    }
