"""One tomogram, segmented slab by slab into memory-mapped files that a stopped run goes on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import skew

import vitreous
from vitreous.core import InputError, Normalization, Progress, Volume, VoxelStatistics, measure_voxels
from vitreous.filters import gaussian
from vitreous.inference import available_memory
from vitreous.inference.memory import BASE_BYTES, GIGABYTE
from vitreous.io import check_writable, faults_in_words, open_volume, volume_warnings, write_volume
from vitreous.io.atomic import write_text_atomic
from vitreous.io.drafts import remove
from vitreous.segmentation import SegmentationModel, labels_of, segment_slabs
from vitreous.segmentation.model import SAME_SPACING
from vitreous.workflows.dual.domains import padded_sides, rescaled
from vitreous.workflows.segment.request import SegmentRequest
from vitreous.workflows.subtomograms.opening import even_spacing, protein_beside

LOOKED_AT = 160  # voxels along an edge of the middle in which the contrast is judged
SMOOTHED_ANGSTROM = 40.0
BRIGHT = 0.5  # skewness of the smoothed middle; that of noise alone stays within ±0.1


@dataclass(frozen=True, eq=False)
class TomogramSource:
    """A tomogram that fits a model: as its file has it, and on the model's grid.

    `ratios`: voxels of the latter for one of the former, along (z, y, x). `turned`: its contrast is inverted
    before the network sees it.
    """

    volume: Volume
    fitted: NDArray[Any]
    ratios: tuple[float, ...]
    normalization: Normalization
    turned: bool
    warnings: tuple[str, ...]


def open_tomogram(request: SegmentRequest, model: SegmentationModel) -> TomogramSource:
    """Open the tomogram and refuse what does not fit the model.

    Raises
    ------
    InputError
        If it cannot be read, has voxels of another edge and is not to be resampled, or looks as if its
        contrast were another than what was taken for granted.
    """
    volume = open_volume(request.input, voxel_spacing_angstrom=request.voxel_size_angstrom)
    spacing = even_spacing(volume, request.input)
    fitted: NDArray[Any] = volume.data
    ratios = (1.0, 1.0, 1.0)
    if request.fit != "resample":
        model.check_spacing(spacing, request.input)
    elif abs(spacing / model.description.voxel_spacing_angstrom - 1) > SAME_SPACING:
        fitted = rescaled(volume, model.description.voxel_spacing_angstrom)
        factor = spacing / model.description.voxel_spacing_angstrom
        z, y, x = (new / old for old, new in (padded_sides(side, factor) for side in volume.shape))
        ratios = (z, y, x)
    statistics = measured(fitted, request.input)
    missing = statistics.non_finite
    if fitted is not volume.data:  # resampling has filled them
        missing = measured(volume.data, request.input).non_finite
    warnings = list(volume_warnings(volume))
    if missing:
        warnings.append(f"{missing} voxels are NaN or infinite; they were taken as the mean.")
    if model.description.centred:
        warnings.append(
            "The model was trained on boxes with the particle in the middle, and may find the middle of "
            "every block instead of particles: for tomograms train with vitreous adapt --shift 12 or so."
        )
    known = protein_beside(request.input.parent)
    bright = known == "bright" if request.invert is None else request.invert
    normalization = statistics.normalization
    if request.invert is None and known is None:
        check_looks_dark(fitted, normalization, model, request.input)
    turned = bright != (model.description.protein == "bright")
    if turned:  # (v - mean) / -deviation
        normalization = replace(normalization, deviation=-normalization.deviation)
    return TomogramSource(volume, fitted, ratios, normalization, turned, tuple(warnings))


def measured(data: NDArray[Any], path: Path) -> VoxelStatistics:
    """Statistics of a tomogram; InputError if there is nothing in it."""
    try:
        return measure_voxels(data)
    except ValueError as error:
        raise InputError(str(error), path=path, remedy="check the file") from error


def check_looks_dark(
    data: NDArray[Any], normalization: Normalization, model: SegmentationModel, path: Path
) -> None:
    """Raise InputError if bright blobs stand out, where protein is expected to be dark.

    Particles are small and many voxels are none: smoothed, dark ones make the histogram lean to the left.
    """
    cuts = tuple(slice(max(0, (n - LOOKED_AT) // 2), (n + LOOKED_AT) // 2) for n in data.shape)
    middle = normalization.apply(data[cuts])
    sigma = SMOOTHED_ANGSTROM / model.description.voxel_spacing_angstrom
    lean = float(skew(gaussian(middle, sigma=sigma), axis=None))
    if lean > BRIGHT:
        raise InputError(
            "protein looks bright, and dark protein was expected",
            path=path,
            remedy="add --invert if it is bright, or --no-invert if it is not (gold may look like this)",
        )


def memory_needed(source: TomogramSource, model: SegmentationModel) -> int:
    """Bytes that segmenting takes at most: slabs of two tiles, labels, and what was resampled.

    Probabilities lie on disk.
    """
    z, y, x = source.fitted.shape
    classes, side = len(model.description.classes), model.description.side
    slabs = 3 * 4 * classes * min(z, 2 * side) * y * x
    held = 0 if isinstance(source.fitted, np.memmap) else source.fitted.nbytes
    return int(BASE_BYTES + slabs + held + source.volume.data.size)


def check_memory(source: TomogramSource, model: SegmentationModel, path: Path) -> str:
    """How much memory it takes, in words; raises InputError if there is not enough."""
    needed, free = memory_needed(source, model), available_memory(torch.device("cpu"))
    if needed > free:
        text = f"needs {needed / GIGABYTE:.1f} GB of memory and {free / GIGABYTE:.1f} GB are free"
        raise InputError(text, path=path, remedy="crop or bin it, or use a larger machine")
    return f"up to {needed / GIGABYTE:.1f} GB of memory"


@dataclass(frozen=True)
class SlabStore:
    """Probabilities of all classes but the background, as far as they have been computed.

    `folder` holds `probabilities.npy` (classes - 1, z, y, x) float32 and `state.json`.
    """

    folder: Path
    shape: tuple[int, ...]

    def planes_done(self) -> int:
        """How many planes are there."""
        try:
            facts = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            whole = facts["shape"] == list(self.shape) and (self.folder / "probabilities.npy").is_file()
            return int(facts["planes"]) if whole else 0
        except (OSError, LookupError, TypeError, ValueError):
            return 0

    def open(self) -> NDArray[np.float32]:
        """The array, new unless planes are there."""
        file = self.folder / "probabilities.npy"
        check_writable(file, 0 if self.planes_done() else 4 * int(np.prod(self.shape)), True)
        with faults_in_words(file):
            self.folder.mkdir(parents=True, exist_ok=True)
            mode: Any = "r+" if self.planes_done() else "w+"
            return np.lib.format.open_memmap(file, mode, np.float32, self.shape)

    def keep(self, planes: int) -> None:
        """Record how many planes are on disk."""
        write_text_atomic(
            self.folder / "state.json", json.dumps({"shape": list(self.shape), "planes": planes})
        )

    def clear(self) -> None:
        """Remove everything."""
        remove(self.folder)


def segment_tomogram(
    source: TomogramSource, model: SegmentationModel, store: SlabStore, progress: Progress
) -> NDArray[np.float32]:
    """Probabilities (classes - 1, z, y, x) on the model's grid, memory-mapped; goes on where it was stopped.

    Raises
    ------
    Interrupted
        If the user asked to stop; finished slabs stay.
    """
    first = store.planes_done()
    whole = store.open()
    if first:
        progress.note(f"going on with the run that was stopped, at plane {first}")
    if first < source.fitted.shape[0]:
        for planes, slab in segment_slabs(
            model, source.fitted, source.normalization, progress=progress, first_plane=first
        ):
            whole[:, planes] = slab[1:]
            whole.flush()  # type: ignore[attr-defined]
            store.keep(planes.stop)
    return whole


def write_segmentation(
    request: SegmentRequest, source: TomogramSource, model: SegmentationModel, found: NDArray[np.float32]
) -> list[Path]:
    """Labels, and on request probabilities, on the tomogram's own grid; returns the files."""
    label = f"vitreous {vitreous.__version__}: segmented"
    shape = source.volume.shape
    labels = np.empty(shape, np.int8)
    for planes, slab in on_grid(found, shape, source.ratios):
        rest = 1 - slab.sum(axis=0, keepdims=True)
        labels[planes] = labels_of(np.concatenate([rest, slab]))
    write_volume(request.output, source.volume.with_data(labels), overwrite=True, label=label, dtype=np.int8)
    files = probability_files(request, model)
    for number, file in enumerate(files):
        data = found[number]
        if data.shape != shape:
            slabs = on_grid(found[number : number + 1], shape, source.ratios)
            data = np.concatenate([slab[0] for _, slab in slabs])
        write_volume(file, source.volume.with_data(data), overwrite=True, label=label)
    return [request.output, *files]


def probability_files(request: SegmentRequest, model: SegmentationModel) -> list[Path]:
    """Where probabilities go, class by class; none if they were not asked for."""
    if not request.probabilities:
        return []
    stem, suffix = request.output.name.split(".")[0], request.output.suffix
    return [request.output.with_name(f"{stem}_{plain(n)}{suffix}") for n in model.description.classes[1:]]


def plain(name: str) -> str:
    """A class name as part of a file name.

    Examples
    --------
    >>> plain("phantom:26s")
    'phantom-26s'
    """
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def on_grid(
    values: NDArray[np.float32], shape: tuple[int, ...], ratios: tuple[float, ...], planes: int = 16
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Volumes (n, z, y, x) on the grid of the tomogram, slab by slab; linear between their voxels."""
    for first in range(0, shape[0], planes):
        cut = slice(first, min(first + planes, shape[0]))
        slab: NDArray[Any] = values[:, cut] if values.shape[1:] == shape else values
        if slab is values:
            wanted = (np.arange(cut.start, cut.stop), *(np.arange(side) for side in shape[1:]))
            for axis, (index, ratio) in enumerate(zip(wanted, ratios, strict=True), 1):
                slab = interpolated(slab, np.minimum(index * ratio, values.shape[axis] - 1), axis)
        yield cut, np.asarray(slab, np.float32)


def interpolated(values: NDArray[Any], places: NDArray[np.float64], axis: int) -> NDArray[Any]:
    """Values between voxels along an axis.

    Examples
    --------
    >>> interpolated(np.array([0.0, 4.0, 6.0]), np.array([0.5, 2.0]), 0).tolist()
    [2.0, 6.0]
    """
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    share = (places - low).reshape([-1 if a == axis else 1 for a in range(values.ndim)]).astype(values.dtype)
    result: NDArray[Any] = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return result
