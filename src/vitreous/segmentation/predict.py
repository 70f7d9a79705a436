"""Class probabilities of subtomograms, and of whole volumes box by box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization, Progress, SilentProgress, measure_voxels, read_block
from vitreous.inference import Tile, blended_slabs
from vitreous.segmentation.model import SegmentationModel

STRIDE = 8  # sides of what a network sees are multiples of it
Array = NDArray[np.float32]
Labels = NDArray[np.uint8]


def standardized_box(values: NDArray[Any]) -> Array:
    """One subtomogram (z, y, x) with outliers clipped, mean 0 and deviation 1.

    Raises
    ------
    ValueError
        If no voxel is finite, or all are equal.

    Examples
    --------
    >>> box = standardized_box(np.arange(64.0).reshape(4, 4, 4))
    >>> float(round(box.mean(), 3)), float(round(box.std(), 3))
    (0.0, 1.0)
    """
    return measure_voxels(values).normalization.apply(values)


def segment_boxes(model: SegmentationModel, boxes: Array, *, batch: int = 16) -> Array:
    """Probabilities of standardized subtomograms.

    Parameters
    ----------
    model
        In evaluation mode.
    boxes
        (n, z, y, x), of any size.
    batch
        Boxes computed at once.

    Returns
    -------
    (n, classes, z, y, x) float32; sums over classes are 1.
    """
    shape = [side + -side % STRIDE for side in boxes.shape[1:]]
    padded = read_block(boxes, (0, 0, 0, 0), (len(boxes), *shape))
    parts = [
        probabilities(model, torch.from_numpy(padded[first : first + batch])).cpu().numpy()
        for first in range(0, len(boxes), batch)
    ]
    z, y, x = boxes.shape[1:]
    return np.concatenate(parts)[:, :, :z, :y, :x] if parts else np.empty((0, 2, z, y, x), np.float32)


def segment_slabs(
    model: SegmentationModel,
    data: NDArray[Any],
    normalization: Normalization,
    *,
    tile: int | None = None,
    margin: int = 0,
    progress: Progress | None = None,
    first_plane: int = 0,
) -> Iterator[tuple[slice, Array]]:
    """Probabilities of a volume in slabs along z; neither it nor they need lie in memory whole.

    Blocks overlap by half and are weighted with a Hann window. By default they are as large as the boxes
    that the network was trained on, as a network knows faces of boxes, too. With a `margin` of at least the
    network's receptive radius the result does not depend on the blocks at all.

    Parameters
    ----------
    model
        In evaluation mode.
    data
        (z, y, x) grey values, may be memory-mapped.
    normalization
        Constants that standardize them.
    tile
        Side of the blocks that are blended, a multiple of 8; that of training boxes if None.
    margin
        Voxels around a block that the network sees beside it, a multiple of 8.
    progress
        Told of every block; polled for a wish to stop.
    first_plane
        See `blended_slabs`.

    Yields
    ------
    The planes of a slab, and (classes, planes, y, x).

    Raises
    ------
    Interrupted
        If the user asked to stop.
    """
    side = tile or -(-model.description.side // STRIDE) * STRIDE
    if side % STRIDE or margin % STRIDE:
        raise ValueError(f"a tile of {side} and a margin of {margin} are no multiples of {STRIDE}")
    inner = slice(margin, margin + side)

    def block_of(place: Tile) -> Tensor:
        start, shape = [s - margin for s in place.start], [n + 2 * margin for n in place.shape]
        block = normalization.apply(read_block(data, start, shape))
        return probabilities(model, torch.from_numpy(block)[None])[0][:, inner, inner, inner]

    yield from blended_slabs(
        data.shape, side, block_of, progress or SilentProgress(), first_plane=first_plane
    )


def segment_volume(
    model: SegmentationModel,
    data: NDArray[Any],
    normalization: Normalization,
    *,
    tile: int | None = None,
    margin: int = 0,
    progress: Progress | None = None,
) -> Array:
    """Probabilities (classes, z, y, x) of a whole volume in memory; arguments as `segment_slabs`."""
    slabs = segment_slabs(model, data, normalization, tile=tile, margin=margin, progress=progress)
    return np.concatenate([slab for _, slab in slabs], axis=1)


def labels_of(probabilities: Array, *, axis: int = 0) -> Labels:
    """The most probable class of each voxel, the lower one where two are equal.

    Examples
    --------
    >>> labels_of(np.array([[0.4, 0.5], [0.6, 0.5]], np.float32)).tolist()
    [1, 0]
    """
    labels: Labels = probabilities.argmax(axis=axis).astype(np.uint8)
    return labels


@torch.no_grad()
def probabilities(model: SegmentationModel, boxes: Tensor) -> Tensor:
    """(n, classes, z, y, x) of standardized boxes (n, z, y, x) whose sides are multiples of 8."""
    device = next((p.device for p in model.network.parameters()), torch.device("cpu"))
    logits: Tensor = model.network(boxes[:, None].to(device))
    return torch.softmax(logits.float(), dim=1)
