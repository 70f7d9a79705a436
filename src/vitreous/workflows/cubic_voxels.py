"""The one voxel spacing that picks, averages and annotations need."""

from __future__ import annotations

import math
from pathlib import Path

from vitreous.core import InputError, Volume

UNEQUAL = 1.01  # spacings that differ by less come from rounding


def cubic_spacing(volume: Volume, path: Path, given_angstrom: float | None) -> float:
    """Edge of a volume's voxels in Å.

    Parameters
    ----------
    volume
        Whose spacing it is.
    path
        Its file, for messages.
    given_angstrom
        What the user said: then 1 Å is believed.

    Raises
    ------
    InputError
        If it is not known, is exactly 1 Å in the file, or differs between axes.
    """
    spacing, mean = volume.voxel_spacing_angstrom, volume.mean_spacing_angstrom
    if spacing is None or mean is None:
        remedy = "give it with --voxel-size"
        raise InputError("has no voxel spacing, and particles have a size", path=path, remedy=remedy)
    if given_angstrom is None and all(math.isclose(s, 1.0, rel_tol=1e-6) for s in spacing):
        text = "the voxel spacing is exactly 1 Å, which usually means that it was never set"
        raise InputError(text, path=path, remedy="give --voxel-size in Å")
    if max(spacing) > UNEQUAL * min(spacing):
        sides = " × ".join(f"{s:.4g}" for s in spacing)
        text = f"the voxel spacing differs between axes ({sides} Å, z × y × x)"
        raise InputError(text, path=path, remedy="resample it: particles are turned in cubic voxels")
    return mean
