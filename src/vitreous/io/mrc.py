"""MRC files: read lazily, written slab by slab."""

from __future__ import annotations

import bz2
import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.volume import Volume
from vitreous.io.atomic import atomic_path, check_writable, format_bytes
from vitreous.io.blocks import cast_block, slabs
from vitreous.io.mrc_header import HEADER_BYTES, MODE_OF, MrcLayout, build_header, parse_header

_GZIP_MAGIC, _BZIP2_MAGIC = b"\x1f\x8b", b"BZh"
_BROKEN_STREAM = (EOFError, zlib.error, gzip.BadGzipFile)
_BLOCK_BYTES = 1 << 20


def read_mrc(path: Path) -> tuple[MrcLayout, NDArray[Any], bytes]:
    """Layout, voxels (z, y, x) and extended header of an MRC file.

    Voxels of an uncompressed file are a read-only memory map in the file's own type and byte order;
    those of a `.gz` or `.bz2` file are decompressed into memory.

    Raises
    ------
    InputError
        If the file cannot be read, is no MRC volume, or is shorter than its header says.
    """
    with _open(path) as (stream, compressed):
        layout = _layout(stream, compressed, path)
        size = None if compressed else path.stat().st_size
        if size is not None and size < layout.data_offset + layout.data_bytes:
            raise _truncated(path, layout, size)
        extended = _read(stream, layout.extended_bytes)
        voxels = _decompress(stream, layout, path) if compressed else _map(path, layout)
    return layout, voxels.transpose(layout.axes), extended


def read_layout(path: Path) -> MrcLayout:
    """What the header says, without looking at the voxels.

    Raises
    ------
    InputError
        If the file cannot be read or its header is not that of a volume.
    """
    with _open(path) as (stream, compressed):
        return _layout(stream, compressed, path)


def write_mrc(target: Path, volume: Volume, *, overwrite: bool, label: str, dtype: np.dtype[Any]) -> None:
    """Write `volume` as one little-endian MRC2014 file, complete or not at all.

    Raises
    ------
    InputError
        If MRC has no mode for `dtype`, the voxels do not fit it, or the file cannot be written.
    """
    mode = MODE_OF.get(dtype.str.lstrip("<>|="))
    if mode is None:
        raise InputError(
            f"MRC cannot hold {dtype.name} voxels",
            path=target,
            remedy="write float32, float16, int8, int16 or uint16",
        )
    little = dtype.newbyteorder("<")
    extended = volume.header.extended_header
    size = HEADER_BYTES + len(extended) + math.prod(volume.shape) * little.itemsize
    check_writable(target, size, overwrite)
    statistics = _Statistics()
    with atomic_path(target, overwrite) as temporary, temporary.open("wb") as stream:
        stream.write(b"\0" * HEADER_BYTES)
        stream.write(extended)
        for z in slabs(volume.data):
            block = cast_block(volume.data[z], little, target)
            statistics.add(block)
            stream.write(block.data)
        # Statistics are known only now; until then the file has no valid header.
        stream.seek(0)
        stream.write(build_header(volume, mode, label, statistics.summary()))


class _Statistics:
    """Minimum, maximum, mean and deviation of the finite voxels of many blocks (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = math.inf, -math.inf

    def add(self, block: NDArray[Any]) -> None:
        finite = np.isfinite(block)
        values = block if finite.all() else block[finite]
        if not values.size:
            return
        mean = float(values.mean(dtype=np.float64))
        squares = float(values.var(dtype=np.float64)) * values.size
        total, shift = self.count + values.size, mean - self.mean
        self.squares += squares + shift**2 * self.count * values.size / total
        self.mean += shift * values.size / total
        self.count = total
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def summary(self) -> tuple[float, float, float, float]:
        if not self.count:  # MRC2014: max < min, mean < both and rms < 0 mean "not known"
            return 0.0, -1.0, -2.0, -1.0
        return self.low, self.high, self.mean, math.sqrt(self.squares / self.count)


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The bytes of a file, decompressed when its first bytes say so, and whether they were."""
    try:
        with path.open("rb") as plain:
            magic = plain.read(3)
            plain.seek(0)
            if magic.startswith(_GZIP_MAGIC):
                with gzip.open(plain) as stream:
                    yield cast(IO[bytes], stream), True
            elif magic == _BZIP2_MAGIC:
                with bz2.open(plain) as stream:
                    yield stream, True
            else:
                yield plain, False
    except _BROKEN_STREAM as fault:
        raise _corrupt(path) from fault
    except OSError as fault:
        if fault.errno is None:  # how bz2 reports a broken stream
            raise _corrupt(path) from fault
        raise unreadable(path, fault) from fault


def unreadable(path: Path, fault: OSError) -> InputError:
    """The one line for a user whose input could not be opened."""
    if isinstance(fault, FileNotFoundError):
        return InputError("no such file", path=path, remedy="check the path")
    if isinstance(fault, PermissionError):
        return InputError("no permission to read it", path=path, remedy="ask its owner or copy it")
    return InputError(
        f"cannot be read ({fault.strerror or fault})", path=path, remedy="check the disk and the path"
    )


def _read(stream: IO[bytes], count: int) -> bytes:
    """Up to `count` bytes; grown by blocks, since a damaged header may ask for any number."""
    parts = []
    while count > 0 and (part := stream.read(min(count, _BLOCK_BYTES))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _read_on_to_checksum(stream: IO[bytes]) -> None:
    while stream.read(_BLOCK_BYTES):
        pass


def _layout(stream: IO[bytes], compressed: bool, path: Path) -> MrcLayout:
    try:
        return parse_header(_read(stream, HEADER_BYTES), path)
    except InputError:
        # A header without sense may be the work of a broken stream, which is then the thing to say.
        if compressed:
            _read_on_to_checksum(stream)
        raise


def _map(path: Path, layout: MrcLayout) -> NDArray[Any]:
    return np.memmap(path, layout.dtype, mode="r", offset=layout.data_offset, shape=layout.file_shape)


def _decompress(stream: IO[bytes], layout: MrcLayout, path: Path) -> NDArray[Any]:
    try:
        voxels = np.empty(layout.file_shape, layout.dtype)
    except (MemoryError, ValueError) as fault:
        raise InputError(
            f"needs {format_bytes(layout.data_bytes)} of memory when decompressed",
            path=path,
            remedy="decompress it on disk first (gunzip or bunzip2)",
        ) from fault
    flat, filled = voxels.reshape(-1).view(np.uint8), 0
    while filled < flat.size:
        block = stream.read(min(_BLOCK_BYTES, flat.size - filled))
        if not block:
            raise _truncated(path, layout, layout.data_offset + filled)
        flat[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
        filled += len(block)
    _read_on_to_checksum(stream)
    return voxels


def _truncated(path: Path, layout: MrcLayout, found: int) -> InputError:
    expected = layout.data_offset + layout.data_bytes
    return InputError(
        f"the data are truncated: the header promises {expected} bytes, there are {found}",
        path=path,
        remedy="copy or reconstruct it again",
    )


def _corrupt(path: Path) -> InputError:
    return InputError("the compressed file is corrupt or cut short", path=path, remedy="copy it again")
