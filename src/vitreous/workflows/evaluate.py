"""Metrics between files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Volume
from vitreous.io import open_volume
from vitreous.metrics import correlation, fourier_shell_correlation, fsc_resolution, psnr, ssim

SAME_SPACING = 0.01  # relative
SSIM_SIDE = 7  # voxels of its window


def evaluate_denoised(volume: Path, reference: Path, noisy: Path | None = None) -> dict[str, float]:
    """Scores of a denoised volume against the truth; with the noisy one also the gain over it."""
    first, truth = open_pair(volume, reference)
    if min(truth.shape) < SSIM_SIDE:
        text = f"is too small: {' × '.join(map(str, truth.shape))} voxels"
        raise InputError(text, path=reference, remedy=f"every side needs {SSIM_SIDE} at least")
    facts = scores_against(first.data, truth.data)
    spacing = truth.mean_spacing_angstrom
    if spacing is not None:
        facts["resolution_angstrom"] = fsc_resolution(
            fourier_shell_correlation(first.data, truth.data), spacing
        )
    if noisy is not None:
        before, _ = open_pair(noisy, reference)
        facts["delta_psnr"] = facts["psnr"] - scores_against(before.data, truth.data)["psnr"]
    return facts


def evaluate_shells(first: Path, second: Path, threshold: float, voxel_size: float | None) -> dict[str, Any]:
    """FSC curve of two volumes and the resolution at a threshold."""
    if not 0 < threshold < 1:
        raise InputError(f"--threshold {threshold:g} is none", remedy="give a number between 0 and 1")
    a, b = open_pair(first, second, voxel_size)
    spacing = a.mean_spacing_angstrom
    if spacing is None:
        raise InputError("the voxel spacing is unknown", path=first, remedy="give --voxel-size in Å")
    curve = fourier_shell_correlation(a.data, b.data)
    resolution = fsc_resolution(curve, spacing, threshold=threshold)
    return {
        "resolution_angstrom": resolution,
        "threshold": threshold,
        "frequency_per_angstrom": (curve[0] / spacing).tolist(),
        "fsc": curve[1].tolist(),
    }


def open_pair(first: Path, second: Path, voxel_size: float | None = None) -> tuple[Volume, Volume]:
    """Two volumes of one shape and, where both are known, one voxel spacing; finite and not constant."""
    volumes = [open_volume(p, voxel_spacing_angstrom=voxel_size, allow_damaged=True) for p in (first, second)]
    if volumes[0].shape != volumes[1].shape:
        text = f"its size {volumes[1].shape} (z, y, x) differs from {volumes[0].shape} of {first}"
        raise InputError(text, path=second, remedy="compare volumes of one size")
    check_spacings(volumes[0], volumes[1], "resample one of them, or correct its header")
    for volume in volumes:
        check_comparable(volume)
    return volumes[0], volumes[1]


def check_spacings(found: Volume, truth: Volume, remedy: str) -> None:
    """Raise InputError if both voxel spacings are known and differ."""
    a, b = found.mean_spacing_angstrom, truth.mean_spacing_angstrom
    if a is not None and b is not None and abs(a / b - 1) > SAME_SPACING:
        text = f"has voxels of {b:.4g} Å, and {found.path} of {a:.4g} Å"
        raise InputError(text, path=truth.path, remedy=remedy)


def check_comparable(volume: Volume) -> None:
    """Raise InputError for a volume that nothing can be compared with."""
    if not np.isfinite(volume.data).all():
        raise InputError("some voxels are NaN or infinite", path=volume.path, remedy="give finite volumes")
    if volume.data.min() == volume.data.max():
        raise InputError("all its voxels are equal", path=volume.path, remedy="check the file")


def scores_against(data: NDArray[Any], reference: NDArray[Any]) -> dict[str, float]:
    """PSNR, SSIM and correlation, with the range of the reference as `data_range`."""
    span = float(reference.max()) - float(reference.min())  # as floats: integers would wrap around
    return {
        "psnr": psnr(data, reference, data_range=span),
        "ssim": ssim(data, reference, data_range=span),
        "cc": correlation(data, reference),
        "data_range": span,
    }
