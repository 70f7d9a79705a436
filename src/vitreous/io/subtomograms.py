"""Many equally large subtomograms in one Zarr store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.io.atomic import atomic_folder, check_writable

_CHUNK = 10  # subtomograms


def write_subtomogram_zarr(
    target: Path,
    shape: tuple[int, int, int, int],
    kinds: Mapping[str, np.dtype[Any]],
    blocks: Iterable[Mapping[str, NDArray[Any]]],
    voxel_spacing_angstrom: float,
    *,
    overwrite: bool = False,
    label: str = "vitreous",
) -> Path:
    """Write arrays (n, z, y, x) as a Zarr group of OME-Zarr images, complete or not at all.

    Each is a group of its own with one level, "0": Zarr format 2, axes subtomogram, z, y and x in Å.

    Parameters
    ----------
    target
        A folder that ends in `.zarr`.
    shape
        (n, z, y, x) of every array.
    kinds
        Names and types of the arrays.
    blocks
        Subtomograms in their order, some at a time: for every name an array (some, z, y, x).
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    overwrite
        Replace an existing store.
    label
        What was done.

    Raises
    ------
    InputError
        If the store exists or cannot be written.
    """
    import zarr

    bytes_needed = sum(kind.itemsize for kind in kinds.values()) * math.prod(shape)
    check_writable(target, bytes_needed, overwrite)
    with atomic_folder(target, overwrite) as temporary:
        root = zarr.open_group(temporary, mode="w", zarr_format=2)
        root.attrs.update({"vitreous": {"labels": [label]}})
        arrays = {}
        for name, kind in kinds.items():
            group = root.create_group(name)
            group.attrs.update({"multiscales": [_metadata(name, voxel_spacing_angstrom)]})
            arrays[name] = group.create_array(
                "0",
                shape=shape,
                chunks=(min(_CHUNK, shape[0]), *shape[1:]),
                dtype=kind.newbyteorder("<"),
                chunk_key_encoding={"name": "v2", "separator": "/"},
                fill_value=0,
                config={"write_empty_chunks": True},  # an absent chunk then always means a damaged copy
            )
        first = 0
        for block in blocks:
            count = len(next(iter(block.values())))
            for name, array in arrays.items():
                array[first : first + count] = block[name]
            first += count
        if first != shape[0]:
            raise ValueError(f"{first} subtomograms were given, not {shape[0]}")
    return target


def open_subtomogram_zarr(path: str | Path) -> tuple[dict[str, Any], float | None]:
    """The arrays (n, z, y, x) of a store by name, read slice by slice, and the edge of their voxels in Å.

    Names are those of the groups that hold an array "0"; a store that is one array is called "densities".
    The edge is None where the store does not say.

    Raises
    ------
    InputError
        If it cannot be read, holds no such array, or arrays of different sizes.
    """
    import zarr

    file = Path(path)
    try:
        node = zarr.open(file, mode="r")
        named: dict[str, Any] = {"densities": node} if isinstance(node, zarr.Array) else {}
        spacing = None
        for name, group in () if named else sorted(node.groups()):
            if "0" in group:
                named[name] = group["0"]
                spacing = spacing or _spacing_of(dict(group.attrs))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as fault:
        raise InputError(
            f"is no Zarr store that can be read ({fault})", path=file, remedy="copy it again"
        ) from fault
    named = {name: array for name, array in named.items() if array.ndim == 4}
    if not named:
        raise InputError(
            "holds no array (subtomogram, z, y, x)", path=file, remedy="give a subtomogram store"
        )
    if len({array.shape for array in named.values()}) > 1:
        raise InputError("its arrays are of different sizes", path=file, remedy="write the store again")
    return named, spacing


def read_subtomogram(array: Any, number: int, path: Path) -> NDArray[Any]:
    """One of the arrays of a store, (z, y, x).

    Raises
    ------
    InputError
        If its chunk is damaged.
    """
    try:
        return np.asarray(array[number])
    except (OSError, RuntimeError, ValueError) as fault:
        text = f"subtomogram {number + 1} is damaged ({fault})"
        raise InputError(text, path=path, remedy="copy the store again") from fault


def _spacing_of(attributes: dict[str, Any]) -> float | None:
    """The edge of a voxel in Å, if the axes are in Å and equal."""
    try:
        image = attributes["multiscales"][0]
        scale = image["datasets"][0]["coordinateTransformations"][0]["scale"][1:]
        units = {axis.get("unit") for axis in image["axes"][1:]}
    except (LookupError, TypeError, AttributeError):
        return None
    edge = float(scale[0])
    equal = units == {"angstrom"} and all(math.isclose(edge, other, rel_tol=1e-3) for other in scale)
    return edge if equal and 0 < edge < math.inf else None


def _metadata(name: str, spacing: float) -> dict[str, Any]:
    scale = {"type": "scale", "scale": [1.0, spacing, spacing, spacing]}
    space = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    return {
        "version": "0.4",
        "name": name,
        "axes": [{"name": "subtomogram"}, *space],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
