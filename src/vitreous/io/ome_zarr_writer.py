"""OME-Zarr 0.4 volumes, written block by block with their metadata by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core.volume import Volume
from vitreous.io.atomic import atomic_folder, check_writable
from vitreous.io.blocks import cast_block
from vitreous.io.mrc_header import append_label

_LEVELS = 3
_CHUNK = 128


def write_ome_zarr(
    target: Path, volume: Volume, *, overwrite: bool, label: str, dtype: np.dtype[Any]
) -> None:
    """Write `volume` as OME-Zarr 0.4: Zarr format 2, axes zyx in Å, up to three levels.

    Level k is level k − 1 binned by 2 along each axis longer than one voxel: by the mean for
    floating-point voxels, by the first voxel of each bin for integers, which are labels here.

    Raises
    ------
    InputError
        If the voxels do not fit `dtype` or the folder cannot be written.
    """
    import zarr

    little = dtype.newbyteorder("<")
    check_writable(target, math.prod(volume.shape) * little.itemsize, overwrite)
    with atomic_folder(target, overwrite) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=2)
        source: Any = volume.data
        factors = [(1, 1, 1)]
        level = _new_level(group, 0, volume.shape, little)
        for block in _blocks(volume.shape, _CHUNK):
            level[block] = cast_block(source[block], little, target)
        while len(factors) < _LEVELS and max(level.shape) > 1:
            step = tuple(1 if side == 1 else 2 for side in level.shape)
            source, last = level, factors[-1]
            shape = tuple(-(-side // f) for side, f in zip(source.shape, step, strict=True))
            level = _new_level(group, len(factors), shape, little)
            for block in _blocks(shape, _CHUNK):
                level[block] = _bin(source, block, step)
            factors.append((last[0] * step[0], last[1] * step[1], last[2] * step[2]))
        group.attrs.update(_metadata(target, volume, label, factors, by_mean=dtype.kind == "f"))


def _new_level(group: Any, index: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return group.create_array(
        str(index),
        shape=shape,
        chunks=tuple(min(_CHUNK, side) for side in shape),
        dtype=dtype,
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=0,
        # An absent chunk then always means a damaged copy.
        config={"write_empty_chunks": True},
    )


def _blocks(shape: tuple[int, ...], side: int) -> Iterator[tuple[slice, ...]]:
    return itertools.product(*([slice(a, min(a + side, n)) for a in range(0, n, side)] for n in shape))


def _bin(source: Any, block: tuple[slice, ...], step: tuple[int, ...]) -> NDArray[Any]:
    """One block of the next level. Bins cut by the edge hold the mean of the voxels they have."""
    fine = tuple(
        slice(b.start * f, min(b.stop * f, n)) for b, f, n in zip(block, step, source.shape, strict=True)
    )
    values: NDArray[Any] = np.asarray(source[fine])
    if values.dtype.kind != "f":
        return values[tuple(slice(None, None, f) for f in step)]
    whole = np.pad(values, [(0, -n % f) for n, f in zip(values.shape, step, strict=True)], mode="edge")
    bins = [part for n, f in zip(whole.shape, step, strict=True) for part in (n // f, f)]
    mean: NDArray[Any] = whole.reshape(bins).mean(
        axis=(1, 3, 5), dtype=np.promote_types(values.dtype, np.float32)
    )
    return mean.astype(values.dtype)


def _metadata(
    target: Path, volume: Volume, label: str, factors: list[tuple[int, int, int]], *, by_mean: bool
) -> dict[str, Any]:
    spacing = volume.voxel_spacing_angstrom
    unit = {} if spacing is None else {"unit": "angstrom"}
    datasets = []
    for index, factor in enumerate(factors):
        scale = [f * s for f, s in zip(factor, spacing or (1.0, 1.0, 1.0), strict=True)]
        centre = [(f - 1) / 2 * s / f if by_mean else 0.0 for f, s in zip(factor, scale, strict=True)]
        shift = [c + o for c, o in zip(centre, volume.header.origin_angstrom, strict=True)]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(shift):
            steps.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(index), "coordinateTransformations": steps})
    image = {
        "version": "0.4",
        "name": target.stem,
        "axes": [{"name": name, "type": "space", **unit} for name in "zyx"],
        "datasets": datasets,
        "type": "mean" if by_mean else "nearest",
    }
    labels = [text.strip() for text in append_label(volume.header.labels, label)]
    return {"multiscales": [image], "vitreous": {"labels": labels}}
