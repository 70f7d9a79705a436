"""From a segmentation to the page that shows it on slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import read_block
from vitreous.filters import gaussian
from vitreous.report import TableSection, render_tables_report
from vitreous.report.panels import LARGEST_SIDE, Panel, coloured, grey, outlined, panels_svg, surface
from vitreous.segmentation import labels_of
from vitreous.workflows.segment.tomogram import TomogramSource
from vitreous.workflows.subtomograms import LoadedBoxes

SHOWN_BOXES = 6
QUANTILES = (0.25, 0.5, 0.75)
SMOOTHED = 1.0  # voxels; single slices of raw tomograms show little but noise
BOXES_EXPLAINED = (
    "Slices through the middle, across the beam and along it, smoothed by a voxel; the line is the border of "
    "what was found. Then the probability of anything but background, and the solid along the beam."
)


def set_sections(loaded: LoadedBoxes, found: NDArray[np.float32]) -> list[TableSection]:
    """Subtomograms with their labels' borders, and the solids."""
    panels = []
    for n in np.unique(np.linspace(0, len(loaded) - 1, SHOWN_BOXES).astype(int)):
        panels += box_panels(f"{loaded.indices[n] + 1} {loaded.kinds[n]}".strip(), loaded.values[n], found[n])
    return [
        TableSection("Subtomograms", BOXES_EXPLAINED, figure_svg=panels_svg(panels, "segmented subtomograms"))
    ]


def box_panels(name: str, values: NDArray[np.float32], probabilities: NDArray[np.float32]) -> list[Panel]:
    """One subtomogram (z, y, x) with probabilities (classes, z, y, x), in four pictures."""
    solid, middle = labels_of(probabilities) > 0, len(values) // 2
    smooth = gaussian(values, sigma=SMOOTHED)
    likely = np.clip(np.rint(255 * (1 - probabilities[0, middle])), 0, 255).astype(np.uint8)
    return [
        Panel(name, outlined(smooth[middle], solid[middle])),
        Panel(f"{name}, along the beam", outlined(smooth[:, middle], solid[:, middle])),
        Panel("probability", likely),
        Panel("solid", surface(solid)),
    ]


def tomogram_sections(source: TomogramSource, labels: NDArray[Any]) -> list[TableSection]:
    """Slices of the tomogram, and of its labels beside."""
    depth = source.volume.shape[0]
    panels = []
    for share in QUANTILES:
        plane = min(depth - 1, int(share * depth))
        panels += pair(source, labels, plane, 0)
    panels += pair(source, labels, source.volume.shape[1] // 2, 1)
    text = "Each picture of the tomogram is smoothed by a voxel; labels are in colours."
    return [TableSection("Slices", text, figure_svg=panels_svg(panels, "segmented tomogram"))]


def pair(source: TomogramSource, labels: NDArray[Any], plane: int, axis: int) -> list[Panel]:
    """A slice and its labels."""
    data = source.volume.data
    start, shape = [0, 0, 0], list(data.shape)
    start[axis], shape[axis] = plane - 2, 5
    slab = gaussian(np.nan_to_num(read_block(data, start, shape)), sigma=SMOOTHED)
    step = -(-max(labels.shape) // LARGEST_SIDE)
    titles = f"{'zy'[axis]} = {plane}"
    shown = np.take(labels, plane, axis)
    return [
        Panel(titles, grey(np.take(slab, 2, axis))),
        Panel(f"{titles}, labels", coloured(shown[: shown.shape[0] // step * step])),
    ]


def segmentation_report(
    summary: Mapping[str, str], sections: Sequence[TableSection], command: str, warnings: Sequence[str]
) -> str:
    """The page of one run."""
    rows = TableSection("What was segmented", rows=[[k, v] for k, v in summary.items()])
    return render_tables_report(
        "Segmentation", [rows, *sections, TableSection("Repeat", f"`{command}`")], warnings=warnings
    )
