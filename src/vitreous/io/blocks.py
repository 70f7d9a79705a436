"""Moving voxels in blocks, so that a volume larger than memory can be written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError

_SLAB_BYTES = 1 << 23


def slabs(data: NDArray[Any]) -> Iterator[slice]:
    """Slices along z that cover `data` in order, each of about 8 MB and at least one section.

    Examples
    --------
    >>> list(slabs(np.zeros((3, 2048, 2048), np.uint8)))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    section = max(1, math.prod(data.shape[1:]) * data.dtype.itemsize)
    depth = max(1, _SLAB_BYTES // section)
    for z in range(0, data.shape[0], depth):
        yield slice(z, min(z + depth, data.shape[0]))


def cast_block(block: NDArray[Any], dtype: np.dtype[Any], target: Path) -> NDArray[Any]:
    """A contiguous copy of `block` in `dtype` that has lost nothing but float precision.

    Raises
    ------
    InputError
        If an integer type would change a value, or a finite value would become infinite.
    """
    with np.errstate(all="ignore"):
        cast = np.array(block, dtype=dtype, order="C", subok=False)
        if dtype.kind in "iu":
            fits = np.array_equal(cast, block)
        else:
            fits = dtype.itemsize >= block.dtype.itemsize and block.dtype.kind == "f"
            fits = fits or not np.any(np.isinf(cast) & np.isfinite(block))
    if not fits:
        raise InputError(f"the voxels do not fit {dtype.name}", path=target, remedy="write float32")
    return cast
