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
    shape: Sequence[int],
    tilt_range_deg: tuple[float, float],
    *,
    half: bool = False,
    tilt_axis: int = 1,
    rotation: Tensor | None = None,
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
    tilt_axis
        1 for a tilt axis along y, 2 for x: then the region is that of the volume with y and x exchanged.
    rotation
        (3, 3), acts on (z, y, x) columns: the region of a patch whose voxel g was read from the volume
        at c + rotation·g, as its frequency k is the volume's rotation·k.

    Returns
    -------
    Boolean tensor in FFT order. kx = 0 outside kz = 0 is missing unless the range reaches ±90°.

    Examples
    --------
    >>> mask = measured_region((64, 64, 64), (-60, 60))
    >>> round(float(mask.float().mean()), 2)
    0.72
    """
    inside = _degrees_beyond(shape, tilt_range_deg, tilt_axis, rotation) <= _tolerance_deg(shape)
    # The frequencies at Nyquist stand for both signs: a real volume holds k and -k alike.
    inside |= inside.flip(0, 1, 2).roll((1, 1, 1), (0, 1, 2))
    whole = inside.expand(*shape)
    return whole[..., : shape[2] // 2 + 1] if half else whole


def measured_weight(
    shape: Sequence[int], tilt_range_deg: tuple[float, float], *, edge_deg: float, tilt_axis: int = 1
) -> Tensor:
    """One on the measured region, falling to zero as a cosine over `edge_deg` of angle beyond it.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    tilt_range_deg
        Signed lowest and highest tilt angle in degrees.
    edge_deg
        Width of the edge, all of which lies in the missing wedge.
    tilt_axis
        1 for y, 2 for x.

    Returns
    -------
    float32 tensor in the order of `torch.fft.rfftn`.

    Examples
    --------
    >>> weight = measured_weight((32, 32, 32), (-60, 60), edge_deg=5)
    >>> float(weight[0, 0, 16]), float(weight[16, 0, 0])
    (1.0, 0.0)
    """
    beyond = (_degrees_beyond(shape, tilt_range_deg, tilt_axis, None) - _tolerance_deg(shape)).clamp_min(0)
    weight = 0.5 * (1 + torch.cos(torch.pi * (beyond / edge_deg).clamp(0, 1)))
    weight = torch.maximum(weight, weight.flip(0, 1, 2).roll((1, 1, 1), (0, 1, 2)))  # as in `measured_region`
    return weight.expand(*shape)[..., : shape[2] // 2 + 1]


def _tolerance_deg(shape: Sequence[int]) -> float:
    """Half a voxel of Fourier space at Nyquist."""
    return math.degrees(0.5 / max(shape))


def _degrees_beyond(
    shape: Sequence[int], tilt_range_deg: tuple[float, float], tilt_axis: int, rotation: Tensor | None
) -> Tensor:
    """How far each frequency lies from the tilt range, in degrees about the tilt axis; 0 within it."""
    lowest, highest = sorted(tilt_range_deg)
    axes = frequency_axes(shape)
    across = 3 - tilt_axis
    if rotation is None:
        kz, kx = axes[0], axes[across]
    else:
        z, y, x = axes
        turned = rotation.tolist()
        kz, kx = (turned[i][0] * z + turned[i][1] * y + turned[i][2] * x for i in (0, across))
    angle = torch.rad2deg(torch.atan2(kz * torch.sign(kx + 1e-12), kx.abs().clamp_min(1e-12)))
    outside = [torch.maximum(lowest - a, a - highest) for a in (angle - 180, angle, angle + 180)]
    beyond = torch.minimum(torch.minimum(outside[0], outside[2]), outside[1]).clamp_min(0)
    return torch.where((kz.abs() < 1e-7) & (kx.abs() < 1e-7), torch.zeros(()), beyond)


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
