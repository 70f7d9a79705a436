"""`microtubule`: a real tomogram crop whose 520 tubulin positions were fitted by other software."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous import filters
from vitreous.benchmark.runner import Record, Row
from vitreous.core import InputError, Progress, Volume
from vitreous.io import open_volume, write_volume
from vitreous.io.pose_table import read_scored_poses
from vitreous.metrics import detection_scores, match_picks
from vitreous.report import TableSection
from vitreous.workflows.denoise import DenoiseSettings, Source, denoise_source
from vitreous.workflows.pick import PickRequest, PickSettings, pick_file

TOMOGRAM = "real/microtubule/microtubule_13pf.mrc"
POSITIONS = "real/microtubule/tubulin_coords_xyz_voxel.txt"
REPEAT_ANGSTROM = 41.0
LINE_HALF_WIDTH = 0.06  # of the layer line's frequency
SURROUNDINGS = (0.15, 0.35)  # distance from it, on both sides, likewise
WIDEST_ANGSTROM = 60.0  # the line is summed out to this frequency across the axis
BACKGROUND_DISTANCE = 20.0  # voxels from the nearest tubulin at which density counts as background
METHODS = ("noise-model", "blindspot")
TUBULIN = "real/microtubule/beta-tubulin.mrc"
AS_IS, DENOISED = "tomogram", "noise-model"
HIT_ANGSTROM = 20.0
ALL_POSITIONS: Mapping[str, Any] = {"min_distance_angstrom": 30.0, "threshold": 0.0, "invert": True}
PICKERS: Mapping[str, Mapping[str, Any]] = {
    "dog 42 Å": {"diameter_angstrom": 42.0},
    "dog 60 Å": {"diameter_angstrom": 60.0},
    "template": {"method": "template", "angular_step_deg": 25.0, "low_pass_angstrom": 25.0},
}

Array = NDArray[np.float32]


def microtubule_rows(data: Path | None, seeds: Sequence[int], progress: Progress) -> Iterator[Row]:
    """Each learned method and seed, each with the Gaussian that leaves as much of the line; then picks."""
    if data is None:
        raise InputError("the table microtubule needs a folder of real data", remedy="give --data DIR")
    for method in METHODS:
        for seed in seeds:
            key = {"method": method, "seed": seed}
            yield Row(key, partial(compare, data, method, seed, progress))
    yield Row({"picks": AS_IS}, partial(pick_figures, data, None, progress))
    for seed in seeds:
        yield Row({"picks": DENOISED, "seed": seed}, partial(pick_figures, data, seed, progress))


def compare(data: Path, method: str, seed: int, progress: Progress) -> Record:
    """Density at tubulin, in background deviations, and layer-line power before and after."""
    volume = open_volume(data / TOMOGRAM)
    positions = np.loadtxt(data / POSITIONS, delimiter=",")[:, ::-1]  # the file has x, y, z
    begun = time.monotonic()
    result = denoise_source(Source(volume), DenoiseSettings(method=method, seed=seed), progress).data
    seconds = time.monotonic() - begun
    before = np.asarray(volume.data, np.float32)
    line = LayerLine(volume, positions)
    share = line.excess(result) / line.excess(before)
    frequency = line.frequency
    # exp(-4π²σ²k²) of the power is left by a Gaussian filter.
    sigma = float(np.sqrt(max(-np.log(min(share, 1.0)), 0) / (4 * np.pi**2 * frequency**2)))
    smooth = filters.gaussian(before, sigma=sigma) if sigma > 0 else before
    return {
        "seconds": seconds,
        "density": density_at(result, positions),
        "gaussian_density": density_at(smooth, positions),
        "input_density": density_at(before, positions),
        "gaussian_sigma": sigma,
        "line_share": share,
        "line_over_surroundings": line.contrast(result),
        "input_line_over_surroundings": line.contrast(before),
    }


def pick_figures(data: Path, seed: int | None, progress: Progress) -> Record:
    """F1 of what each picker makes of the tomogram, or of the tomogram denoised with a seed.

    The best picks, as many as there are positions, count within two nanometres, one to one.
    """
    volume = open_volume(data / TOMOGRAM)
    true = np.loadtxt(data / POSITIONS, delimiter=",")[:, ::-1] * (volume.mean_spacing_angstrom or 0.0)
    figures: Record = {}
    with tempfile.TemporaryDirectory(prefix="vitreous-microtubule-") as folder:
        source = data / TOMOGRAM
        if seed is not None:
            result = denoise_source(
                Source(volume), DenoiseSettings(method=DENOISED, seed=seed), progress
            ).data
            source = write_volume(Path(folder, "denoised.mrc"), volume.with_data(result))
        for name, options in PICKERS.items():
            settings = PickSettings(**{**options, **ALL_POSITIONS, "count": len(true)})
            if settings.method == "template":
                settings = replace(settings, template=str(data / TUBULIN))
            output = Path(folder, f"{len(figures)}.csv")
            pick_file(PickRequest(source, output, output.with_suffix(""), settings), progress)
            found, scores = read_scored_poses(output)
            order = np.argsort(-scores) if scores is not None else slice(None)
            matched = match_picks(found.positions_angstrom[order], true, HIT_ANGSTROM)
            figures[f"{name}, F1"] = detection_scores(matched.hits, matched.found)["f1"]
    return figures


def density_at(volume: Array, positions: NDArray[Any]) -> float:
    """Mean density at positions (z, y, x) above the background's mean, in units of its deviation."""
    far = np.ones(volume.shape, bool)
    far[tuple(np.clip(np.rint(positions).astype(int), 0, np.array(volume.shape) - 1).T)] = False
    background = volume[ndi.distance_transform_edt(far) > BACKGROUND_DISTANCE]
    values = ndi.map_coordinates(volume, positions.T, order=1, mode="nearest")
    return float((values.mean() - background.mean()) / background.std())


class LayerLine:
    """The 1/4.1 nm layer line of a straight filament: a slab of Fourier space across its axis."""

    def __init__(self, volume: Volume, positions: NDArray[Any]) -> None:
        spacing = volume.mean_spacing_angstrom
        assert spacing is not None  # open_volume refuses files without one
        centred = positions - positions.mean(axis=0)
        axis = np.linalg.svd(centred, full_matrices=False)[2][0]
        self.frequency = spacing / REPEAT_ANGSTROM
        axes = [
            np.fft.fftfreq(n).reshape([-1 if i == a else 1 for i in range(3)])
            for a, n in enumerate(volume.shape)
        ]
        along = np.abs(sum(c * f for c, f in zip(axis, axes, strict=True)))
        across = np.sqrt(np.maximum(sum(f**2 for f in axes) - along**2, 0)) < spacing / WIDEST_ANGSTROM
        offset = np.abs(along - self.frequency) / self.frequency
        self.line = across & (offset < LINE_HALF_WIDTH)
        self.around = across & (offset > SURROUNDINGS[0]) & (offset < SURROUNDINGS[1])

    def powers(self, volume: Array) -> tuple[float, float]:
        """Mean power on the line and beside it."""
        power = np.abs(np.fft.fftn(volume - volume.mean())) ** 2
        return float(power[self.line].mean()), float(power[self.around].mean())

    def excess(self, volume: Array) -> float:
        """Power on the line above its surroundings."""
        line, around = self.powers(volume)
        return max(line - around, 1e-12)

    def contrast(self, volume: Array) -> float:
        """Power on the line over its surroundings."""
        line, around = self.powers(volume)
        return line / around


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """A line for each method and seed; another table of what is picked."""
    tables = {
        "method": ("Microtubule, 10.52 Å voxels", ""),
        "picks": (
            "Picks of tubulin",
            f"The best 520 against 520 positions, hits within {HIT_ANGSTROM:.0f} Å.",
        ),
    }
    sections = []
    for kind, (heading, text) in tables.items():
        of = [r for r in records if kind in r]
        keys = [k for k in of[0] if k not in (kind, "seed")] if of else []
        rows = [[r[kind], str(r.get("seed", "–")), *(f"{r[k]:.3g}" for k in keys)] for r in of]
        header = [kind, "seed", *(k.replace("_", " ") for k in keys)]
        sections += [TableSection(heading, text, header=header, rows=rows)] if of else []
    return sections
