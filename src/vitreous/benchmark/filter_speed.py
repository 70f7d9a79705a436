"""`filter-speed`: the filters against other packages' at equal parameters, one thread each, in turns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
import scipy.ndimage as ndi
import torch
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means
from torch import Tensor

from vitreous import filters
from vitreous.benchmark.runner import Record, Row
from vitreous.filters.diffusion import LEAST, STEEPNESS, diffusion_step
from vitreous.filters.neighbours import extended
from vitreous.filters.structure_tensor import margin_of, structure_tensor
from vitreous.report import TableSection

SIDE = 64
REPEATS = 5
BORDER = 8  # voxels left out of the differences: beyond the faces every package goes on in its own way
SPATIAL_SIGMA, RANGE_SIGMA, RADIUS = 0.8, 3.0, 2  # ITK's window has 2.5 sigmas
PATCH, SEARCH, TOLERANCE = 5, 3, 0.6
GRADIENT_DOMAIN, GRADIENT_RANGE = 120.0, 8.0
SQUARES = np.square(np.indices((3, 3, 3)) - 1).sum(0)  # of the distances within a window
CONTRAST, COHERENCE, TIME_STEP = 0.22, 0.021, 0.06  # ITK's diffusion is stable up to 1/16

Array = NDArray[np.float32]
Filter = Callable[[Array], Array]


@dataclass(frozen=True)
class Pair:
    """Two filters to compare, whether they compute the same, and on what volume or volumes."""

    ours: str
    theirs: str
    filters: Callable[[], tuple[Filter, Filter]]
    same: bool = True
    needs: str = "skimage"
    volume: Callable[[], Array] | None = None


def bilateral_pair() -> tuple[Filter, Filter]:
    """Ours and ITK's, whose table of range weights is made fine enough to compare."""
    import SimpleITK

    other = SimpleITK.BilateralImageFilter()
    other.SetDomainSigma(SPATIAL_SIGMA)
    other.SetRangeSigma(RANGE_SIGMA)
    other.SetNumberOfRangeGaussianSamples(4000)
    ours = partial(filters.bilateral, spatial_sigma=SPATIAL_SIGMA, range_sigma=RANGE_SIGMA, radius=RADIUS)
    return partial(on_tensor, ours), partial(by_itk, SimpleITK, other)


def nlm_pair() -> tuple[Filter, Filter]:
    """Ours with the window that scikit-image's fast mode has; see the notes of `filters.nlm`."""
    ours = partial(
        filters.nlm,
        tolerance=TOLERANCE * (PATCH / (PATCH - 1)) ** 1.5,
        noise_deviation=1.0,
        patch_side=PATCH - 1,
        search_radius=SEARCH,
    )
    theirs = partial(denoise_nl_means, patch_size=PATCH, patch_distance=SEARCH, h=TOLERANCE, sigma=1.0)
    return partial(on_tensor, ours), theirs


def diffusion_pair() -> tuple[Filter, Filter]:
    """One step of ours, and the same with an eigendecomposition per voxel."""
    return partial(on_tensor, one_step), partial(on_tensor, plain_step)


def curvature_pair() -> tuple[Filter, Filter]:
    """One step of ours and one of ITK's curvature diffusion: another equation, without a tensor."""
    import SimpleITK

    other = SimpleITK.CurvatureAnisotropicDiffusionImageFilter()
    other.SetTimeStep(TIME_STEP)
    other.SetNumberOfIterations(1)
    other.SetConductanceParameter(2.0)
    return partial(on_tensor, one_step), partial(by_itk, SimpleITK, other)


def windows_pair() -> tuple[Filter, Filter]:
    """The improved bilateral filter of many volumes at once, and of one after the other by windows."""
    return partial(on_tensor, improved), partial(one_by_one, improved_by_windows)


def loop_pair() -> tuple[Filter, Filter]:
    """The same against the loop over voxels that its equations describe."""
    return partial(on_tensor, improved), improved_by_loop


PAIRS = {
    "bilateral": Pair("bilateral", "SimpleITK, bilateral", bilateral_pair, needs="SimpleITK"),
    "nlm": Pair("nlm", "scikit-image, fast mode", nlm_pair),
    "nad": Pair("nad, one step", "the same by torch.linalg.eigh", diffusion_pair),
    "nad, indication": Pair(
        "nad, one step", "SimpleITK, curvature diffusion", curvature_pair, same=False, needs="SimpleITK"
    ),
    "ibf": Pair(
        "ibf, 16 volumes of 32³ at once",
        "one by one, NumPy's windows",
        windows_pair,
        volume=lambda: noisy_steps(16, 32),
    ),
    "ibf, loop": Pair(
        "ibf, one volume of 24³", "a loop over voxels", loop_pair, volume=lambda: noisy_steps(1, 24)[0]
    ),
}


def filter_speed_rows() -> Iterator[Row]:
    """A row for each pair whose packages are installed."""
    for name, pair in PAIRS.items():
        if find_spec(pair.needs) is not None:
            yield Row({"pair": name}, partial(compare, pair))


def compare(pair: Pair) -> Record:
    """Median CPU seconds of both on one noisy volume, their ratio, and how far the results are apart."""
    volume = (pair.volume or noisy_step)()
    ours, theirs = pair.filters()
    seconds: dict[Filter, list[float]] = {ours: [], theirs: []}
    results = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for repeat in range(REPEATS + 1):
            for run, times in seconds.items():
                begun = time.process_time()
                results[run] = run(volume)
                if repeat:  # the first one warms up
                    times.append(time.process_time() - begun)
    finally:
        torch.set_num_threads(threads)
    inside = (slice(BORDER, -BORDER),) * 3
    difference = np.abs(results[ours] - results[theirs])[(..., *inside)]
    fast, slow = median(seconds[ours]), median(seconds[theirs])
    return {
        "side": volume.shape[-1],
        "ours": fast,
        "theirs": slow,
        "ratio": slow / fast,
        "largest_difference": float(difference.max()) if pair.same else None,
    }


def noisy_step() -> Array:
    """White noise of unit deviation on a step of three."""
    noise = np.random.default_rng(0).standard_normal((SIDE,) * 3, dtype=np.float32)
    noise[SIDE // 2 :] += 3
    return noise


def noisy_steps(count: int, side: int) -> Array:
    """White noise of unit deviation on steps of three: (count, side, side, side)."""
    noise = np.random.default_rng(0).standard_normal((count, *(side,) * 3), dtype=np.float32)
    noise[:, side // 2 :] += 3
    return noise


def improved(volumes: Tensor) -> Tensor:
    """The improved bilateral filter at a fixed range."""
    return filters.improved_bilateral(volumes, spatial_sigma=GRADIENT_DOMAIN, range_sigma=GRADIENT_RANGE)


def one_by_one(function: Filter, volumes: Array) -> Array:
    """A filter of single volumes, of many."""
    return np.stack([function(volume) for volume in volumes])


def improved_by_windows(volume: Array) -> Array:
    """The improved bilateral filter of one volume: all windows of 3³ as views, weighted at once."""
    guides = [edge_windows(g) for g in sobel_differences(volume)]
    apart = sum(((g - g[..., 1:2, 1:2, 1:2]) ** 2 for g in guides), np.zeros((), np.float32))
    weights = np.exp(-apart / (2 * GRADIENT_RANGE**2)) * np.exp(-SQUARES / (2 * GRADIENT_DOMAIN**2))
    result: Array = (weights * edge_windows(volume)).sum((3, 4, 5)) / weights.sum((3, 4, 5))
    return result


def improved_by_loop(volume: Array) -> Array:
    """The improved bilateral filter voxel by voxel and neighbour by neighbour."""
    guides = [edge_windows(g) for g in sobel_differences(volume)]
    windows, result = edge_windows(volume), np.empty_like(volume)
    for z, y, x in np.ndindex(volume.shape):
        total = weights = 0.0
        for k, j, i in np.ndindex(3, 3, 3):
            apart = 0.0
            for guide in guides:
                apart += (float(guide[z, y, x, k, j, i]) - float(guide[z, y, x, 1, 1, 1])) ** 2
            exponent = -apart / (2 * GRADIENT_RANGE**2) - SQUARES[k, j, i] / (2 * GRADIENT_DOMAIN**2)
            weight = math.exp(exponent)
            total += weight * float(windows[z, y, x, k, j, i])
            weights += weight
        result[z, y, x] = total / weights
    return result


def sobel_differences(volume: Array) -> list[Array]:
    """∂Δ of vox-uda eqs 10 to 12 with Sobel's magnitude for Δ, by SciPy."""
    slopes = [ndi.sobel(volume, axis, mode="nearest") for axis in range(3)]
    delta = np.sqrt(np.sum(np.square(slopes), axis=0))
    return [ndi.correlate1d(delta, [-1, 0, 1], axis, mode="nearest") for axis in range(3)]


def edge_windows(volume: Array) -> Array:
    """The 3³ voxels around each voxel of a volume, (z, y, x, 3, 3, 3)."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(volume, 1, mode="edge"), (3, 3, 3))


def on_tensor(function: Callable[[Tensor], Tensor], volume: Array) -> Array:
    """A function of tensors, of an array."""
    return function(torch.from_numpy(volume)).numpy()


def by_itk(itk: Any, other: Any, volume: Array) -> Array:
    """A filter of SimpleITK, with one thread."""
    other.SetNumberOfThreads(1)
    result: Array = itk.GetArrayFromImage(other.Execute(itk.GetImageFromArray(volume)))
    return result


def one_step(volume: Tensor) -> Tensor:
    """One step of ours."""
    return filters.diffuse(volume, contrast=CONTRAST, coherence=COHERENCE, steps=1, time_step=TIME_STEP)


def plain_step(volume: Tensor) -> Tensor:
    """The same step with `torch.linalg.eigh`: what the closed form is worth."""
    padded = extended(volume, margin_of(1, 1), margin_of(1, 1), "replicate")
    tensor, squared_gradient = structure_tensor(padded, smoothing=1, integration=1)
    rows = torch.stack([tensor[i] for i in (0, 3, 4, 3, 1, 5, 4, 5, 2)], -1)
    values, vectors = torch.linalg.eigh(rows.reshape(*volume.shape, 3, 3))
    third, second, first = values.unbind(-1)
    edge = 1 - torch.exp(-STEEPNESS / (squared_gradient / CONTRAST**2).clamp_min(1e-4) ** 4)
    one = torch.ones_like(edge)
    edges = torch.stack([one, one, edge], -1)
    lines = LEAST + (1 - LEAST) * torch.exp(
        -((COHERENCE / torch.stack([first - third, first - second], -1).clamp_min(1e-9)) ** 2)
    )
    lines = torch.cat([lines, LEAST * one[..., None]], -1)
    diffusivity = torch.where((first - third >= COHERENCE)[..., None], lines, edges)
    full = (vectors * diffusivity[..., None, :]) @ vectors.transpose(-1, -2)
    parts = [full[..., a, b].contiguous() for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
    return diffusion_step(volume, parts, TIME_STEP)


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """One table."""
    rows = []
    for record in records:
        pair, apart = PAIRS[record["pair"]], record["largest_difference"]
        rows.append(
            [
                pair.ours,
                pair.theirs,
                f"{record['ours']:.3f}",
                f"{record['theirs']:.3f}",
                f"{record['ratio']:.1f} ×",
                "another equation" if apart is None else f"{apart:.1e}",
            ]
        )
    text = (
        "CPU seconds on one thread, medians in turns, equal parameters; differences in units of the noise, "
        "away from the faces. scikit-image approximates the exponential and drops weights under exp(-5). Its "
        "bilateral filter takes planes only; no package has the hybrid diffusion or ibf."
    )
    if any(find_spec(pair.needs) is None for pair in PAIRS.values()):
        text += " SimpleITK is not installed, so its rows are missing."
    header = ("filter", "against", "ours, s", "theirs, s", "ratio", "largest difference")
    return [
        TableSection(
            f"Filters of a volume of {SIDE}³ voxels, unless it is said", text, header=header, rows=rows
        )
    ]
