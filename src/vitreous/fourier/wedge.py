"""The region of Fourier space that a single-axis tilt series measures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vitreous.fourier.grids import frequency_axes


def measured_region(
    shape: Sequence[int], tilt_range_deg: tuple[float, float], *, half: bool = False
) -> Tensor:
    """Boolean mask of the measured frequencies: the complement of the missing wedge.

    A projection at tilt t measures the plane through the y axis (the tilt axis) whose frequencies
    satisfy kz = kx·tan(t), as a voxel at (z, x) falls on u = x·cos(t) + z·sin(t)
    (`simulate.TiltGeometry`); the measured region is the union over the signed range.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    tilt_range_deg
        Signed lowest and highest tilt angle in degrees.
    half
        Whether the last axis follows `torch.fft.rfftn`.

    Returns
    -------
    Boolean tensor in FFT order. kx = 0 outside kz = 0 is missing unless the range reaches ±90°.

    Examples
    --------
    >>> mask = measured_region((64, 64, 64), (-60, 60))
    >>> round(float(mask.float().mean()), 2)
    0.72
    """
    lowest, highest = sorted(tilt_range_deg)
    kz, _, kx = frequency_axes(shape)
    angle = torch.rad2deg(torch.atan2(kz * torch.sign(kx + 1e-12), kx.abs().clamp_min(1e-12)))
    tolerance = math.degrees(0.5 / max(shape))
    inside = (angle >= lowest - tolerance) & (angle <= highest + tolerance)
    inside |= (kz == 0) & (kx == 0)
    # The frequencies at Nyquist stand for both signs: a real volume holds k and -k alike.
    inside |= inside.flip(0, 2).roll((1, 1), (0, 2))
    kept = shape[2] // 2 + 1 if half else shape[2]
    return inside[..., :kept].expand(shape[0], shape[1], kept)
