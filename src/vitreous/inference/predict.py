"""Run a predictor over a volume tile by tile, with smaller tiles when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import InputError, Interrupted, Normalization, Progress, read_block
from vitreous.inference.tiles import Tile, tiles_of

Predictor = Callable[[Tensor, Tile], Tensor]


def predict_tiled(
    predictor: Predictor,
    data: NDArray[Any],
    normalization: Normalization,
    *,
    tile: int,
    margin: int,
    stride: int,
    progress: Progress,
) -> NDArray[np.float32]:
    """Denormalized prediction of a whole volume, (z, y, x) float32.

    Blocks overlap by `margin` on each side and only their cores are kept: with a margin of at least
    the network's receptive radius the result equals that of one block over everything, without seams.
    When memory runs out the tile is halved and the work goes on where it was.

    Parameters
    ----------
    predictor
        Maps a standardized block (z, y, x) and its tile to a block of the same shape.
    data
        (z, y, x) grey values, may be memory-mapped; it is read block by block.
    normalization
        Constants that standardize the input and denormalize the result.
    tile, margin, stride
        See `tiles_of`.
    progress
        Told of every tile; polled for a wish to stop.

    Raises
    ------
    Interrupted
        If the user asked to stop.
    InputError
        If not even the smallest tile fits into memory.
    """
    result = np.empty(data.shape, np.float32)
    done = np.zeros(data.shape[0], dtype=bool)  # whole z-layers of tiles already predicted
    while not done.all():
        tiles = [
            t
            for t in tiles_of(data.shape, tile=tile, margin=margin, stride=stride)
            if not done[t.core[0]].all()
        ]
        progress.start("denoising", len(tiles))
        try:
            for index, t in enumerate(tiles):
                if progress.should_stop():
                    raise Interrupted
                block = torch.from_numpy(normalization.apply(read_block(data, t.start, t.shape)))
                predicted = predictor(block, t)[t.inner].float().cpu().numpy()
                result[t.core] = normalization.invert(predicted)
                progress.advance()
                if index + 1 == len(tiles) or tiles[index + 1].core[0] != t.core[0]:
                    done[t.core[0]] = True
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            smallest = 2 * (-(-margin // stride) * stride) + stride
            if tile <= smallest:
                raise InputError(
                    "not even the smallest tile fits into memory",
                    remedy="close other programs or use a larger machine",
                ) from error
            tile = max(smallest, tile // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            progress.warn(f"out of memory: going on with tiles of {tile}³")
    return result


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, CUDA, MPS or the CPU allocator says that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
