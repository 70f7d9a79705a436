"""MRC files built byte by byte with `struct`, so that reader and writer are judged by neither's code."""

import os
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest

MODES = {"i1": 0, "u1": 0, "i2": 1, "f4": 2, "c8": 4, "u2": 6, "f2": 12}
SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def build_mrc(
    data,
    *,
    order="<",
    spacing=(10.0, 10.0, 10.0),
    origin=(0.0, 0.0, 0.0),
    start=(0, 0, 0),
    space_group=1,
    statistics=(-1.0, 1.0, 0.5),
    version=20141,
    extended=b"",
    extended_type=b"",
    labels=(),
    patches=None,
):
    """Bytes of an MRC file; triples are (z, y, x); `patches` maps byte offsets to bytes."""
    z, y, x = data.shape
    cell = [np.float32(s * n) for s, n in zip(spacing, data.shape, strict=True)]
    header = bytearray(1024)

    def put(offset, code, *values):
        struct.pack_into(order + code, header, offset, *values)

    put(0, "4i", x, y, z, MODES[data.dtype.str[1:]])
    put(16, "3i", *start[::-1])
    put(28, "3i", x, y, z)
    put(40, "6f", *cell[::-1], 90.0, 90.0, 90.0)
    put(64, "3i", 1, 2, 3)
    put(76, "3f", *statistics)
    put(88, "2i", space_group, len(extended))
    put(104, "4s", extended_type)
    put(108, "i", version)
    put(196, "3f", *origin[::-1])
    put(208, "4s", b"MAP ")
    put(212, "2B", *((0x44, 0x44) if order == "<" else (0x11, 0x11)))
    put(220, "i", len(labels))
    for index, label in enumerate(labels):
        put(224 + 80 * index, "80s", label)
    for offset, value in (patches or {}).items():
        header[offset : offset + len(value)] = value
    return bytes(header) + extended + data.astype(data.dtype.newbyteorder(order)).tobytes()


@pytest.fixture(scope="session")
def raw_mrc():
    return build_mrc


@pytest.fixture(scope="session")
def shared_data():
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not here")
    return SHARED_DATA


@pytest.fixture
def voxels():
    return np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)


@pytest.fixture
def unprivileged():
    """A folder of root's, seen by a user who is not: root would ignore permission bits."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
            Path(folder).chmod(0o755)
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)
