"""The two domains of an adaptation: labelled source, unlabelled target, and what may be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.core import InputError, Progress
from vitreous.segmentation.predict import STRIDE
from vitreous.workflows.adapt.request import AdaptRequest
from vitreous.workflows.subtomograms import Grid, LoadedBoxes, load_boxes, open_boxes
from vitreous.workflows.subtomograms.loading import skipped_warning

COMPARED = 200  # subtomograms of either domain that are looked at for being the same
FEWEST = 2  # noise and features of a domain cannot be told from a single subtomogram


@dataclass(frozen=True, eq=False)
class Domains:
    """Both domains on one grid, and doubts as sentences."""

    source: LoadedBoxes
    target: LoadedBoxes
    warnings: tuple[str, ...]


def open_domains(request: AdaptRequest, batch: int, progress: Progress, *, labelled: bool) -> Domains:
    """Load both domains, the target on the grid of the source.

    Parameters
    ----------
    request
        What was asked for.
    batch
        Subtomograms of a batch; fewer are drawn again within it.
    progress
        Told of each; polled for a wish to stop.
    labelled
        Whether the target's masks are needed.

    Raises
    ------
    InputError
        If a domain is empty or unusable, masks are missing or show one class alone, or grids do not fit.
    """
    opened = open_boxes(request.source)
    side = opened.shape[0]
    if len(set(opened.shape)) > 1 or side % STRIDE:
        sides = " × ".join(map(str, opened.shape))
        remedy = f"simulate it with a --side that is a multiple of {STRIDE}"
        raise InputError(f"has boxes of {sides} voxels", path=request.source, remedy=remedy)
    if not 0 <= request.shift <= side // 2:
        raise InputError(f"--shift {request.shift} is not between 0 and half the side, {side // 2}")
    source = load_boxes(opened, Grid(side, opened.spacing_angstrom), progress, masks=True)
    check_masks(source)
    found = open_boxes(
        request.target,
        picks=request.picks,
        edge_angstrom=side * opened.spacing_angstrom,
        voxel_size=request.voxel_size_angstrom,
    )
    grid = Grid(side, opened.spacing_angstrom, request.fit)
    target = load_boxes(found, grid, progress, invert=request.invert, masks=labelled)
    if labelled:
        check_masks(target)
    if len(target) < FEWEST:
        text = f"holds {len(target)} usable subtomogram, and {FEWEST} are the least"
        raise InputError(text, path=request.target, remedy="give more")
    return Domains(source, target, doubts(source, target, batch))


def check_masks(loaded: LoadedBoxes) -> None:
    """Raise InputError if masks are missing, or all voxels are of one class."""
    if loaded.masks is None:
        remedy = "give what vitreous simulate subtomograms writes, or a store or folder with masks"
        raise InputError("holds no masks", path=loaded.path, remedy=remedy)
    if loaded.masks.min() == loaded.masks.max():
        what = "particle" if loaded.masks.max() else "background"
        text = f"its masks hold one class only: every voxel is {what}"
        raise InputError(text, path=loaded.path, remedy="give masks with particle and background")


def doubts(source: LoadedBoxes, target: LoadedBoxes, batch: int) -> tuple[str, ...]:
    """What may spoil the result, one sentence each."""
    found = [skipped_warning(loaded) for loaded in (source, target)]
    if same_boxes(source, target):
        found.append("The target is the source itself: there is nothing to adapt to.")
    if len(set(source.kinds)) == 1 and source.kinds[0]:
        text = f"The source shows one structure alone ({source.kinds[0]}): "
        found.append(text + "what is learned may be its shape, not what particles are.")
    for name, loaded in (("source", source), ("target", target)):
        if len(loaded) < batch:
            found.append(
                f"The {name} has {len(loaded)} subtomograms, fewer than a batch of {batch}: "
                "each batch shows some of them more than once."
            )
    if target.changed:
        found.append(
            f"{target.changed} of {len(target)} target subtomograms were resampled, cut or continued."
        )
    return tuple(text for text in found if text)


def same_boxes(source: LoadedBoxes, target: LoadedBoxes) -> bool:
    """Whether the first subtomograms of the target are among the source's."""
    known = {box.tobytes() for box in source.values}
    first = target.values[:COMPARED]
    return sum(box.tobytes() in known for box in first) > len(first) / 2
