"""Filters that a tomogram is searched with: turned templates over the power of what is around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core.blocks import read_block
from vitreous.fourier import frequency_axes, frequency_radius, measured_region, patch_spectra
from vitreous.fourier.turning import TurnedSpectrum

PATCHES, PATCH = 48, 32  # for the power spectrum


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """What a tomogram is searched with.

    Parameters
    ----------
    template
        (n, n, n), n even, protein bright, centre at n // 2, at the coarse voxel spacing.
    diameter_angstrom
        Of the particle.
    tilt_range_deg, tilt_axis
        See `fourier.measured_region`.
    """

    template: Tensor
    diameter_angstrom: float
    tilt_range_deg: tuple[float, float]
    tilt_axis: int = 1


class MatchedFilter:
    """Turned templates as filters of tiles, scaled so that noise of the tomogram's power comes out as 1."""

    def __init__(self, space: SearchSpace, power: Tensor, cutoff: float) -> None:
        side = space.template.shape[0]
        self.side = side
        self.spectrum = TurnedSpectrum(space.template)
        axes = frequency_axes((side,) * 3, half=True)
        shape = (side, side, side // 2 + 1)
        self.frequencies = torch.stack([axis.expand(shape).flatten() for axis in axes], dim=1)
        weights = tile_weights((side,) * 3, space, power, cutoff).flatten()
        both = torch.full(shape, 2.0)
        both[..., 0] = both[..., -1] = 1.0
        self.weights = weights * both.flatten()

    def at(self, rotations: Tensor, shape: Sequence[int]) -> Tensor:
        """(n, z, y, x // 2 + 1): what tiles of a shape are multiplied with, after their weights."""
        rows = self.spectrum.at(rotations, self.frequencies)
        norm = (rows.abs().square() * self.weights).sum(1).clamp_min(1e-30).sqrt()
        side, count = self.side, len(rows)
        rows = rows / norm[:, None]
        boxes = torch.fft.irfftn(rows.reshape(count, side, side, -1), s=(side,) * 3, dim=(1, 2, 3))
        padded = torch.zeros(count, *shape)
        low = side // 2
        boxes = torch.fft.fftshift(boxes, dim=(1, 2, 3))
        padded[:, :side, :side, :side] = boxes
        padded = padded.roll((-low, -low, -low), (1, 2, 3))
        # Summed over a box of `side`, noise of unit power per voxel gives side^3 · Σ|T|²: undone here.
        filters: Tensor = torch.fft.rfftn(padded, dim=(1, 2, 3)).conj() * side**1.5
        return filters


def tile_weights(shape: Sequence[int], space: SearchSpace, power: Tensor, cutoff: float) -> Tensor:
    """Measured region times low-pass over the tomogram's power, in the order of `rfftn`."""
    radius = frequency_radius(shape, half=True)
    region = measured_region(shape, space.tilt_range_deg, half=True, tilt_axis=space.tilt_axis)
    passed = 0.5 * (1 + torch.cos(torch.pi * ((radius - cutoff) / (0.2 * cutoff)).clamp(0, 1)))
    step = 0.5 / (len(power) - 1)
    place = (radius / step).clamp(0, len(power) - 1 - 1e-4)
    low = place.floor().long()
    share = place - low
    interpolated = power[low] * (1 - share) + power[low + 1] * share
    weights: Tensor = region * passed / interpolated
    weights[0, 0, 0] = 0
    return weights


def shell_power(coarse: NDArray[np.float32], space: SearchSpace) -> Tensor:
    """Mean power of the measured frequencies at |k| = 0 … 0.5 cycles/voxel, in equal steps."""
    side = min(PATCH, *(n // 2 * 2 for n in coarse.shape))
    rng = np.random.default_rng(0)
    corners = rng.integers(0, np.array(coarse.shape) - side + 1, (PATCHES, 3))
    patches = (torch.from_numpy(read_block(coarse, corner, (side,) * 3)) for corner in corners)
    mean = patch_spectra(patches).mean(0)
    region = measured_region((side,) * 3, space.tilt_range_deg, tilt_axis=space.tilt_axis)
    shell = (frequency_radius((side,) * 3) * side).round().long()
    count = side // 2 + 1
    inside = region & (shell < count)
    sums = torch.zeros(count).index_add_(0, shell[inside], mean[inside])
    number = torch.zeros(count).index_add_(0, shell[inside], torch.ones(int(inside.sum())))
    curve = sums / number.clamp_min(1)
    curve[0] = curve[1]
    return curve.clamp_min(1e-4 * float(curve.max()) + 1e-30)


def roughness(tile: Tensor, weights: Tensor, space: SearchSpace) -> Tensor:
    """How much stronger the whitened tile is around each voxel than on average; 1 where it is weaker."""
    white = torch.fft.irfftn(torch.fft.rfftn(tile) * weights.sqrt(), s=tile.shape)
    there = (space.template.abs() > 0.05 * space.template.abs().max()).float()
    radius = float((there.sum() * 3 / (4 * math.pi)) ** (1 / 3))
    size = max(3, 2 * round(radius) + 1)
    local = white.square()[None, None]
    for kernel in ((size, 1, 1), (1, size, 1), (1, 1, size)):  # one after the other: 27³ at once takes 3 s
        padding = [n // 2 for n in kernel]
        local = F.avg_pool3d(local, kernel, stride=1, padding=padding, count_include_pad=False)
    rough: Tensor = (local[0, 0] / local.median().clamp_min(1e-30)).clamp_min(1).sqrt()
    return rough
