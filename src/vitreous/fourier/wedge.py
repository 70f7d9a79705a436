"""The region of Fourier space that a single-axis tilt series measures, and the tilt range seen in noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.fourier.grids import frequency_axes

RING = (0.25, 0.48)  # cycles/voxel: where a spectrum of 32³ tells angles apart by five degrees
RADII = 12
STEP_DEG = 1.0
TYPICAL = 0.75  # quantile over the angles: what a measured one holds
EDGE = 0.5  # of that; a window blurs the edge evenly to both sides


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


def estimated_tilt_range(spectrum: Tensor, tilt_axis: int = 1) -> tuple[float, float] | None:
    """Signed tilt range of a noise spectrum, from where its power per angle falls to half.

    Noise fills what was measured, so far out in Fourier space its power per angle about the tilt axis
    is a plateau with a gap, the missing wedge. Right within 3° for the noise spectra that
    `methods.noise_model` estimates, of masked white and of back-projected noise.

    Parameters
    ----------
    spectrum
        Noise power S(k), (z, y, x) in FFT order.
    tilt_axis
        1 for a tilt axis along y, 2 for x.

    Returns
    -------
    Lowest and highest tilt angle in degrees, with the sign of `measured_region` (for a tilt axis along x
    that of the volume with y and x exchanged); None without a gap.

    Examples
    --------
    >>> estimated_tilt_range(torch.ones(32, 32, 32)) is None
    True
    """
    power: list[float] = _power_per_angle(spectrum.mean(tilt_axis)).tolist()
    count = len(power)
    threshold = EDGE * sorted(power)[int(TYPICAL * count)]
    emptiest = min(range(count), key=lambda i: sum(power[(i + d) % count] for d in range(-2, 3)))
    if power[emptiest] >= threshold:
        return None

    def edge(direction: int) -> float:
        """Where power comes back on one side of the gap, in steps of the angle from -90°."""
        at = emptiest
        while power[at % count] < threshold:
            at += direction
        here, before = power[at % count], power[(at - direction) % count]
        return at - direction * (here - threshold) / (here - before)

    highest, lowest = edge(-1), edge(1) - count  # angles repeat after 180°: below the gap, the highest
    if highest < 0:
        highest, lowest = highest + count, lowest + count
    if lowest < 0:  # the gap leaves out -90° and 90°: no tilt series has it
        return None
    return lowest * STEP_DEG - 90, highest * STEP_DEG - 90


def _power_per_angle(plane: Tensor) -> Tensor:
    """Mean power over `RING` at each angle from kx to kz, -90° … 90°; `plane` is (kz, kx) in FFT order."""
    centred = F.pad(torch.fft.fftshift(plane)[None, None], (0, 1, 0, 1), mode="circular")
    angle = torch.deg2rad(torch.arange(-90.0, 90.0, STEP_DEG))[:, None]
    radius = torch.linspace(*RING, RADII)
    positions = []
    for k, side in zip((radius * angle.cos(), radius * angle.sin()), reversed(plane.shape), strict=True):
        positions.append((k * side + side // 2) / side * 2 - 1)  # align_corners over side + 1 samples
    grid = torch.stack(positions, dim=-1)[None]
    return F.grid_sample(centred.float(), grid, align_corners=True)[0, 0].mean(1)
