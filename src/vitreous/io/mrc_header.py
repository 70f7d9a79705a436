"""The 1024 bytes at the start of an MRC file, read with suspicion and written by the standard.

MRC2014 (Cheng et al. 2015, doi:10.1016/j.jsb.2015.04.002) with what IMOD adds to it. Damaged headers
are common; what can be known from the rest is used and said in `MrcLayout.notes`.

A written header keeps the cell lengths over the dimensions (that is, the spacing), start, origin, space
group, extended header with its type, labels, and the bytes left to programs. Rewritten for the new voxels
and by the standard are: dimensions and sampling, mode, cell angles, axis order, statistics, version, map
identifier, machine stamp, number of labels, and IMOD's flags on how bytes are stored.
"""

from __future__ import annotations

import math
import struct
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.volume import FileHeader, Spacing, Volume

ByteOrder = Literal["<", ">"]
HEADER_BYTES = 1024
MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
MODE_OF = {code: mode for mode, code in MODES.items()}
LABEL_COUNT, LABEL_BYTES = 10, 80
_REFUSED_MODES = {3: "complex integers", 4: "complex numbers", 16: "RGB colours", 101: "packed 4-bit values"}
_IMOD_STAMP, _IMOD_OFFSET, _IMOD_SIGNED, _IMOD_PACKED = b"IMOD", 152, 1, 16
EXTRA = (slice(96, 104), slice(112, 196))  # what lies between them are type and version
_VERSION_WITH_SIGNED_BYTES = 20140
_LARGEST_SIDE = 1 << 24
_LARGEST_MODE = 127


@dataclass(frozen=True)
class MrcLayout:
    """Where the voxels of an MRC file lie and what its header says about them.

    `file_shape` is (sections, rows, columns) as stored; transposing by `axes` gives (z, y, x).
    `spacing` is None when the header holds no usable one, and `cell_text` then says what it holds.
    """

    dtype: np.dtype[Any]
    file_shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    extended_bytes: int
    spacing: Spacing | None
    cell_text: str
    header: FileHeader
    notes: tuple[str, ...]

    @property
    def data_offset(self) -> int:
        """Byte at which the voxels begin."""
        return HEADER_BYTES + self.extended_bytes

    @property
    def data_bytes(self) -> int:
        """Number of bytes the voxels take."""
        return math.prod(self.file_shape) * self.dtype.itemsize


def parse_header(raw: bytes, path: Path) -> MrcLayout:
    """Understand the first 1024 bytes of an MRC file.

    Raises
    ------
    InputError
        If the bytes are no MRC header, or describe something that is not one real 3-D volume.
    """
    from mrcfile.dtypes import HEADER_DTYPE

    order, notes = _byte_order(raw, path)
    record = np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order), count=1)[0]
    shape = int(record["nz"]), int(record["ny"]), int(record["nx"])
    dtype = _voxel_type(raw, record, order, path, notes)
    _refuse_unless_volume(record, shape, path)
    extended_bytes = int(record["nsymbt"])
    if extended_bytes < 0:
        raise InputError(
            f"the header claims an extended header of {extended_bytes} bytes",
            path=path,
            remedy="copy the file again",
        )
    axes = _axes(record, notes)
    if not any(float(record[name]) for name in ("dmin", "dmax", "dmean")):
        notes.append("the header's density statistics are all zero; they were not relied on")
    start = (int(record["nzstart"]), int(record["nystart"]), int(record["nxstart"]))
    group = int(record["ispg"])
    header = FileHeader(
        origin_angstrom=_zyx(record["origin"]),
        start_voxels=(start[axes[0]], start[axes[1]], start[axes[2]]),
        space_group=group if 1 <= group <= 400 else 1,
        labels=_labels(raw, int(record["nlabl"])),
        extended_type=raw[104:108].rstrip(b"\0"),
        # In the other byte order nothing can be said about them: their layout is the program's own.
        extra=b"".join(raw[part] for part in EXTRA) if order == "<" else b"",
    )
    cell, counts = _zyx(record["cella"]), tuple(int(record[name]) for name in ("mz", "my", "mx"))
    return MrcLayout(
        dtype=dtype,
        file_shape=shape,
        axes=axes,
        extended_bytes=extended_bytes,
        spacing=_spacing(cell, counts),
        cell_text="cell {2:g} × {1:g} × {0:g} Å".format(*cell)
        + " over {2} × {1} × {0} voxels".format(*counts),
        header=header,
        notes=tuple(notes),
    )


def build_header(
    volume: Volume, mode: int, label: str, statistics: tuple[float, float, float, float]
) -> bytes:
    """The 1024 bytes for `volume`, little-endian, MRC2014.

    Parameters
    ----------
    volume
        Gives shape, spacing, origin, start, space group, extended header and labels.
    mode
        MRC mode of the voxels.
    label
        Appended to the labels; when ten are taken it replaces the last.
    statistics
        Minimum, maximum, mean and standard deviation.
    """
    from mrcfile.dtypes import HEADER_DTYPE

    record = np.zeros(1, HEADER_DTYPE.newbyteorder("<"))
    head, old = record[0], volume.header
    for axis, letter in enumerate("zyx"):
        head[f"n{letter}"] = head[f"m{letter}"] = volume.shape[axis]
        head[f"n{letter}start"] = old.start_voxels[axis]
        head["origin"][letter] = old.origin_angstrom[axis]
        if volume.voxel_spacing_angstrom is not None:
            head["cella"][letter] = volume.voxel_spacing_angstrom[axis] * volume.shape[axis]
    head["cellb"] = (90.0, 90.0, 90.0)
    head["mode"], head["ispg"], head["nversion"] = mode, old.space_group, 20141
    head["mapc"], head["mapr"], head["maps"] = 1, 2, 3
    head["dmin"], head["dmax"], head["dmean"], head["rms"] = statistics
    head["nsymbt"], head["exttyp"] = len(old.extended_header), old.extended_type
    head["map"], head["machst"] = b"MAP ", (0x44, 0x44, 0, 0)
    labels = append_label(old.labels, label)
    head["nlabl"] = len(labels)
    raw = bytearray(record.tobytes())
    _put_extra(raw, old.extra, mode)
    for index, text in enumerate(labels):
        begin = HEADER_BYTES - (LABEL_COUNT - index) * LABEL_BYTES
        raw[begin : begin + LABEL_BYTES] = text.encode("latin-1", "replace")[:LABEL_BYTES].ljust(
            LABEL_BYTES, b"\0"
        )
    return bytes(raw)


def _put_extra(raw: bytearray, extra: bytes, mode: int) -> None:
    """Lay the bytes left to programs into a header, with IMOD's flags as the written voxels need them."""
    for part in EXTRA if extra else ():
        size = part.stop - part.start
        raw[part], extra = extra[:size].ljust(size, b"\0"), extra[size:]
    stamp, flags = struct.unpack_from("<4si", raw, _IMOD_OFFSET)
    flags = flags & ~(_IMOD_SIGNED | _IMOD_PACKED) if stamp == _IMOD_STAMP else 0
    if mode == 0:  # IMOD takes bytes for unsigned unless this flag says otherwise
        stamp, flags = _IMOD_STAMP, flags | _IMOD_SIGNED
    if stamp == _IMOD_STAMP:
        struct.pack_into("<4si", raw, _IMOD_OFFSET, stamp, flags)


def append_label(labels: tuple[str, ...], label: str) -> tuple[str, ...]:
    """Labels with one more, in ASCII and 80 characters; the tenth is replaced when all are taken.

    Examples
    --------
    >>> append_label(("by IMOD",), "denoised at 10 Å")
    ('by IMOD', 'denoised at 10 A')
    """
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode("ascii")
    return (*labels[: LABEL_COUNT - 1], " ".join(plain.split())[:LABEL_BYTES])


def _byte_order(raw: bytes, path: Path) -> tuple[ByteOrder, list[str]]:
    notes = []
    orders: tuple[ByteOrder, ...] = ("<", ">")
    stamped = {0x44: "<", 0x11: ">"}.get(raw[212]) if len(raw) == HEADER_BYTES else None
    found = next(
        (order for order in sorted(orders, key=lambda o: o != stamped) if _plausible(raw, order)), None
    )
    if found is None:
        raise InputError(_what_it_is(raw), path=path, remedy="give an MRC or OME-Zarr tomogram")
    if raw[208:211] != b"MAP":
        notes.append("the header has no MAP identifier; its other fields make sense and were used")
    if stamped != found:
        name = "little" if found == "<" else "big"
        notes.append(
            f"the header's machine stamp is wrong; the fields make sense as {name}-endian and were read so"
        )
    return found, notes


def _plausible(raw: bytes, order: str) -> bool:
    if len(raw) < HEADER_BYTES:
        return False
    *sides, mode = struct.unpack_from(f"{order}4i", raw)
    return 0 <= mode <= _LARGEST_MODE and all(abs(side) < _LARGEST_SIDE for side in sides)


def _what_it_is(raw: bytes) -> str:
    if raw and all(byte in b"\t\n\r\f" or 32 <= byte < 127 or byte >= 128 for byte in raw[:256]):
        return "this is not an MRC file but text"
    if len(raw) < HEADER_BYTES:
        return f"this is not an MRC file: {len(raw)} bytes, and the header alone has {HEADER_BYTES}"
    return "this is not an MRC file: its header makes no sense in either byte order"


def _voxel_type(raw: bytes, record: np.void, order: ByteOrder, path: Path, notes: list[str]) -> np.dtype[Any]:
    mode = int(record["mode"])
    if mode not in MODES:
        kind = _REFUSED_MODES.get(mode, "unknown to the MRC standard")
        raise InputError(
            f"MRC mode {mode} ({kind}) is not supported", path=path, remedy="convert it to mode 2 (float32)"
        )
    if mode != 0:
        return np.dtype(MODES[mode]).newbyteorder(order)
    imod = raw[_IMOD_OFFSET : _IMOD_OFFSET + 4] in (_IMOD_STAMP, _IMOD_STAMP[::-1])
    flags = struct.unpack_from(f"{order}i", raw, _IMOD_OFFSET + 4)[0] if imod else 0
    if flags & _IMOD_PACKED:
        raise InputError(
            "packed 4-bit values are not supported", path=path, remedy="convert it to mode 2 (float32)"
        )
    if imod:
        return np.dtype("i1" if flags & _IMOD_SIGNED else "u1")
    low, high = float(record["dmin"]), float(record["dmax"])
    if int(record["nversion"]) < _VERSION_WITH_SIGNED_BYTES and low >= 0 and 127 < high <= 255:
        notes.append("8-bit voxels were read as unsigned, since the header's maximum is above 127")
        return np.dtype("u1")
    if not (low < high and low >= -128 and high <= 127):
        notes.append("8-bit voxels were read as signed (MRC2014); some old programs write unsigned ones")
    return np.dtype("i1")


def _refuse_unless_volume(record: np.void, shape: tuple[int, int, int], path: Path) -> None:
    z, y, x = shape
    sides = f"{x} × {y} × {z}"
    if min(shape) < 1:
        raise InputError(
            f"the header's dimensions {sides} (x × y × z) are not positive", path=path, remedy="copy it again"
        )
    if z == 1:
        raise InputError(f"this is a 2-D image ({sides})", path=path, remedy="give a reconstructed tomogram")
    depth = int(record["mz"])
    if int(record["ispg"]) > 400 and 0 < depth < z:
        raise InputError(
            f"this is a 4-D stack of {z // depth} volumes ({sides} in sections of {depth})",
            path=path,
            remedy="extract one volume from it",
        )


def _axes(record: np.void, notes: list[str]) -> tuple[int, int, int]:
    """Positions of z, y and x among (sections, rows, columns)."""
    stored = [int(record[name]) for name in ("maps", "mapr", "mapc")]
    if sorted(stored) != [1, 2, 3]:
        notes.append(
            "the header's axis order is damaged; columns, rows and sections were taken for x, y and z"
        )
        return 0, 1, 2
    return stored.index(3), stored.index(2), stored.index(1)


def _spacing(cell: tuple[float, float, float], counts: tuple[int, ...]) -> Spacing | None:
    triple = [side / count if count > 0 else math.nan for side, count in zip(cell, counts, strict=True)]
    if not all(math.isfinite(side) and side > 0 for side in triple):
        return None
    return triple[0], triple[1], triple[2]


def _labels(raw: bytes, count: int) -> tuple[str, ...]:
    """Latin-1 maps bytes one to one, so that labels return to a file as they were."""
    fields: NDArray[np.void] = np.frombuffer(raw, "V80", offset=HEADER_BYTES - LABEL_COUNT * LABEL_BYTES)
    texts = [bytes(field).rstrip(b"\0").decode("latin-1") for field in fields]
    filled = max((index + 1 for index, text in enumerate(texts) if text.strip()), default=0)
    return tuple(texts[: max(filled, count if 0 <= count <= LABEL_COUNT else 0)])


def _zyx(record: np.void) -> tuple[float, float, float]:
    return float(record["z"]), float(record["y"]), float(record["x"])
