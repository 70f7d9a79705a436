"""Particles as blobs of one size: difference of Gaussians [voss2009]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from vitreous.core import Progress, SilentProgress, VoxelStatistics, measure_voxels
from vitreous.picking.peaks import Picked, Picks, local_maxima, merged, robust_spread
from vitreous.picking.score_map import ScoreMap, difference_of_gaussians, grid_steps, map_bytes

SIGMA_ANGSTROM, RATIO, MIN_DISTANCE_ANGSTROM = 80.0, 1.1, 240.0  # of the DUAL paper, at its 1 nm voxels
LEAST_SIGMA = 1.0  # voxels: a narrower Gaussian is not sampled
LEAST_SAMPLES = 5  # of the score map along each axis


class DogConfig(BaseModel):
    """Settings of the difference of Gaussians; the defaults are those of the DUAL paper, for ribosomes.

    `threshold` is in multiples of the score map's robust deviation, `count` the most that are kept.
    `bright`: particles are brighter than the ice; raw tomograms have them dark.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    sigma_angstrom: PositiveFloat = SIGMA_ANGSTROM
    ratio: float = Field(default=RATIO, gt=1.0, le=2.0)
    min_distance_angstrom: PositiveFloat = MIN_DISTANCE_ANGSTROM
    count: PositiveInt = 500
    threshold: float = Field(default=4.0, ge=0)
    bright: bool = False

    @classmethod
    def for_diameter(cls, diameter_angstrom: float, **settings: Any) -> DogConfig:
        """Settings for balls of a diameter; the distance for merging keeps its proportion to it.

        Examples
        --------
        >>> round(DogConfig.for_diameter(150).sigma_angstrom, 2)
        41.32
        """
        scale = diameter_angstrom / blob_diameter(SIGMA_ANGSTROM, RATIO)
        sizes = {
            "sigma_angstrom": SIGMA_ANGSTROM * scale,
            "min_distance_angstrom": MIN_DISTANCE_ANGSTROM * scale,
        }
        return cls(**{**sizes, **settings})

    @property
    def diameter_angstrom(self) -> float:
        """Of the balls that these settings find best."""
        return blob_diameter(self.sigma_angstrom, self.ratio)


def blob_diameter(sigma: float, ratio: float) -> float:
    """Diameter of the ball at whose centre a difference of Gaussians of σ and kσ is largest.

    A ball of radius r has F(r/σ) - F(r/kσ) there, F the distribution of a χ variable of three degrees of
    freedom. This depends on r/σ alone, so that the best ball for σ and the best σ for a ball are one. The
    derivative vanishes at r² = 6 σ² k² ln k / (k² - 1): r = 1.815 σ for k = 1.1, and √3 σ for k → 1.

    Examples
    --------
    >>> round(blob_diameter(80.0, 1.1), 1)  # the paper's choice suits ribosomes of 29 nm
    290.4
    """
    return 2 * sigma * math.sqrt(6 * ratio**2 * math.log(ratio) / (ratio**2 - 1))


def pick_blobs(
    data: NDArray[Any],
    voxel_spacing_angstrom: Sequence[float],
    config: DogConfig,
    *,
    mask: NDArray[np.bool_] | None = None,
    statistics: VoxelStatistics | None = None,
    progress: Progress | None = None,
) -> Picked:
    """Find blobs of one size: maxima of the difference of Gaussians, merged, above the noise, the best first.

    Scores are multiples of the score map's robust deviation (median of the distances from the median),
    which noise sets as long as particles fill a small part of the box.

    Parameters
    ----------
    data
        (z, y, x), may be memory-mapped; NaN and infinite voxels count as the mean, outliers are clipped.
    voxel_spacing_angstrom
        (z, y, x) in Å.
    config
        What to look for.
    mask
        (z, y, x): only picks whose centre lies inside, and noise from inside alone.
    statistics
        Of the voxels inside, if they were measured already.
    progress
        Receives progress; silent by default.

    Raises
    ------
    ValueError
        If all voxels are equal or none is finite, or the particle is too small for the voxels or too large
        for the volume.
    Interrupted
        If the user stopped.

    Examples
    --------
    >>> grid = np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij"))
    >>> ball = -1.0 * (np.linalg.norm(grid - 30, axis=0) < 10)
    >>> pick_blobs(ball, (10, 10, 10), DogConfig.for_diameter(200)).picks.positions_angstrom.round()[0]
    array([300., 300., 300.])
    """
    sigmas = sigmas_voxel(data.shape, voxel_spacing_angstrom, config)
    statistics = statistics or measure_voxels(data, mask)
    scores = difference_of_gaussians(
        data, statistics.normalization, sigmas, bright=config.bright, progress=progress or SilentProgress()
    )
    values = scores.values if mask is None else inside(scores, mask)
    spread = robust_spread(values) or 1.0
    maxima, heights = local_maxima(scores.values)
    voxels = maxima * scores.steps
    found = Picks(voxels * np.asarray(voxel_spacing_angstrom), heights / spread)
    if mask is not None:
        found = found.select(mask[tuple(np.rint(voxels).astype(int).T)])
    found = merged(found, config.min_distance_angstrom)
    above = found.select(found.scores > config.threshold)
    return Picked(above.select(slice(config.count)), found.scores, skewness(values), statistics.non_finite)


def sigmas_voxel(
    shape: Sequence[int], spacing: Sequence[float], config: DogConfig
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Deviations (z, y, x) of the two Gaussians in voxels; ValueError if the volume does not suit them."""
    narrow = tuple(config.sigma_angstrom / s for s in spacing)
    if min(narrow) < LEAST_SIGMA:
        least = blob_diameter(LEAST_SIGMA * max(spacing), config.ratio)
        raise ValueError(
            f"particles of {config.diameter_angstrom:.0f} Å are too small for voxels of "
            f"{max(spacing):.3g} Å, which show {least:.0f} Å at least"
        )
    extents = [side * s for side, s in zip(shape, spacing, strict=True)]
    samples = min(side / step for side, step in zip(shape, grid_steps(narrow), strict=True))
    if min(extents) < config.diameter_angstrom or samples < LEAST_SAMPLES:
        raise ValueError(
            f"its shortest side of {min(extents):.0f} Å is shorter than "
            f"a particle of {config.diameter_angstrom:.0f} Å"
        )
    return narrow, tuple(config.ratio * s for s in narrow)


def dog_bytes(shape: Sequence[int], spacing: Sequence[float], config: DogConfig) -> int:
    """Peak memory of `pick_blobs` beside the libraries and the volume."""
    return map_bytes(shape, grid_steps([config.sigma_angstrom / s for s in spacing]))


def inside(scores: ScoreMap, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The samples of a score map inside a mask; all of them if it is so small that none is."""
    z, y, x = scores.steps
    chosen: NDArray[np.float32] = scores.values[np.asarray(mask[::z, ::y, ::x], bool)]
    return chosen if chosen.size else scores.values.ravel()


def skewness(values: NDArray[np.float32]) -> float:
    """Third moment of standardized values; 0 if they are all equal."""
    centred = values.astype(np.float64) - values.mean(dtype=np.float64)
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**3)) / variance**1.5 if variance else 0.0
