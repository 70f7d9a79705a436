"""Subtomograms of any origin as standardized arrays of one size: what networks are trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import InputError, Interrupted, Progress, Volume, read_block
from vitreous.inference import available_memory
from vitreous.inference.memory import BASE_BYTES, GIGABYTE
from vitreous.segmentation import standardized_box
from vitreous.workflows.dual.domains import NEARLY, rescaled
from vitreous.workflows.subtomograms.opening import Box, BoxSource, even_spacing

Fit = Literal["refuse", "resample", "resize"]
FITS: tuple[Fit, ...] = ("refuse", "resample", "resize")
FEWEST_FOR_CONTRAST = 20  # subtomograms; of fewer nothing is concluded about their contrast
SURE = 4.0  # standard errors
FIT_REMEDY = "add --fit resample, or --fit resize to stretch boxes as the Vox-UDA paper does"


def checked_fit(text: str) -> Fit:
    """A word as one of `FITS`; InputError if it is none."""
    for fit in FITS:
        if fit == text:
            return fit
    raise InputError(f"--fit {text} is unknown", remedy=f"use one of {', '.join(FITS)}")


@dataclass(frozen=True)
class Grid:
    """What subtomograms are brought to: voxels along an edge, their edge in Å, and how."""

    side: int
    spacing_angstrom: float
    fit: Fit = "refuse"


@dataclass(frozen=True, eq=False)
class LoadedBoxes:
    """Standardized subtomograms in which protein is dark.

    Parameters
    ----------
    path
        Where they come from.
    values
        (n, side, side, side) float32, each with mean 0 and deviation 1.
    masks
        (n, side, side, side) uint8, None if one has none.
    kinds, titles, indices
        n names of structures ("" unknown), names of subtomograms, and their numbers among all of the origin.
    spacing_angstrom
        Edge of a voxel.
    skipped
        What was left out, with the reason.
    changed
        How many were resampled, cut or continued.
    turned
        Whether their contrast was inverted.
    """

    path: Path
    values: NDArray[np.float32]
    masks: NDArray[np.uint8] | None
    kinds: tuple[str, ...]
    titles: tuple[str, ...]
    indices: tuple[int, ...]
    spacing_angstrom: float
    skipped: tuple[str, ...] = ()
    changed: int = 0
    turned: bool = False

    def __len__(self) -> int:
        return len(self.values)


def load_boxes(
    source: BoxSource, grid: Grid, progress: Progress, *, invert: bool | None = None, masks: bool = False
) -> LoadedBoxes:
    """Read, check, fit and standardize all subtomograms of a source.

    Those that hold NaN or infinite voxels, or are constant, are skipped and named.

    Parameters
    ----------
    source
        What `open_boxes` found.
    grid
        What they are brought to.
    progress
        Told of each; polled for a wish to stop.
    invert
        Whether protein is bright in the files; None: as the origin says, else dark. What contradicts the
        averaged subtomograms is refused unless it was said.
    masks
        Whether to read masks.

    Raises
    ------
    InputError
        If none is left, sizes or spacings differ and `fit` is "refuse", there is not enough memory,
        or particles look bright where dark was taken for granted.
    Interrupted
        If the user asked to stop.
    """
    check_memory(source, grid, masks=masks)
    turned = source.protein == "bright" if invert is None else invert
    found: list[tuple[int, NDArray[np.float32], NDArray[np.uint8] | None]] = []
    skipped, changed = list(source.skipped), 0
    progress.start(f"reading {source.path.name}", len(source.boxes))
    for index, box in enumerate(source.boxes):
        if progress.should_stop():
            raise Interrupted
        progress.advance()
        volume = box.density()
        fault = unusable(volume)
        if fault:
            skipped.append(f"{box.title}: {fault}")
            continue
        fitted = fit_volume(volume, grid, box.title)
        changed += fitted is not volume.data
        values = standardized_box(-np.asarray(fitted, np.float32) if turned else fitted)
        found.append((index, values, mask_of(box, grid) if masks else None))
    if not found:
        first = f" ({skipped[0]})" if skipped else ""
        raise InputError(f"holds no usable subtomogram{first}", path=source.path, remedy="give another set")
    indices = tuple(index for index, _, _ in found)
    loaded = LoadedBoxes(
        source.path,
        np.stack([values for _, values, _ in found]),
        stacked([mask for _, _, mask in found]),
        tuple(source.boxes[index].kind for index in indices),
        tuple(source.boxes[index].title for index in indices),
        indices,
        grid.spacing_angstrom,
        tuple(skipped),
        changed,
        turned,
    )
    if invert is None and source.protein is None:
        check_contrast(loaded)
    return loaded


def stacked(masks: list[NDArray[np.uint8] | None]) -> NDArray[np.uint8] | None:
    """All masks as one array, None if one is missing."""
    there = [mask for mask in masks if mask is not None]
    return np.stack(there) if len(there) == len(masks) else None


def unusable(volume: Volume) -> str:
    """Why a subtomogram cannot be used, "" if it can."""
    values = np.asarray(volume.data, np.float32)
    missing = int((~np.isfinite(values)).sum())
    if missing:
        return f"{missing} voxels are NaN or infinite"
    return "all its voxels are equal" if values.min() == values.max() else ""


def fit_volume(volume: Volume, grid: Grid, title: str) -> NDArray[Any]:
    """A subtomogram on the grid, its middle in the middle; the very voxels where they fit as they are."""
    spacing = even_spacing(volume, Path(title))
    same_spacing = abs(spacing / grid.spacing_angstrom - 1) < NEARLY
    wanted = (grid.side,) * 3
    if same_spacing and volume.shape == wanted:
        return volume.data
    if grid.fit == "refuse":
        sides = " × ".join(map(str, volume.shape))
        text = f"has {sides} voxels of {spacing:.4g} Å, and {grid.side}³ of {grid.spacing_angstrom:.4g} Å are"
        raise InputError(f"{text} wanted", path=title, remedy=FIT_REMEDY)
    if grid.fit == "resize":
        z, y, x = (grid.spacing_angstrom * grid.side / side for side in volume.shape)
        volume = replace(volume, voxel_spacing_angstrom=(z, y, x))
    data = rescaled(volume, grid.spacing_angstrom)
    start = [side // 2 - grid.side // 2 for side in data.shape]
    return read_block(data, start, wanted)


def mask_of(box: Box, grid: Grid) -> NDArray[np.uint8] | None:
    """A subtomogram's mask, 1 inside; None if it has none."""
    if box.mask is None:
        return None
    mask = np.asarray(box.mask()) > 0.5
    if mask.shape != (grid.side,) * 3:
        sides = " × ".join(map(str, mask.shape))
        text = f"its mask has {sides} voxels, not {grid.side}³"
        raise InputError(
            text, path=box.title, remedy="give masks of the subtomograms' size; they are not resampled"
        )
    return mask.astype(np.uint8)


def check_memory(source: BoxSource, grid: Grid, *, masks: bool) -> None:
    """Raise InputError if the subtomograms do not fit into the memory; twice, as they are stacked."""
    per_voxel = 2 * (5 if masks else 4)
    needed = BASE_BYTES + per_voxel * len(source.boxes) * grid.side**3
    free = available_memory(torch.device("cpu"))
    if needed > free:
        raise InputError(
            f"{len(source.boxes)} subtomograms of {grid.side}³ voxels need {needed / GIGABYTE:.1f} GB of "
            f"memory and {free / GIGABYTE:.1f} GB are free",
            path=source.path,
            remedy="give fewer, or use a larger machine",
        )


def skipped_warning(loaded: LoadedBoxes) -> str:
    """What was left out, in one sentence that names the first of them; "" if nothing was."""
    if not loaded.skipped:
        return ""
    count, total = len(loaded.skipped), len(loaded.skipped) + len(loaded)
    more = "" if count == 1 else f" (and {count - 1} more)"
    return f"{count} of {total} subtomograms were skipped: {loaded.skipped[0]}{more}."


def centre_contrast(values: NDArray[np.float32]) -> float:
    """How much darker than its surroundings the middle of boxes is, in standard errors; negative: brighter.

    Particles sit in the middle of their subtomograms. The middle reaches to a quarter of the side, the
    surroundings from there to the faces.

    Examples
    --------
    >>> boxes = np.random.default_rng(0).normal(size=(50, 16, 16, 16)).astype(np.float32)
    >>> boxes[:, 5:11, 5:11, 5:11] -= 1
    >>> centre_contrast(boxes) > 4, centre_contrast(-boxes) < -4
    (True, True)
    """
    side = values.shape[-1]
    grids = np.ogrid[(slice(side),) * 3]
    radius = np.sqrt(sum((axis - side / 2 + 0.5) ** 2 for axis in grids))
    inner, outer = radius < side / 4, (radius >= side / 4) & (radius < side / 2)
    difference = values[:, outer].mean(axis=1) - values[:, inner].mean(axis=1)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return float(difference.mean() / max(error, 1e-12))


def check_contrast(loaded: LoadedBoxes) -> None:
    """Raise InputError if particles are clearly of the other contrast than was taken for granted."""
    if len(loaded) < FEWEST_FOR_CONTRAST or centre_contrast(loaded.values) > -SURE:
        return
    raise InputError(
        "its particles look bright, and dark ones were expected",
        path=loaded.path,
        remedy="add --invert if they are, or --no-invert if they are not",
    )
