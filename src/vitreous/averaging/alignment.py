"""Align subtomograms to a template: the rotation and shift that explain each best, given its wedge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vitreous.averaging.band import make_band, soft_sphere
from vitreous.averaging.comparison import EDGE, Comparison
from vitreous.averaging.config import SearchConfig
from vitreous.averaging.search import (
    Candidates,
    Cone,
    Limits,
    Sphere,
    refined,
    search_around,
    search_everywhere,
)
from vitreous.core import Progress, SilentProgress
from vitreous.fourier.turning import TurnedSpectrum

SMEAR = 1.5  # coarse searches see no finer than this share of how far one step moves the particle's rim
BALL = math.sqrt(5 / 3)  # radius of a solid ball over its radius of gyration


@dataclass(frozen=True, eq=False)
class Alignment:
    """How each particle lies in its box.

    Parameters
    ----------
    rotations
        (n, 3, 3) float64, particle → tomogram, acts on (z, y, x) columns.
    shifts_voxel
        (n, 3) float64, zyx: the particle's centre, from voxel side // 2 of its box.
    scores
        (n,) float64: correlation with the turned template over the band that the tomogram measures.
    """

    rotations: Tensor
    shifts_voxel: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, keep: Tensor) -> Alignment:
        """Those that an index or flags name."""
        return Alignment(self.rotations[keep], self.shifts_voxel[keep], self.scores[keep])


def align(
    subtomograms: Tensor,
    template: Tensor,
    wedge: Tensor,
    search: SearchConfig | None = None,
    *,
    start: Alignment | None = None,
    within: Sphere | None = None,
    turned_within: Cone | None = None,
    progress: Progress | None = None,
) -> Alignment:
    """Find rotation and shift of many particles by correlation with a template within the missing wedge.

    The score is the constrained correlation of [forster]: Σ Re S·T* / √(Σ|S|² Σ|T|²) over the frequencies of
    the band that the tomogram measures, T being the turned and shifted template as the tomogram passes
    it, and both whitened. Particles and template are lists of those frequencies: the template is turned
    once for each orientation, and its product with all shifts of all particles is one of matrices.

    Parameters
    ----------
    subtomograms
        (n, side, side, side), an even side, the particle near voxel side // 2; from tomograms of one wedge.
    template
        (side, side, side), of the same polarity, the centre of rotation at voxel side // 2, zero outside
        the particle.
    wedge
        (side, side, side // 2 + 1) in the order of `torch.fft.rfftn`: what the tomogram passes of each
        frequency, such as `fourier.measured_region(..., half=True)`.
    search
        How to search; `SearchConfig()` if None.
    start
        Where to begin: shifts in any case, and orientations if `search.reach_deg` is given.
    within
        Spheres that shifts must not leave either, such as those around picks from which earlier searches
        came to `start`.
    turned_within
        Likewise cones that orientations must not leave, in a search around orientations.
    progress
        Receives progress, and may stop.

    Raises
    ------
    ValueError
        If sizes do not fit, a local search has nothing to start from, or the band holds no frequency.
    Interrupted
        If the user stopped.
    """
    search = search or SearchConfig()
    progress = progress or SilentProgress()
    check_fit(subtomograms, template)
    if search.reach_deg is not None and start is None:
        raise ValueError("a search around orientations needs orientations to start from")
    count = len(subtomograms)
    if not count:
        return Alignment(*(torch.zeros(shape, dtype=torch.float64) for shape in ((0, 3, 3), (0, 3), (0,))))
    centres = torch.zeros(count, 3, dtype=torch.float64) if start is None else start.shifts_voxel.double()
    spheres = [(centres, search.shift_voxels), *([] if within is None else [within])]
    turned = turnable(template)
    fine = compared(subtomograms, turned, wedge, search.band, search)
    if search.reach_deg is None:
        coarse = compared(subtomograms, turned, wedge, coarse_limits(search, template), search)
        limits = Limits(spheres)
        found = search_everywhere(coarse, search, centres, progress, limits)
    else:
        assert start is not None
        turns = start.rotations.double()
        cones = [(turns, search.reach_deg), *([] if turned_within is None else [turned_within])]
        limits = Limits(spheres, cones)
        begun = Candidates(turns[:, None], centres[:, None], start.scores[:, None])
        found = search_around(fine, search, begun, limits, progress)
    best = refined(fine, found, search, limits, progress)
    return Alignment(best.rotations[:, 0], best.shifts[:, 0], best.scores[:, 0].double())


def scores_at(
    subtomograms: Tensor,
    template: Tensor,
    wedge: Tensor,
    poses: Alignment,
    search: SearchConfig | None = None,
) -> Tensor:
    """The score of `align`, (n,) float64, of poses that were found elsewhere: nothing is searched.

    Of particles whose noise had no part in finding the poses: a search finds the noise's own best.

    Parameters
    ----------
    subtomograms, template, wedge
        As in `align`.
    poses
        One for each subtomogram.
    search
        Its band and whitening count; `SearchConfig()` if None.

    Raises
    ------
    ValueError
        If sizes do not fit, or the band holds no frequency.
    """
    search = search or SearchConfig()
    check_fit(subtomograms, template)
    if not len(subtomograms):
        return torch.zeros(0, dtype=torch.float64)
    fine = compared(subtomograms, turnable(template), wedge, search.band, search)
    moved = fine.moved(slice(None), poses.shifts_voxel.double()[:, None])[:, 0]
    return (moved * fine.templates(poses.rotations.double()).conj()).sum(1).real.double()


def check_fit(subtomograms: Tensor, template: Tensor) -> None:
    """Raise ValueError unless boxes (n, side, side, side) are as large as a template."""
    side = template.shape[-1]
    if subtomograms.ndim != 4 or subtomograms.shape[1:] != (side,) * 3:
        raise ValueError(f"boxes {tuple(subtomograms.shape)} do not fit a template of {side} voxels")


def turnable(template: Tensor) -> TurnedSpectrum:
    """A template within the sphere that particles are compared in."""
    side = template.shape[-1]
    return TurnedSpectrum(template * soft_sphere(side, side / 2 - EDGE, EDGE))


def compared(
    subtomograms: Tensor,
    turned: TurnedSpectrum,
    wedge: Tensor,
    limits: tuple[float, float],
    search: SearchConfig,
) -> Comparison:
    """Particles ready to be compared with a template between two frequencies, in cycles/voxel."""
    band = make_band(subtomograms.shape[-1], limits, wedge)
    return Comparison(subtomograms, band, turned, whiten=search.whiten)


def coarse_limits(search: SearchConfig, template: Tensor) -> tuple[float, float]:
    """The band of a search over all orientations: no finer than one step of the grid leaves of a particle."""
    side = template.shape[-1]
    square = (torch.arange(side) - side // 2).float() ** 2
    distance = square[:, None, None] + square[:, None] + square
    weight = template.float().square()
    radius = BALL * math.sqrt(float((weight * distance).sum() / weight.sum().clamp_min(1e-30)))
    limit = 1 / max(SMEAR * math.radians(search.angular_step_deg) * radius, 1e-6)
    low, high = search.band
    return low, min(high, max(limit, low + 3 / side))
