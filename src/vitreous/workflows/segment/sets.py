"""A set of subtomograms, segmented box by box."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vitreous
from vitreous.core import Interrupted, Progress, Volume
from vitreous.io import write_volume
from vitreous.io.subtomograms import write_subtomogram_zarr
from vitreous.segmentation import SegmentationModel, labels_of, segment_boxes
from vitreous.workflows.segment.request import SegmentRequest
from vitreous.workflows.subtomograms import BoxSource, Grid, LoadedBoxes, load_boxes, open_boxes

BATCH = 16
LABELS, PROBABILITIES = "labels", "probabilities"
KINDS: dict[str, np.dtype[Any]] = {LABELS: np.dtype("u1"), PROBABILITIES: np.dtype("f4")}


def open_set(request: SegmentRequest, model: SegmentationModel) -> tuple[BoxSource, Grid]:
    """The subtomograms of a request, and the grid that they are segmented on.

    Raises
    ------
    InputError
        If there are none, or their voxels are not the model's and are not to be resampled.
    """
    source = open_boxes(request.input, voxel_size=request.voxel_size_angstrom)
    if request.fit == "refuse":
        model.check_spacing(source.spacing_angstrom, request.input)
        return source, Grid(source.shape[0], source.spacing_angstrom)
    wanted = model.description
    return source, Grid(wanted.side, wanted.voxel_spacing_angstrom, request.fit)


def segment_set(
    request: SegmentRequest, source: BoxSource, grid: Grid, model: SegmentationModel, progress: Progress
) -> tuple[LoadedBoxes, NDArray[np.float32]]:
    """The subtomograms as the network saw them, and probabilities (n, classes, z, y, x).

    Raises
    ------
    Interrupted
        If the user asked to stop.
    """
    loaded = load_boxes(source, grid, progress, invert=request.invert)
    boxes = -loaded.values if model.description.protein == "bright" else loaded.values
    progress.start("segmenting", len(loaded))
    parts = []
    for first in range(0, len(loaded), BATCH):
        if progress.should_stop():
            raise Interrupted
        batch = boxes[first : first + BATCH]
        parts.append(segment_boxes(model, batch))
        progress.advance(len(batch))
    return loaded, np.concatenate(parts)


def write_set(
    request: SegmentRequest, source: BoxSource, loaded: LoadedBoxes, found: NDArray[np.float32]
) -> list[Path]:
    """Write labels, and on request the probability of everything but background.

    What was skipped has labels of 0, so that the n-th label volume is that of the n-th subtomogram.
    """
    label = f"vitreous {vitreous.__version__}: segmented"
    names = [LABELS, *([PROBABILITIES] if request.probabilities else [])]
    count = len(source.boxes)
    side = loaded.values.shape[-1]

    def rows() -> Iterator[dict[str, NDArray[Any]]]:
        place = {index: n for n, index in enumerate(loaded.indices)}
        empty = np.zeros((1, side, side, side), np.uint8)
        for index in range(count):
            n = place.get(index)
            one = None if n is None else found[n]
            yield {
                LABELS: empty if one is None else labels_of(one)[None],
                PROBABILITIES: empty if one is None else 1 - one[:1],
            }

    if request.output.suffix == ".zarr":
        kinds = {name: KINDS[name] for name in names}
        shape = (count, side, side, side)
        write_subtomogram_zarr(
            request.output, shape, kinds, rows(), loaded.spacing_angstrom, overwrite=True, label=label
        )
        return [request.output]
    for index, row in enumerate(rows()):
        for name in names:
            dtype = np.dtype(np.int8) if name == LABELS else np.dtype(np.float32)
            volume = Volume(row[name][0], (loaded.spacing_angstrom,) * 3)
            file = request.output / name / f"{index + 1:06d}.mrc"
            write_volume(file, volume, overwrite=True, label=label, dtype=dtype)
    return [request.output / name for name in names]
