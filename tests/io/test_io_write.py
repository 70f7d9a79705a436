"""Writing: round trips, what of a header is promised, and that nothing is ever left half-written."""

import errno
import os
import struct
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core.errors import InputError
from vitreous.core.volume import FileHeader, Volume
from vitreous.io import file_sha256, open_volume, volume_warnings, write_volume

BOTH = pytest.mark.parametrize("suffix", [".mrc", ".zarr"])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refusal(path, volume, **options):
    with pytest.raises(InputError) as caught:
        write_volume(path, volume, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@settings(max_examples=40, deadline=None)
@given(
    source=st.sampled_from([">f4", "<f4", "<f8", ">i2", "i1", "u1", "<f2", "?"]),
    shape=st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(1, 9)),
    spacing=st.tuples(*[st.floats(0.125, 1000)] * 3),
    suffix=st.sampled_from([".mrc", ".rec", ".map", ".zarr"]),
    axes=st.permutations([0, 1, 2]),
    seed=st.integers(0, 2**16),
)
def test_round_trip(source, shape, spacing, suffix, axes, seed):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 100, shape).astype(source).transpose(axes)
    if data.shape[0] == 1:
        data = data.repeat(2, axis=0)
    header = FileHeader((0.5, -1.5, 2.5))
    with tempfile.TemporaryDirectory() as folder:
        path = write_volume(Path(folder) / f"a{suffix}", Volume(data, spacing, header))
        volume = open_volume(path)
        assert volume.data.dtype == np.float32
        np.testing.assert_array_equal(volume.data, data.astype(np.float32))
        assert volume.voxel_spacing_angstrom == pytest.approx(spacing, rel=1e-6)
        assert volume.header.origin_angstrom == (0.5, -1.5, 2.5)
        again = open_volume(write_volume(Path(folder) / f"b{suffix}", volume))
        assert again.voxel_spacing_angstrom == volume.voxel_spacing_angstrom
        del volume, again


@pytest.mark.parametrize("order", ["<", ">"])
def test_header_is_carried_on_byte_for_byte(tmp_path, raw_mrc, voxels, order):
    labels = tuple(b"label %d" % i + (b" " * 73 if i % 2 else b"") for i in range(3))
    raw = raw_mrc(
        voxels,
        order=order,
        spacing=(4.0, 2.5, 10.52),
        origin=(1.5, -2.5, 3.5),
        start=(-1, 2, -3),
        space_group=4,
        statistics=(9.0, 9.0, 9.0),
        extended=bytes(range(200)),
        extended_type=b"FEI1",
        labels=labels,
    )
    (tmp_path / "in.mrc").write_bytes(raw)
    before = file_sha256(tmp_path / "in.mrc")
    volume = open_volume(tmp_path / "in.mrc")
    write_volume(tmp_path / "out.mrc", volume, label="denoised at 3 Å")
    new = (tmp_path / "out.mrc").read_bytes()
    assert file_sha256(tmp_path / "in.mrc") == before

    little = raw_mrc(
        voxels, spacing=(4.0, 2.5, 10.52), origin=(1.5, -2.5, 3.5), start=(-1, 2, -3), space_group=4
    )
    assert new[:76] == little[:76]  # sides, mode, start, intervals, cell, angles, axes
    assert new[196:216] == little[196:216]  # origin, MAP, machine stamp
    assert struct.unpack("<2i", new[88:96]) == (4, 200)
    assert new[104:108] == b"FEI1"
    assert new[1024:1224] == bytes(range(200))
    assert struct.unpack("<i", new[220:224]) == (4,)
    assert new[224:464] == b"".join(label.ljust(80, b"\0") for label in labels)
    assert new[464:544] == b"denoised at 3 A".ljust(80, b"\0")
    assert new[544:1024] == b"\0" * 480
    assert new[1224:] == voxels.tobytes()
    low, high, mean = struct.unpack("<3f", new[76:88])
    (deviation,) = struct.unpack("<f", new[216:220])
    assert (low, high) == (voxels.min(), voxels.max())
    assert mean == pytest.approx(voxels.mean(dtype=float), rel=1e-6)
    assert deviation == pytest.approx(voxels.std(dtype=float), rel=1e-6)
    assert mrcfile.validate(tmp_path / "out.mrc", print_file=sys.stderr)
    assert volume_warnings(open_volume(tmp_path / "out.mrc"))[0].startswith("the voxel spacing differs")


def test_eleventh_label_replaces_the_tenth(tmp_path, raw_mrc, voxels):
    labels = tuple(b"label %d" % i for i in range(10))
    (tmp_path / "in.mrc").write_bytes(raw_mrc(voxels, labels=labels))
    write_volume(tmp_path / "out.mrc", open_volume(tmp_path / "in.mrc"), label="x" * 100)
    kept = open_volume(tmp_path / "out.mrc").header.labels
    assert kept == (*(f"label {i}" for i in range(9)), "x" * 80)


def test_statistics_over_many_slabs_and_non_finite_voxels(tmp_path):
    data = np.random.default_rng(3).normal(1e4, 1.0, (70, 256, 256)).astype(np.float32)  # three slabs
    data += np.arange(70, dtype=np.float32)[:, None, None]  # the slabs differ in mean
    data[0, 0, :3] = np.nan, np.inf, -np.inf
    write_volume(tmp_path / "a.mrc", Volume(data, 10.0))
    with mrcfile.mmap(tmp_path / "a.mrc") as other:
        np.testing.assert_array_equal(other.data, data)
        finite = data[np.isfinite(data)].astype(float)
        assert float(other.header.dmax) == finite.max()
        assert float(other.header.dmean) == pytest.approx(finite.mean(), rel=1e-7)
        assert float(other.header.rms) == pytest.approx(finite.std(), rel=1e-5)
    write_volume(tmp_path / "b.mrc", Volume(np.full((2, 2, 2), np.nan), 10.0))
    head = (tmp_path / "b.mrc").read_bytes()
    assert struct.unpack("<3f", head[76:88]) == (0.0, -1.0, -2.0)


@pytest.mark.parametrize("kind", ["i1", "i2", "u2", "f2"])
def test_other_types_and_their_limits(tmp_path, kind):
    data = np.arange(24.0).reshape(2, 3, 4)
    volume = open_volume(write_volume(tmp_path / "a.mrc", Volume(data, 10.0), dtype=kind))
    assert volume.data.dtype == np.dtype(kind)
    np.testing.assert_array_equal(volume.data, data)
    assert volume_warnings(volume) == ()
    assert "do not fit" in refusal(tmp_path / "b.mrc", Volume(data + 1e6, 10.0), dtype=kind)
    if kind != "f2":
        assert "do not fit" in refusal(tmp_path / "b.mrc", Volume(data + 0.5, 10.0), dtype=kind)
        assert "do not fit" in refusal(tmp_path / "b.mrc", Volume(data * np.nan, 10.0), dtype=kind)
    assert names(tmp_path) == ["a.mrc"]


def test_unsigned_bytes_are_refused_not_widened(tmp_path):
    assert "uint8" in refusal(tmp_path / "a.mrc", Volume(np.zeros((2, 2, 2)), 10.0), dtype=np.uint8)
    assert "complex64" in refusal(tmp_path / "a.zarr", Volume(np.zeros((2, 2, 2)), 10.0), dtype=np.complex64)


def test_double_beyond_single_precision_is_refused(tmp_path):
    assert "do not fit" in refusal(tmp_path / "a.mrc", Volume(np.full((2, 2, 2), 1e300), 10.0))


@BOTH
def test_unknown_spacing_stays_unknown(tmp_path, suffix):
    path = write_volume(tmp_path / f"a{suffix}", Volume(np.zeros((2, 2, 2)), None))
    with pytest.raises(InputError, match="--voxel-size"):
        open_volume(path)
    assert open_volume(path, allow_damaged=True).voxel_spacing_angstrom is None


@pytest.mark.parametrize("name", ["a.mrc.gz", "a.tif", "a", "a.st", "a.zarr.zip"])
def test_other_suffixes_are_refused(tmp_path, voxels, name):
    assert "name the output" in refusal(tmp_path / name, Volume(voxels, 10.0))
    assert names(tmp_path) == []


@BOTH
def test_existing_output_needs_overwrite(tmp_path, voxels, suffix):
    path = write_volume(tmp_path / f"a{suffix}", Volume(voxels, 10.0))
    before = file_sha256(path)
    assert refusal(path, Volume(voxels + 1, 10.0)).endswith(
        "output exists; add --overwrite or choose another -o"
    )
    assert file_sha256(path) == before
    write_volume(path, Volume(voxels + 1, 10.0), overwrite=True)
    np.testing.assert_array_equal(open_volume(path).data, voxels + 1)
    assert names(tmp_path) == [path.name]


@BOTH
def test_input_is_never_overwritten(tmp_path, voxels, suffix):
    path = write_volume(tmp_path / f"a{suffix}", Volume(voxels, 10.0))
    before = file_sha256(path)
    volume = open_volume(path)
    link = tmp_path / f"link{suffix}"
    link.symlink_to(path)
    for target in (path, link, tmp_path / "x" / ".." / path.name):
        assert "input itself" in refusal(target, volume, overwrite=True)
    if suffix == ".mrc":
        os.link(path, tmp_path / "hard.mrc")
        assert "input itself" in refusal(tmp_path / "hard.mrc", volume, overwrite=True)
    else:
        assert "input itself" in refusal(path / "in.mrc", volume, overwrite=True)
    assert file_sha256(path) == before


@pytest.mark.parametrize("name", ["folder.mrc", "folder.zarr"])
def test_a_folder_that_is_no_zarr_is_never_removed(tmp_path, voxels, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").touch()
    assert "folder" in refusal(tmp_path / name, Volume(voxels, 10.0), overwrite=True)
    assert names(tmp_path / name) == ["thesis.tex"]


@BOTH
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("existing", [True, False])
def test_failure_while_writing_leaves_nothing(tmp_path, voxels, monkeypatch, suffix, code, existing):
    path = tmp_path / ("" if existing else "new/deep") / f"a{suffix}"
    if existing:
        write_volume(path, Volume(voxels, 10.0))
        before = file_sha256(path)

    def full(_descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    line = refusal(path, Volume(voxels + 1, 10.0), overwrite=True)
    if code == errno.ENOSPC:
        assert "disk is full" in line
    assert names(tmp_path) == ([path.name] if existing else [])
    if existing:
        assert file_sha256(path) == before


def test_old_store_returns_when_the_new_one_cannot_take_its_name(tmp_path, voxels, monkeypatch):
    path = write_volume(tmp_path / "a.zarr", Volume(voxels, 10.0))
    before, rename = file_sha256(path), os.rename

    def fail_once(source, target):
        if str(source).endswith(".part.zarr"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_once)
    refusal(path, Volume(voxels + 1, 10.0), overwrite=True)
    assert file_sha256(path) == before
    assert names(tmp_path) == ["a.zarr"]


@BOTH
def test_real_limit_on_file_size(tmp_path, suffix):
    """The kernel stops the write half-way: the nearest a test comes to a full disk."""
    code = (
        "import resource, sys; import numpy as np\n"
        "from vitreous.core.volume import Volume; from vitreous.io import write_volume\n"
        "data = np.random.default_rng(0).normal(size=(64, 64, 64))\n"
        "import zarr, mrcfile\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: write_volume(sys.argv[1], Volume(data, 10.0), overwrite=True)\n"
        "except Exception as fault: print(type(fault).__name__, fault)\n"
    )
    path = write_volume(tmp_path / f"a{suffix}", Volume(np.zeros((2, 2, 2)), 10.0))
    before = file_sha256(path)
    run = [sys.executable, "-c", code, str(path)]
    result = subprocess.run(run, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.startswith("InputError")
    assert "larger than a file may be" in result.stdout
    assert result.stdout.count("\n") == 1
    assert names(tmp_path) == [path.name]
    assert file_sha256(path) == before


@BOTH
def test_no_write_permission(unprivileged, voxels, suffix):
    unprivileged_is_owner = os.getuid() != 0
    if unprivileged_is_owner:
        unprivileged.chmod(0o555)
    assert "no permission" in refusal(unprivileged / f"a{suffix}", Volume(voxels, 10.0))
    assert "no permission" in refusal(unprivileged / "new" / f"a{suffix}", Volume(voxels, 10.0))
    assert names(unprivileged) == []


def test_too_little_room_is_said_before_writing(tmp_path, voxels, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100})())
    for name in ("a.mrc", "a.zarr"):
        assert "100 B free" in refusal(tmp_path / name, Volume(voxels, 10.0))
    assert names(tmp_path) == []


def test_large_memory_map_is_streamed(tmp_path):
    data = np.memmap(tmp_path / "raw", np.float32, mode="w+", shape=(80, 512, 512))
    for name in ("a.mrc", "a.zarr"):
        write_volume(tmp_path / f"first_{name}", Volume(data[:2, :2, :2], 10.0))  # loads what is loaded once
        tracemalloc.start()
        write_volume(tmp_path / name, Volume(data, 10.0))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.6 * data.nbytes


def test_same_volume_gives_same_bytes(tmp_path, voxels):
    for suffix in (".mrc", ".zarr"):
        for folder in "ab":
            write_volume(tmp_path / folder / f"v{suffix}", Volume(voxels, 10.0))
        assert file_sha256(tmp_path / "a" / f"v{suffix}") == file_sha256(tmp_path / "b" / f"v{suffix}")


def test_real_map_round_trip(shared_data, tmp_path):
    source = shared_data / "io" / "EMD-3001.map"
    before = file_sha256(source)
    volume = open_volume(source)
    again = open_volume(write_volume(tmp_path / "a.map", volume, label="again"))
    np.testing.assert_array_equal(again.data, volume.data)
    assert again.voxel_spacing_angstrom == pytest.approx(volume.voxel_spacing_angstrom, rel=1e-6)
    assert again.header.labels == (*volume.header.labels, "again")
    assert again.header.extended_header == volume.header.extended_header
    assert (again.header.start_voxels, again.header.space_group) == (volume.header.start_voxels, 4)
    assert file_sha256(source) == before
