"""Template matching: where a turned template correlates with a tomogram better than noise does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from scipy.fft import next_fast_len
from scipy.special import ndtri
from torch import Tensor

from vitreous.core import Interrupted, Normalization, Progress, SilentProgress
from vitreous.core.blocks import read_block
from vitreous.fourier import frequency_axes, frequency_radius, measured_region, patch_spectra
from vitreous.fourier.rotations import rotation_grid
from vitreous.fourier.turning import TurnedSpectrum
from vitreous.picking.peaks import Picks, local_maxima, merged, robust_spread

COARSEST = 3.0  # voxels in the finest detail that is compared
TILE = 112  # voxels of the coarse tomogram along an edge, halo included
BATCH = 4  # orientations at a time
PATCHES, PATCH = 48, 32  # for the power spectrum
MERGED_SHARE = 0.75  # of the diameter
LARGEST_STEP, SMALLEST_STEP = 30.0, 6.0  # degrees
STEP_SHARE = 2.0  # of the finest detail over the diameter, in radians
FALSE_ALARMS = 0.1  # of white noise, in all places and orientations together
SAMPLED = 8  # orientations whose correlations say what noise is


class TemplateConfig(BaseModel):
    """Settings of template matching.

    Parameters
    ----------
    low_pass_angstrom
        The finest detail that is compared.
    angular_step_deg
        Of the orientations; None for 2 × low_pass / diameter, in radians.
    symmetry
        Point group of the template.
    min_distance_angstrom
        Picks that are closer are merged; None for 0.75 of the diameter.
    count
        The most that are kept.
    threshold
        Lowest score, in multiples of the noise of the correlation at one orientation; None for what
        white noise would exceed in one of ten such tomograms.
    bright
        Whether particles are brighter than the ice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    low_pass_angstrom: PositiveFloat = 60.0
    angular_step_deg: PositiveFloat | None = Field(None, le=90)
    symmetry: str = "C1"
    min_distance_angstrom: PositiveFloat | None = None
    count: PositiveInt = 1000
    threshold: float | None = Field(None, ge=0)
    bright: bool = False

    def binning(self, voxel_spacing_angstrom: float) -> int:
        """Voxels of the tomogram along the edge of one that is compared.

        Examples
        --------
        >>> TemplateConfig().binning(10.0)
        2
        """
        return max(1, int(self.low_pass_angstrom / (COARSEST * voxel_spacing_angstrom)))

    def step_deg(self, diameter_angstrom: float) -> float:
        """Between orientations."""
        if self.angular_step_deg is not None:
            return self.angular_step_deg
        step = math.degrees(STEP_SHARE * self.low_pass_angstrom / diameter_angstrom)
        return min(max(step, SMALLEST_STEP), LARGEST_STEP)


@dataclass(frozen=True, eq=False)
class Matched:
    """What template matching found.

    Parameters
    ----------
    picks
        The best ones above the threshold.
    rotations
        (n, 3, 3) of the picks, particle → tomogram, act on (z, y, x) columns.
    candidates
        Scores of all maxima that were left after merging, falling.
    threshold
        That was applied.
    orientations
        How many were tried.
    """

    picks: Picks
    rotations: NDArray[np.float64]
    candidates: NDArray[np.float64]
    threshold: float
    orientations: int


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


def match_template(
    data: NDArray[Any],
    normalization: Normalization,
    voxel_spacing_angstrom: float,
    space: SearchSpace,
    config: TemplateConfig,
    *,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> Matched:
    """Correlate a tomogram with a template in all orientations, and pick the maxima of the best ones.

    The score is that of a matched filter: Σ S·T*/P over the measured frequencies, over √(Σ |T|²/P), with P
    the tomogram's mean power in each shell, so that noise has one deviation at every orientation; where the
    tomogram is rougher than on average (gold, membranes), it is divided by how much rougher. Tiles of
    a binned tomogram are correlated one by one. Template matching in tomograms is that of [bohm].

    Parameters
    ----------
    data
        (z, y, x), may be memory-mapped.
    normalization
        Of its grey values; gold is clipped.
    voxel_spacing_angstrom
        In Å.
    space
        The template, built for voxels of `config.binning` times the spacing, and the wedge.
    config
        How to search.
    mask
        (z, y, x): only picks whose centre lies inside.
    progress
        Receives progress, and may stop.

    Raises
    ------
    Interrupted
        If the user stopped.
    """
    progress = progress or SilentProgress()
    factor = config.binning(voxel_spacing_angstrom)
    coarse = binned(data, normalization, factor, 1.0 if config.bright else -1.0, progress)
    grid = rotation_grid(config.step_deg(space.diameter_angstrom), symmetry=config.symmetry)
    cutoff = factor * voxel_spacing_angstrom / config.low_pass_angstrom
    best, which, noise = best_scores(coarse, space, grid, cutoff, progress)
    best /= noise
    maxima, heights = local_maxima(best)
    index = which[tuple(np.rint(maxima).astype(int).T)]
    voxels = maxima * factor + (factor - 1) / 2
    found = Picks(voxels * voxel_spacing_angstrom, heights)
    if mask is not None:
        nearest = np.minimum(np.rint(voxels).astype(int), np.array(mask.shape) - 1)
        inside = mask[tuple(nearest.T)]
        found, index = found.select(inside), index[inside]
    distance = config.min_distance_angstrom or MERGED_SHARE * space.diameter_angstrom
    kept = merged(found, distance)
    order = places_of(kept, found)
    threshold = config.threshold
    if threshold is None:
        threshold = float(-ndtri(FALSE_ALARMS / (best.size * len(grid))))
    above = np.flatnonzero(kept.scores > threshold)[: config.count]
    return Matched(kept.select(above), grid.numpy()[index[order[above]]], kept.scores, threshold, len(grid))


def places_of(kept: Picks, found: Picks) -> NDArray[np.intp]:
    """Where each of the kept picks stands among those found."""
    known = {tuple(position): number for number, position in enumerate(found.positions_angstrom.tolist())}
    return np.array([known[tuple(p)] for p in kept.positions_angstrom.tolist()], np.intp)


def binned(
    data: NDArray[Any], normalization: Normalization, factor: int, sign: float, progress: Progress
) -> NDArray[np.float32]:
    """Means of blocks of standardized voxels, read slab by slab; what fills no block is left out."""
    sides = [side // factor for side in data.shape]
    coarse = np.empty(sides, np.float32)
    progress.start("binning", sides[0])
    for plane in range(sides[0]):
        slab = data[plane * factor : (plane + 1) * factor, : sides[1] * factor, : sides[2] * factor]
        values = normalization.apply(np.asarray(slab)) * np.float32(sign)
        coarse[plane] = values.reshape(factor, sides[1], factor, sides[2], factor).mean(axis=(0, 2, 4))
        stop_if_asked(progress)
        progress.advance()
    return coarse


def best_scores(
    coarse: NDArray[np.float32], space: SearchSpace, grid: Tensor, cutoff: float, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.int32], float]:
    """The best score at each voxel, at which orientation it is, and the deviation of scores in noise."""
    best = np.full(coarse.shape, -np.inf, np.float32)
    which = np.zeros(coarse.shape, np.int32)
    halo = space.template.shape[0] // 2
    power = shell_power(coarse, space)
    spreads = []
    tiles = list(tiles_of(coarse.shape, halo))
    progress.start("orientations", len(tiles) * len(grid))
    for inner in tiles:
        start = [s.start - halo for s in inner]
        shape = [even(s.stop - s.start + 2 * halo) for s in inner]
        tile = torch.from_numpy(read_block(coarse, start, shape))
        core = tuple(slice(halo, halo + s.stop - s.start) for s in inner)
        weights = tile_weights(tile.shape, space, power, cutoff)
        spectrum = torch.fft.rfftn(tile) * weights
        turned = MatchedFilter(space, power, cutoff)
        rough = roughness(tile, weights, space)[core]
        mine = torch.full(rough.shape, -math.inf)
        index = torch.zeros(rough.shape, dtype=torch.int32)
        for first in range(0, len(grid), BATCH):
            stop_if_asked(progress)
            filters = turned.at(grid[first : first + BATCH], tile.shape)
            scores = torch.fft.irfftn(spectrum * filters, s=tile.shape, dim=(1, 2, 3))[(slice(None), *core)]
            scores = scores / rough
            if first < SAMPLED:
                spreads += [robust_spread(one.numpy()) for one in scores]
            top = scores.max(0)
            better = top.values > mine
            mine = torch.where(better, top.values, mine)
            index = torch.where(better, top.indices.to(torch.int32) + first, index)
            progress.advance(len(filters))
        best[inner], which[inner] = mine.numpy(), index.numpy()
    return best, which, float(np.median(spreads)) or 1.0


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
    local = torch.nn.functional.avg_pool3d(
        white.square()[None, None], size, stride=1, padding=size // 2, count_include_pad=False
    )[0, 0]
    return (local / local.median().clamp_min(1e-30)).clamp_min(1).sqrt()


def tiles_of(shape: Sequence[int], halo: int) -> Iterator[tuple[slice, ...]]:
    """Blocks that cover a volume, each with its halo no larger than `TILE`."""
    step = max(8, TILE - 2 * halo)
    for z in range(0, shape[0], step):
        for y in range(0, shape[1], step):
            for x in range(0, shape[2], step):
                corner = (z, y, x)
                yield tuple(slice(c, min(c + step, side)) for c, side in zip(corner, shape, strict=True))


def even(side: int) -> int:
    """The next even number that is quickly transformed.

    Examples
    --------
    >>> even(53)
    54
    """
    return 2 * int(next_fast_len(-(-side // 2), real=True))


def template_bytes(shape: Sequence[int], factor: int) -> int:
    """Peak memory of `match_template` beside the libraries and the volume."""
    coarse = math.prod(side // factor for side in shape)
    plane = 3 * 4 * factor * math.prod(shape[1:])
    return 24 * coarse + plane + TILE**3 * 4 * (12 + 8 * BATCH)


def stop_if_asked(progress: Progress) -> None:
    """Raise Interrupted if the user wants to stop."""
    if progress.should_stop():
        raise Interrupted
