"""Say what a tomogram is, damaged or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import measure_voxels
from vitreous.io import find_half, open_volume, volume_warnings
from vitreous.methods.noise_model import estimate_noise_spectrum
from vitreous.workflows.denoise import SMALLEST_SIDE


def inspect_file(path: Path, voxel_size: float | None = None) -> dict[str, Any]:
    """Header, grey values, noise estimate and doubts, as plain values.

    A file with a damaged header is described as far as it can be read.
    """
    volume = open_volume(path, voxel_spacing_angstrom=voxel_size, allow_damaged=True)
    spacing = volume.voxel_spacing_angstrom
    halves = find_half(path)
    facts: dict[str, Any] = {
        "file": str(path),
        "size_zyx": list(volume.shape),
        "voxel_type": str(volume.data.dtype),
        "voxel_spacing_angstrom": None if spacing is None else [round(s, 4) for s in spacing],
        "origin_angstrom": list(volume.header.origin_angstrom),
        "labels": list(volume.header.labels),
        "halves": None if halves is None else [str(h) for h in halves],
        "doubts": list(volume_warnings(volume)),
    }
    try:
        statistics = measure_voxels(volume.data)
    except ValueError as error:
        facts["doubts"].append(str(error))
        return facts
    constants = statistics.normalization
    facts |= {
        "mean": constants.mean,
        "deviation": constants.deviation,
        "non_finite_voxels": statistics.non_finite,
        "clipped_share": statistics.clipped_share,
        "skewness": skewness(constants.apply(volume.data[:: max(1, volume.shape[0] // 64)])),
    }
    if min(volume.shape) >= SMALLEST_SIDE:
        spectrum = estimate_noise_spectrum(volume.data, constants)
        facts |= {
            "noise_share_of_variance": min(spectrum.noise_share, 1.0),
            "fourier_space_filled_by_noise": spectrum.filled_share,
            "tilt_axis": ("y" if spectrum.tilt_axis == 1 else "x") if spectrum.tilt_axis_seen else None,
        }
    return facts


def skewness(standardized: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Third moment: negative where dense matter is dark, as in raw tomograms."""
    return float(np.mean(standardized.astype(np.float64) ** 3))
