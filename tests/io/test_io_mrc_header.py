"""Every byte of a header is kept, or of a field that is documented as rewritten."""

import struct

import numpy as np
import pytest

from vitreous.core.volume import FileHeader, Volume
from vitreous.io import mrc_header, open_volume, write_volume

# As the docstring of `vitreous.io.mrc_header` lists them; the last is where the new label goes.
REWRITTEN = {
    "mode": (12, 16),
    "cell angles": (52, 64),
    "axis order": (64, 76),
    "statistics": (76, 88),
    "version": (108, 112),
    "flags": (156, 160),
    "map identifier": (208, 212),
    "machine stamp": (212, 216),
    "statistics, deviation": (216, 220),
    "number of labels": (220, 224),
    "new label": (224 + 80, 224 + 160),
}
EXTRA = [i for part in mrc_header.EXTRA for i in range(part.start, part.stop)]


@pytest.fixture
def voxels():
    return np.arange(3 * 4 * 5, dtype="i2").reshape(3, 4, 5)


def full_header(raw_mrc, voxels, **more):
    """A file whose header has no zero byte where programs put their own things."""
    patches = {i: bytes([1 + i % 251]) for i in EXTRA}
    for offset, value in more.pop("patches", {}).items():
        patches |= {offset + i: bytes([byte]) for i, byte in enumerate(value)}
    return raw_mrc(
        voxels,
        spacing=(3.0, 2.0, 1.5),
        origin=(7.0, -8.0, 9.0),
        start=(-1, 2, -3),
        space_group=4,
        extended=b"FEI1" * 100,
        extended_type=b"FEI1",
        version=20140,
        labels=(b"by a program",),
        patches=patches,
        **more,
    )


def test_each_byte_is_kept_or_listed(tmp_path, raw_mrc, voxels):
    before = full_header(raw_mrc, voxels, patches={152: b"IMOD", 156: struct.pack("<i", 4 | 8)})
    (tmp_path / "a.mrc").write_bytes(before)
    after = write_volume(tmp_path / "b.mrc", open_volume(tmp_path / "a.mrc")).read_bytes()
    rewritten = {i for begin, end in REWRITTEN.values() for i in range(begin, end)}
    assert [i for i in range(1024) if i not in rewritten and before[i] != after[i]] == []
    assert after[1024:1424] == b"FEI1" * 100
    assert not rewritten & {*EXTRA} - set(range(156, 160))
    assert struct.unpack_from("<i", after, 156) == (4 | 8,)


@pytest.mark.parametrize(("kind", "flags"), [("f4", 4), ("i1", 4 | 1)])
def test_the_flags_fit_the_bytes_that_are_written(tmp_path, raw_mrc, voxels, kind, flags):
    patches = {152: b"IMOD", 156: struct.pack("<i", 1 | 4)}  # signed bytes, origin by IMOD's own sign
    (tmp_path / "a.mrc").write_bytes(full_header(raw_mrc, voxels.astype("i1"), patches=patches))
    path = write_volume(tmp_path / "b.mrc", open_volume(tmp_path / "a.mrc"), dtype=kind)
    assert struct.unpack_from("<4si", path.read_bytes(), 152) == (b"IMOD", flags)
    np.testing.assert_array_equal(open_volume(path).data, voxels)


def test_what_stood_in_another_byte_order_is_left_out(tmp_path, raw_mrc, voxels):
    (tmp_path / "a.mrc").write_bytes(full_header(raw_mrc, voxels, order=">"))
    after = write_volume(tmp_path / "b.mrc", open_volume(tmp_path / "a.mrc")).read_bytes()
    assert not any(after[i] for i in EXTRA)


def test_a_header_from_elsewhere_has_none(tmp_path, voxels):
    for extra in (b"", b"short"):
        volume = Volume(voxels, 10.0, FileHeader(extra=extra))
        after = write_volume(tmp_path / "b.mrc", volume, overwrite=True).read_bytes()
        assert len(after) == 1024 + 4 * voxels.size
        assert bytes(after[i] for i in EXTRA).rstrip(b"\0") == extra
