"""OME-Zarr volumes, read at full resolution (OME-NGFF 0.4 and 0.5, and bare arrays)."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.volume import FileHeader, Spacing

ANGSTROM_PER_UNIT = {
    "angstrom": 1.0,
    "å": 1.0,
    "a": 1.0,
    "picometer": 0.01,
    "pm": 0.01,
    "nanometer": 10.0,
    "nm": 10.0,
    "micrometer": 1e4,
    "um": 1e4,
    "µm": 1e4,
    "μm": 1e4,
    "millimeter": 1e7,
    "mm": 1e7,
    "meter": 1e10,
    "m": 1e10,
}
_FAULTS = (
    OSError,
    EOFError,
    ValueError,
    AttributeError,
    KeyError,
    TypeError,
    IndexError,
    RuntimeError,
    zlib.error,
)
_BLOSC_HEADER_BYTES = 16
_REMEDY = "give an OME-Zarr folder or an MRC file"


@dataclass(frozen=True)
class ZarrLayout:
    """A stored array and what its metadata say; `scale_text` explains a missing spacing."""

    array: Any
    leading: int
    spacing: Spacing | None
    scale_text: str
    header: FileHeader
    notes: tuple[str, ...]


def read_ome_zarr(path: Path) -> tuple[ZarrLayout, NDArray[Any]]:
    """Layout and voxels (z, y, x) of the full-resolution level, read into memory.

    Raises
    ------
    InputError
        If the folder is no Zarr store, holds no 3-D volume of real numbers, or a chunk is damaged.
    """
    layout = read_zarr_layout(path)
    try:
        _refuse_cut_chunks(path, layout.array)
        return layout, np.asarray(layout.array[(0,) * layout.leading])
    except MemoryError as fault:
        raise InputError(
            "needs more memory than there is", path=path, remedy="use a coarser level"
        ) from fault
    except _FAULTS as fault:
        raise InputError(f"a chunk cannot be read ({fault})", path=path, remedy="copy it again") from fault


def read_zarr_layout(path: Path) -> ZarrLayout:
    """Shape, type, spacing and origin, without reading voxels.

    Raises
    ------
    InputError
        As `read_ome_zarr`.
    """
    import zarr

    try:
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            array, image, dataset, attributes = node, {}, {}, {}
        else:
            attributes = dict(node.attrs)
            image = _multiscale(attributes)
            dataset = image["datasets"][0]
            array = node[dataset["path"]]
        if not isinstance(array, zarr.Array):
            raise TypeError("the full-resolution level is no array")
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image.get("axes", ())]
        scale, shift = _transforms(dataset, image, array.ndim)
        leading = _leading_axes(array, axes, path)
        spacing, origin, unit_text = _physical(scale, shift, axes)
        notes = _notes(array)
    except PermissionError as fault:
        raise InputError("no permission to read it", path=path, remedy="ask its owner or copy it") from fault
    except _FAULTS as fault:
        raise InputError(f"its Zarr metadata cannot be used ({fault})", path=path, remedy=_REMEDY) from fault
    header = FileHeader(origin_angstrom=origin, labels=_own_labels(attributes))
    return ZarrLayout(array, leading, spacing, unit_text, header, notes)


def _refuse_cut_chunks(path: Path, array: Any) -> None:
    """Compare each Blosc chunk with the length in its own header, which the decompressor does not do.

    It would read on past the end of a chunk that was cut short and return whatever lies there.
    """
    if array.shards is not None or not any(
        "blosc" in type(codec).__name__.lower() for codec in array.compressors
    ):
        return
    for file in (path / array.path).rglob("*"):
        if file.name.startswith(".") or file.name == "zarr.json" or not file.is_file():
            continue
        with file.open("rb") as stream:
            head = stream.read(_BLOSC_HEADER_BYTES)
        promised = int.from_bytes(head[12:16], "little")
        if len(head) < _BLOSC_HEADER_BYTES or file.stat().st_size < promised:
            name = file.relative_to(path).as_posix()
            raise InputError(f"chunk {name} is cut short", path=path, remedy="copy it again")


def _multiscale(attributes: dict[str, Any]) -> dict[str, Any]:
    found = attributes.get("ome", attributes).get("multiscales")
    if not found:
        raise ValueError("there is no 'multiscales' entry")
    image: dict[str, Any] = found[0]
    return image


def _transforms(
    dataset: dict[str, Any], image: dict[str, Any], ndim: int
) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """Total scale (None when there is none) and translation: the dataset's, then the image's."""
    scale, shift = None, np.zeros(ndim)
    for owner in (dataset, image):
        for step in owner.get("coordinateTransformations") or ():
            if step["type"] == "scale":
                factors = np.asarray(step["scale"], float)
                scale, shift = factors if scale is None else scale * factors, shift * factors
            elif step["type"] == "translation":
                shift = shift + np.asarray(step["translation"], float)
    return scale, shift


def _leading_axes(array: Any, axes: list[dict[str, Any]], path: Path) -> int:
    """Number of axes before z, y, x; each must have length one."""
    names = [str(axis.get("name", "")).lower() for axis in axes]
    if names and (names[-3:] != ["z", "y", "x"] or len(names) != array.ndim):
        raise InputError(f"its axes are {', '.join(names)}, not z, y, x", path=path, remedy=_REMEDY)
    shape = tuple(array.shape)
    sides = " × ".join(str(side) for side in shape)
    if len(shape) < 3 or (min(shape) > 0 and shape[-3] == 1):
        raise InputError(f"this is a 2-D image ({sides})", path=path, remedy="give a reconstructed tomogram")
    if any(side != 1 for side in shape[:-3]):
        raise InputError(
            f"this is a {len(shape)}-D stack ({sides})", path=path, remedy="extract one volume from it"
        )
    if min(shape) < 1:
        raise InputError(f"its dimensions {sides} are not positive", path=path, remedy="copy it again")
    if np.dtype(array.dtype).kind not in "iuf":
        raise InputError(f"{array.dtype} voxels are not supported", path=path, remedy="convert it to float32")
    return len(shape) - 3


def _physical(
    scale: NDArray[Any] | None, shift: NDArray[Any], axes: list[dict[str, Any]]
) -> tuple[Spacing | None, tuple[float, float, float], str]:
    """Spacing and origin in Å, or None, zeros and what is missing."""
    nothing = (0.0, 0.0, 0.0)
    if scale is None:
        return None, nothing, "there is no scale"
    units = [str(axis.get("unit", "")).lower() for axis in axes[-3:]]
    if len(units) < 3 or any(unit not in ANGSTROM_PER_UNIT for unit in units):
        return None, nothing, f"the unit of its axes is {next((u for u in units if u), 'not given')}"
    factors = [ANGSTROM_PER_UNIT[unit] for unit in units]
    z, y, x = (float(s * f) for s, f in zip(scale[-3:], factors, strict=True))
    oz, oy, ox = (float(s * f) for s, f in zip(shift[-3:], factors, strict=True))
    if not all(math.isfinite(side) and side > 0 for side in (z, y, x)):
        return None, (oz, oy, ox), f"its scale is {z:g}, {y:g}, {x:g} Å"
    return (z, y, x), (oz, oy, ox), ""


def _notes(array: Any) -> tuple[str, ...]:
    missing = array.nchunks - array.nchunks_initialized
    if missing <= 0:
        return ()
    return (
        f"{missing} of {array.nchunks} chunks are absent and read as {array.fill_value}: empty or not copied",
    )


def _own_labels(attributes: dict[str, Any]) -> tuple[str, ...]:
    own = attributes.get("vitreous")
    labels = own.get("labels", ()) if isinstance(own, dict) else ()
    return tuple(str(label) for label in labels)
