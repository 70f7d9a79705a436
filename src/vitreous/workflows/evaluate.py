"""Metrics between files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Volume
from vitreous.io import open_volume
from vitreous.metrics import correlation, fourier_shell_correlation, fsc_resolution, psnr, ssim


def evaluate_denoised(volume: Path, reference: Path, noisy: Path | None = None) -> dict[str, float]:
    """Scores of a denoised volume against the truth; with the noisy one also the gain over it."""
    first, truth = open_pair(volume, reference)
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
    """Two volumes of one shape, finite and not constant."""
    volumes = [open_volume(p, voxel_spacing_angstrom=voxel_size, allow_damaged=True) for p in (first, second)]
    if volumes[0].shape != volumes[1].shape:
        text = f"its size {volumes[1].shape} (z, y, x) differs from {volumes[0].shape} of {first}"
        raise InputError(text, path=second, remedy="compare volumes of one size")
    for volume in volumes:
        check_comparable(volume)
    return volumes[0], volumes[1]


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
