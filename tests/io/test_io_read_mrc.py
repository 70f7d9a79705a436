"""Reading MRC: every mode and byte order, damaged headers, and each kind of bad input."""

import bz2
import gzip
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core.errors import InputError
from vitreous.io import open_volume, volume_warnings


def write(path, content):
    path.write_bytes(content)
    return path


def refusal(path, **options):
    """The one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        open_volume(path, **options)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["i1", "i2", "f4", "u2", "f2"]),
    order=st.sampled_from("<>"),
    shape=st.tuples(st.integers(2, 6), st.integers(1, 6), st.integers(1, 6)),
    extended=st.binary(max_size=7),
    packing=st.sampled_from(["", ".gz", ".bz2"]),
    extra=st.binary(max_size=5),
    seed=st.integers(0, 2**16),
)
def test_every_mode_order_and_packing_is_read_exactly(
    raw_mrc, kind, order, shape, extended, packing, extra, seed
):
    rng = np.random.default_rng(seed)
    data = (
        rng.integers(-100, 100, shape).astype(kind)
        if kind != "u2"
        else rng.integers(0, 65535, shape).astype(kind)
    )
    content = raw_mrc(data, order=order, spacing=(4.0, 2.5, 10.52), extended=extended) + extra
    content = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[packing](content)
    with tempfile.TemporaryDirectory() as folder:
        volume = open_volume(write(Path(folder) / f"a.mrc{packing}", content))
        assert volume.data.dtype.newbyteorder("=") == data.dtype
        np.testing.assert_array_equal(volume.data, data)
        assert volume.voxel_spacing_angstrom == pytest.approx((4.0, 2.5, 10.52), rel=1e-6)
        assert volume.header.extended_header == extended
        del volume


def test_uncompressed_voxels_are_a_read_only_memory_map(tmp_path, raw_mrc, voxels):
    volume = open_volume(write(tmp_path / "a.mrc", raw_mrc(voxels)))
    assert isinstance(volume.data, np.memmap)
    assert not volume.data.flags.writeable


@pytest.mark.parametrize("suffix", [".mrc", ".rec", ".map", ".st", ".mrcs", ".ali", ".MRC", ".odd"])
def test_suffixes_and_content_are_recognized(tmp_path, raw_mrc, voxels, suffix):
    np.testing.assert_array_equal(open_volume(write(tmp_path / f"a{suffix}", raw_mrc(voxels))).data, voxels)


def test_gzip_without_the_suffix_and_suffix_without_gzip(tmp_path, raw_mrc, voxels):
    raw = raw_mrc(voxels)
    for name, content in (("a.mrc", gzip.compress(raw)), ("b.mrc.gz", raw)):
        np.testing.assert_array_equal(open_volume(write(tmp_path / name, content)).data, voxels)


def test_header_fields_are_kept(tmp_path, raw_mrc, voxels):
    labels = (b"first" + b" " * 75, b"second \xc5", b"")
    raw = raw_mrc(
        voxels,
        origin=(1.5, -2.5, 3.5),
        start=(-1, 2, -3),
        space_group=4,
        labels=labels,
        extended=b"abc",
        extended_type=b"SERI",
    )
    header = open_volume(write(tmp_path / "a.mrc", raw)).header
    assert header.origin_angstrom == (1.5, -2.5, 3.5)
    assert header.start_voxels == (-1, 2, -3)
    assert header.space_group == 4
    assert header.labels == ("first" + " " * 75, "second Å", "")
    assert (header.extended_header, header.extended_type) == (b"abc", b"SERI")


def test_agrees_with_mrcfile(tmp_path, voxels):
    with mrcfile.new(tmp_path / "a.mrc", voxels) as other:
        other.voxel_size = (3.0, 2.0, 1.5)
    volume = open_volume(tmp_path / "a.mrc")
    assert volume.voxel_spacing_angstrom == pytest.approx((1.5, 2.0, 3.0), rel=1e-6)
    np.testing.assert_array_equal(volume.data, voxels)


def test_other_axis_order_is_transposed(tmp_path, raw_mrc):
    """Columns along z, rows along x, sections along y, as in EMD-3001."""
    stored = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)  # (y, x, z)
    patches = {
        64: struct.pack("<3i", 3, 1, 2),
        28: struct.pack("<3i", 3, 2, 4),
        40: struct.pack("<3f", 6, 10, 28),
    }
    volume = open_volume(write(tmp_path / "a.mrc", raw_mrc(stored, start=(-2, -3, -4), patches=patches)))
    assert volume.shape == (4, 2, 3)
    assert volume.data[3, 1, 2] == stored[1, 2, 3]
    assert volume.data[1, 0, 2] == stored[0, 2, 1]
    assert volume.voxel_spacing_angstrom == (7.0, 5.0, 2.0)
    assert volume.header.start_voxels == (-4, -2, -3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stamp", [b"\0\0", b"\x44\x44", b"\x11\x11", b"\x44\x41"])
@pytest.mark.parametrize("identifier", [b"MAP ", b"MAP\0", b"\0\0\0\0"])
def test_missing_map_and_wrong_stamp_are_read_and_said(tmp_path, raw_mrc, voxels, order, stamp, identifier):
    raw = raw_mrc(voxels, order=order, patches={208: identifier, 212: stamp})
    volume = open_volume(write(tmp_path / "a.mrc", raw))
    np.testing.assert_array_equal(volume.data, voxels)
    said = " ".join(volume_warnings(volume))
    assert ("MAP identifier" in said) == (identifier == b"\0\0\0\0")
    assert ("machine stamp is wrong" in said) == (stamp[0] != {"<": 0x44, ">": 0x11}[order])


@pytest.mark.parametrize(
    ("version", "statistics", "imod", "expected", "doubtful"),
    [
        (20141, (0, 255, 9), None, "i1", True),
        (20141, (-5, 100, 9), None, "i1", False),
        (0, (0, 255, 9), None, "u1", True),
        (0, (0, 0, 0), None, "i1", True),
        (0, (-3, 90, 0), None, "i1", False),
        (0, (0, 255, 9), 1, "i1", False),
        (20141, (0, 9, 3), 0, "u1", False),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_sign_of_bytes(tmp_path, raw_mrc, version, statistics, imod, expected, doubtful, order):
    data = np.array([-100, 3] * 8, np.int8).reshape(2, 2, 4)
    patches = {} if imod is None else {152: struct.pack(order + "2i", 1146047817, imod)}
    raw = raw_mrc(data, order=order, version=version, statistics=statistics, patches=patches)
    volume = open_volume(write(tmp_path / "a.mrc", raw))
    np.testing.assert_array_equal(volume.data, data.view(expected))
    assert any("8-bit" in text for text in volume_warnings(volume)) == doubtful


@pytest.mark.parametrize("bad", [0.0, -5.0, np.nan, np.inf])
def test_unusable_spacing_is_refused_unless_allowed_or_given(tmp_path, raw_mrc, voxels, bad):
    path = write(tmp_path / "a.mrc", raw_mrc(voxels, spacing=(10.0, bad, 10.0)))
    assert "--voxel-size" in refusal(path)
    damaged = open_volume(path, allow_damaged=True)
    assert damaged.voxel_spacing_angstrom is None
    assert "unknown" in volume_warnings(damaged)[0]
    assert open_volume(path, voxel_spacing_angstrom=7).voxel_spacing_angstrom == (7.0, 7.0, 7.0)


def test_zero_intervals_are_no_spacing(tmp_path, raw_mrc, voxels):
    assert "--voxel-size" in refusal(write(tmp_path / "a.mrc", raw_mrc(voxels, patches={28: b"\0" * 12})))


def test_given_spacing_overrides_and_must_be_positive(tmp_path, raw_mrc, voxels):
    path = write(tmp_path / "a.mrc", raw_mrc(voxels))
    assert open_volume(path, voxel_spacing_angstrom=(3, 2, 1)).voxel_spacing_angstrom == (3.0, 2.0, 1.0)
    for wrong in (0, -1.0, float("nan"), (1.0, 2.0)):
        with pytest.raises(InputError, match="voxel spacing"):
            open_volume(path, voxel_spacing_angstrom=wrong)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"spacing": (1.0, 1.0, 1.0)}, "exactly 1 Å"),
        ({"spacing": (10.0, 10.0, 10.2)}, "differs between axes"),
        ({"spacing": (0.01, 0.01, 0.01)}, "not plausible"),
        ({"statistics": (0.0, 0.0, 0.0)}, "statistics"),
        ({"patches": {64: b"\0" * 12}}, "axis order"),
    ],
)
def test_warnings(tmp_path, raw_mrc, voxels, options, word):
    volume = open_volume(write(tmp_path / "a.mrc", raw_mrc(voxels, **options)))
    assert len(volume_warnings(volume)) == 1
    assert word in volume_warnings(volume)[0]
    assert (
        volume_warnings(open_volume(write(tmp_path / "b.mrc", raw_mrc(voxels, spacing=(10, 10, 10.05)))))
        == ()
    )


def test_bad_files_are_refused_in_one_line(tmp_path, raw_mrc, voxels):
    raw = raw_mrc(voxels)
    size = len(raw)
    assert "no such file" in refusal(tmp_path / "none.mrc")
    assert "no such file" in refusal(tmp_path / "none.zarr")
    assert "folder" in refusal(tmp_path)
    assert "empty" in refusal(write(tmp_path / "empty.mrc", b""))
    truncated = refusal(write(tmp_path / "short.mrc", raw[:-1]))
    assert f"{size} bytes" in truncated
    assert str(size - 1) in truncated
    assert "text" in refusal(write(tmp_path / "text.mrc", "# a tomogram, Å\n".encode() * 200))
    assert "text" in refusal(write(tmp_path / "short_text.mrc", b"hello\n"))
    assert "not an MRC" in refusal(write(tmp_path / "noise.mrc", np.random.default_rng(0).bytes(4096)))
    assert "header alone" in refusal(write(tmp_path / "stub.mrc", raw[:500]))
    assert "not a type" in refusal(write(tmp_path / "a.npy", b"\x93NUMPY"))


@pytest.mark.parametrize("mode", [3, 4, 16, 101, 5])
def test_other_modes_are_refused(tmp_path, raw_mrc, voxels, mode):
    path = write(tmp_path / "a.mrc", raw_mrc(voxels, patches={12: struct.pack("<i", mode)}))
    assert f"mode {mode}" in refusal(path)


def test_packed_bytes_are_refused(tmp_path, raw_mrc):
    raw = raw_mrc(np.zeros((2, 2, 2), np.int8), patches={152: struct.pack("<2i", 1146047817, 16)})
    assert "4-bit" in refusal(write(tmp_path / "a.mrc", raw))


@pytest.mark.parametrize("side", [0, -1])
@pytest.mark.parametrize("offset", [0, 4, 8])
def test_sides_must_be_positive(tmp_path, raw_mrc, voxels, side, offset):
    raw = raw_mrc(voxels, patches={offset: struct.pack("<i", side)})
    assert "not positive" in refusal(write(tmp_path / "a.mrc", raw))


def test_images_and_stacks_of_volumes_are_refused(tmp_path, raw_mrc):
    assert "2-D" in refusal(write(tmp_path / "a.mrc", raw_mrc(np.zeros((1, 4, 4), np.float32))))
    stack = np.zeros((6, 4, 4), np.float32)
    raw = raw_mrc(stack, space_group=401, patches={36: struct.pack("<i", 3)})
    assert "4-D stack of 2 volumes" in refusal(write(tmp_path / "b.mrc", raw))
    single = open_volume(write(tmp_path / "c.mrc", raw_mrc(stack, space_group=401)))
    assert (single.shape, single.header.space_group) == ((6, 4, 4), 1)


@pytest.mark.parametrize("claimed", [-1, 2**31 - 1])
def test_extended_header_beyond_the_file(tmp_path, raw_mrc, voxels, claimed):
    refusal(write(tmp_path / "a.mrc", raw_mrc(voxels, patches={92: struct.pack("<i", claimed)})))
    packed = gzip.compress(raw_mrc(voxels, patches={92: struct.pack("<i", claimed)}))
    refusal(write(tmp_path / "a.mrc.gz", packed))


def test_huge_sides_are_truncated_data_not_a_memory_error(tmp_path, raw_mrc, voxels):
    raw = raw_mrc(voxels, patches={0: struct.pack("<3i", *[10**7] * 3)})
    assert "truncated" in refusal(write(tmp_path / "a.mrc", raw))
    assert "memory" in refusal(write(tmp_path / "a.mrc.gz", gzip.compress(raw)))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_corrupt_and_cut_compressed_files(tmp_path, raw_mrc, compress):
    data = np.random.default_rng(0).integers(-128, 127, (40, 40, 40)).astype(np.int8)
    packed = compress(raw_mrc(data))
    for index, content in enumerate([packed[:-6], packed[:50], packed[: len(packed) // 2], packed[:12]]):
        assert "corrupt or cut" in refusal(write(tmp_path / f"{index}.mrc.gz", content))
    broken = bytearray(packed)
    broken[len(broken) // 2] ^= 0xFF
    assert "corrupt or cut" in refusal(write(tmp_path / "x.mrc.gz", bytes(broken)))
    short = compress(raw_mrc(data)[:-10])
    assert "truncated" in refusal(write(tmp_path / "y.mrc.gz", short))


def test_no_read_permission(raw_mrc, voxels, unprivileged):
    path = unprivileged / "a.mrc"
    euid = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    write(path, raw_mrc(voxels)).chmod(0o000)
    os.seteuid(euid)
    assert "no permission" in refusal(path)


def test_special_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mrc")
    assert "not a regular file" in refusal(tmp_path / "pipe.mrc")


def test_import_stays_light():
    code = "import sys, vitreous.io; print({'zarr', 'mrcfile', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("EMD-3001.map", (73, 25, 43)),
        ("emd_3001.map.gz", (73, 25, 43)),
        ("EMD-3197.map", (20, 20, 20)),
        ("emd_3197.map.gz", (20, 20, 20)),
        ("test_blob_detect.rec", (27, 32, 22)),
        ("test_image_membrane.rec", (16, 16, 16)),
        ("test_1d_example.rec", "2-D image"),
        ("emd_3197.png.gz", "not a type of file"),
        ("tilt_stack.mrc", "--voxel-size"),
    ],
)
def test_real_files(shared_data, name, outcome):
    path = shared_data / "io" / name
    if isinstance(outcome, str):
        assert outcome in refusal(path)
        return
    volume = open_volume(path)
    assert volume.shape == outcome
    with mrcfile.open(path, permissive=True) as other:
        order = [3 - int(other.header[axis]) for axis in ("maps", "mapr", "mapc")]
        np.testing.assert_array_equal(volume.data, other.data.transpose(np.argsort(order)))
        low = float(other.header.dmin)
    assert float(volume.data.min()) == pytest.approx(low, abs=1e-5)
