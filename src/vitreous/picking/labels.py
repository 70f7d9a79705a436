"""Particles of one class in a label volume or a probability map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from scipy.stats import chi

from vitreous.core import Progress, SilentProgress
from vitreous.picking.components import Components, components_bytes, components_of
from vitreous.picking.peaks import Picked, Picks, local_maxima, merged
from vitreous.picking.score_map import grid_steps, map_bytes, smoothed

BANDWIDTH = 0.5  # σ of the mean-shift kernel in radii of the particle
FULL = float(chi(3).cdf(1 / BANDWIDTH))  # what such a Gaussian holds of a ball of that radius
DISTANCE = 0.75  # diameters: closer picks of one class are one particle
REACH = 4.0  # σ after which the kernel is cut off
LEAST_SIGMA = 1.0  # voxels

Array = NDArray[np.float32]
Real = NDArray[np.float64]
Scores = Callable[[NDArray[Any]], Array]


class LabelConfig(BaseModel):
    """How to pick from labels.

    `clustering`: "mean-shift" also parts particles that touch, "components" takes what touches for one.
    `diameter_angstrom` is that of a ball of the particle's volume, by default that of the typical component;
    picks closer than `min_distance_angstrom` (0.75 of it) are merged. Voxels belong to a component from
    `voxel_threshold` on, picks are kept from the confidence `threshold` on, and at most `count`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    clustering: Literal["mean-shift", "components"] = "mean-shift"
    diameter_angstrom: PositiveFloat | None = None
    min_distance_angstrom: PositiveFloat | None = None
    voxel_threshold: float = Field(default=0.5, gt=0, le=1)
    threshold: float = Field(default=0.3, ge=0, le=1)
    count: PositiveInt = 10_000


def pick_labels(
    data: NDArray[Any],
    voxel_spacing_angstrom: Sequence[float],
    config: LabelConfig,
    *,
    label: int | None = None,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> Picked:
    """Find the particles of one class, the surest first.

    Scores are confidences from 0 to 1: how much of a particle's volume is of the class at that place, as far
    as the map is sure of it. A component of v voxels and total score s has s / max(v, voxels of a particle).
    The modes of mean-shift with a Gaussian kernel are the maxima of the scores that it has smoothed
    [comaniciu2002], found at once and not by iteration; a mode has its height over that of a full ball.

    Parameters
    ----------
    data
        (z, y, x), may be memory-mapped: labels, or the probability of the class.
    voxel_spacing_angstrom
        (z, y, x) in Å.
    config
        How to pick.
    label
        The label of the class; None if `data` are probabilities. NaN counts as 0.
    mask
        (z, y, x): only picks whose centre lies inside.
    progress
        Receives progress; silent by default.

    Raises
    ------
    Interrupted
        If the user stopped.

    Examples
    --------
    Two balls that touch:

    >>> grid = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"))
    >>> first, second = (np.hypot(np.hypot(*(grid[:2] - 9)), grid[2] - x) < 6.5 for x in (9, 22))
    >>> found = pick_labels(first | second, (10, 10, 10), LabelConfig(diameter_angstrom=130), label=1).picks
    >>> sorted(found.positions_angstrom[:, 2].round(-1).tolist())
    [90.0, 220.0]
    """
    report = progress or SilentProgress()
    scores_of = class_scores(label)
    spacing = np.asarray(voxel_spacing_angstrom, float)
    diameter, components = config.diameter_angstrom, None
    if config.clustering == "components" or diameter is None:
        components = components_of(data, scores_of, config.voxel_threshold, report)
        diameter = diameter or typical_diameter(components, spacing)
    if diameter is None:
        return Picked(Picks(np.zeros((0, 3)), np.zeros(0)), np.zeros(0))
    if config.clustering == "components":
        found = component_picks(components, diameter, spacing)
    else:
        found = mean_shift_picks(data, scores_of, diameter, spacing, report)
    if mask is not None:
        index = np.rint(found.positions_angstrom / spacing).astype(int)
        found = found.select(mask[tuple(np.clip(index, 0, np.array(data.shape) - 1).T)])
    found = merged(found, config.min_distance_angstrom or DISTANCE * diameter)
    above = found.select(found.scores >= config.threshold)
    return Picked(above.select(slice(config.count)), found.scores)


def class_scores(label: int | None) -> Scores:
    """From stored voxels to scores from 0 to 1: whether they have a label, or their probabilities."""
    if label is None:
        return lambda block: np.clip(np.nan_to_num(np.asarray(block, np.float32)), 0, 1)
    return lambda block: np.equal(block, label).astype(np.float32)


def class_diameter(
    data: NDArray[Any],
    voxel_spacing_angstrom: Sequence[float],
    voxel_threshold: float,
    *,
    label: int | None = None,
    progress: Progress | None = None,
) -> float | None:
    """Diameter in Å of a ball as large as a class's typical component; None if the class is not there.

    Parameters are those of `pick_labels`.

    Raises
    ------
    Interrupted
        If the user stopped.
    """
    found = components_of(data, class_scores(label), voxel_threshold, progress or SilentProgress())
    return typical_diameter(found, np.asarray(voxel_spacing_angstrom, float))


def typical_diameter(components: Components, spacing: Real) -> float | None:
    """Diameter in Å of the ball that has the volume of the component in which the middle voxel lies.

    That is the median weighted by volume, to which specks add little; None without components.
    """
    if not len(components.voxels):
        return None
    volumes = np.sort(components.voxels)
    middle = volumes[np.searchsorted(np.cumsum(volumes), volumes.sum() / 2)]
    return float(2 * (3 * middle * spacing.prod() / (4 * math.pi)) ** (1 / 3))


def component_picks(components: Components | None, diameter: float, spacing: Real) -> Picks:
    """One pick for each component, in no order."""
    assert components is not None
    particle = math.pi / 6 * diameter**3 / spacing.prod()
    confidence = components.sums / np.maximum(components.voxels, particle)
    return Picks(components.centres * spacing, confidence)


def mean_shift_picks(
    data: NDArray[Any], scores_of: Scores, diameter: float, spacing: Real, progress: Progress
) -> Picks:
    """One pick for each mode, in no order; scores beyond the faces count as 0."""
    sigmas = kernel_sigmas(diameter, spacing)
    steps = grid_steps(sigmas)
    kernels = [kernel_matrix(n, step, s) for n, step, s in zip(data.shape, steps, sigmas, strict=True)]
    (density,) = smoothed(data, scores_of, (kernels,), progress)
    modes, heights = local_maxima(np.pad(density, 1))
    places = np.clip((modes - 1) * steps, 0, np.array(data.shape) - 1)
    return Picks(places * spacing, np.clip(heights / FULL, 0, 1))


def kernel_sigmas(diameter: float, spacing: Sequence[float] | Real) -> list[float]:
    """Deviations of the mean-shift kernel in voxels, (z, y, x)."""
    return [max(LEAST_SIGMA, BANDWIDTH * diameter / 2 / s) for s in spacing]


def kernel_matrix(side: int, step: int, sigma: float) -> Real:
    """Gaussian smoothing along one axis with every `step`-th voxel kept, zeros beyond the ends."""
    distance = np.arange(0, side, step)[:, None] - np.arange(side)
    reach = np.arange(-math.ceil(REACH * sigma), math.ceil(REACH * sigma) + 1)
    weights = np.exp(-0.5 * (distance / sigma) ** 2) / np.exp(-0.5 * (reach / sigma) ** 2).sum()
    return np.where(np.abs(distance) <= REACH * sigma, weights, 0.0)


def labels_bytes(shape: tuple[int, ...], spacing: Sequence[float], config: LabelConfig) -> int:
    """Peak memory of `pick_labels` beside the libraries and the volume."""
    smallest = config.diameter_angstrom or 0.0  # a diameter that is not known yet may need the full grid
    needed = map_bytes(shape, grid_steps(kernel_sigmas(smallest, spacing)))
    return max(needed, components_bytes(shape))
