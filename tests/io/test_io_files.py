"""Atomic outputs, digests, half tomograms and tilt angles."""

import hashlib
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.core.errors import InputError
from vitreous.io import (
    atomic_path,
    check_writable,
    file_sha256,
    find_half,
    read_tilt_angles,
    write_text_atomic,
)
from vitreous.io.mrc_header import append_label


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_success_renames_and_keeps_permissions_of_the_umask(tmp_path):
    with atomic_path(tmp_path / "a" / "b" / "c.html") as temporary:
        assert temporary.suffix == ".html"
        assert temporary.parent == tmp_path / "a" / "b"
        temporary.write_text("x")
        assert not (tmp_path / "a" / "b" / "c.html").exists()
    (tmp_path / "plain").touch()
    assert (tmp_path / "a" / "b" / "c.html").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert names(tmp_path / "a" / "b") == ["c.html"]


def interrupted_write(target, fault):
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise fault


def overtaken_write(target):
    with atomic_path(target) as temporary:
        temporary.write_text("ours")
        target.write_text("theirs")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, MemoryError])
def test_any_failure_leaves_the_old_file_and_no_other(tmp_path, fault):
    (tmp_path / "a.txt").write_text("old")
    for target in (tmp_path / "a.txt", tmp_path / "new" / "b.txt"):
        with pytest.raises(fault):
            interrupted_write(target, fault)
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_output_that_appears_meanwhile_is_not_overwritten(tmp_path):
    with pytest.raises(InputError, match="output exists"):
        overtaken_write(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]


def test_faults_of_other_files_are_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out" / "a.txt"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(InputError, match="could not be written"), atomic_path(tmp_path / "a.txt"):
        pass  # nothing was written


def test_write_text(tmp_path):
    path = write_text_atomic(tmp_path / "a.txt", "Å\n")
    assert path.read_bytes() == "Å\n".encode()
    write_text_atomic(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(InputError, match="output exists"):
        write_text_atomic(path, "newer", overwrite=False)


def test_check_writable(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "deep" / "a.mrc", 1000)
    monkeypatch.chdir(tmp_path)
    check_writable("a.mrc")
    assert names(tmp_path) == []
    (tmp_path / "file").touch()
    for target, problem in (("file", "output exists"), ("file/a.mrc", "file, not a folder"), (".", "folder")):
        with pytest.raises(InputError, match=problem):
            check_writable(tmp_path / target)
    check_writable(tmp_path / "file", overwrite=True)
    with pytest.raises(InputError, match="needs 1e\\+06 TB and the disk has"):
        check_writable(tmp_path / "a.mrc", 10**18)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="output exists"):
        check_writable(tmp_path / "dangling")


def test_check_writable_without_permission(unprivileged):
    if os.getuid() != 0:
        unprivileged.chmod(0o555)
    with pytest.raises(InputError, match="no permission"):
        check_writable(unprivileged / "new" / "a.mrc")


def test_name_too_long(tmp_path):
    with pytest.raises(InputError, match="too long") as caught:
        write_text_atomic(tmp_path / ("x" * 300), "")
    assert "\n" not in str(caught.value)
    longest = "y" * 251 + ".txt"
    write_text_atomic(tmp_path / longest, "")
    assert names(tmp_path) == [longest]


@given(st.binary(max_size=3_000))
def test_digest_is_sha256(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("digest") / "a"
    path.write_bytes(content)
    assert file_sha256(path) == hashlib.sha256(content).hexdigest()


def test_folder_digest_depends_on_names_and_contents_only(tmp_path):
    digests = set()
    for folder, files in {
        "a": {"x": b"1", "y/z": b"2"},
        "same": {"y/z": b"2", "x": b"1"},
        "content": {"x": b"1", "y/z": b"3"},
        "name": {"x": b"1", "y/w": b"2"},
        "split": {"x": b"12", "y/z": b""},
    }.items():
        for name, content in files.items():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_bytes(content)
        digests.add(file_sha256(tmp_path / folder))
    assert len(digests) == 4
    with pytest.raises(InputError, match="cannot be read"):
        file_sha256(tmp_path / "none")


@pytest.mark.parametrize(
    ("even", "odd", "full"),
    [
        ("TS_1_EVN_Vol.mrc", "TS_1_ODD_Vol.mrc", "TS_1.mrc"),
        ("TS_1_EVN_Vol.mrc", "TS_1_ODD_Vol.mrc", "TS_1_Vol.mrc"),
        ("TS_1_EVN.mrc", "TS_1_ODD.mrc", "TS_1.mrc"),
        ("TS_1_EVN.mrc", "TS_1_ODD.mrc", "TS_1_Vol.mrc"),
        ("odd_cell_even.rec", "odd_cell_odd.rec", "odd_cell.rec"),
        ("t_EVEN.mrc.gz", "t_ODD.mrc.gz", "t.mrc.gz"),
        ("rec_tomo_half1.mrc", "rec_tomo_half2.mrc", "rec_tomo.mrc"),
        ("even/X_10.00Apx.mrc", "odd/X_10.00Apx.mrc", "X_10.00Apx.mrc"),
        ("X_10.00Apx_EVN.mrc", "X_10.00Apx_ODD.mrc", "X_10.00Apx.mrc"),
        ("tomo_even.zarr", "tomo_odd.zarr", "tomo.zarr"),
    ],
)
def test_halves_are_found_from_either_half_and_from_the_full_one(tmp_path, even, odd, full):
    for name in (even, odd, full):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in (even, odd, full):
        assert find_half(tmp_path / name) == (tmp_path / even, tmp_path / odd)
    (tmp_path / odd).unlink()
    for name in (even, odd, full):
        assert find_half(tmp_path / name) is None


def test_words_within_words_are_no_halves(tmp_path):
    for name in ("steven.mrc", "stodd.mrc", "seven.mrc", "sodd.mrc", "b.mrc"):
        (tmp_path / name).touch()
    for name in names(tmp_path):
        assert find_half(tmp_path / name) is None


MDOC = "PixelSpacing = 1.35\n\n[T = a]\n\n[ZValue = 1]\nTiltAngle = 3.5\nDose = 3\n"
MDOC += "\n[ZValue = 0]\nTiltAngle = -2\n"


@pytest.mark.parametrize(
    ("name", "text", "angles"),
    [
        ("a.tlt", "  -60.01\n\n0\n 60 \n", (-60.01, 0.0, 60.0)),
        ("a.rawtlt", "# nominal\r\n3\r\n-3\r\n", (3.0, -3.0)),
        ("a.txt", "\ufeff1e1\n", (10.0,)),
        ("a.mdoc", MDOC, (-2.0, 3.5)),
        ("a.mrc.mdoc", MDOC.replace("ZValue", "FrameSet"), (-2.0, 3.5)),
    ],
)
def test_tilt_angles(tmp_path, name, text, angles):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_tilt_angles(tmp_path / name) == angles


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("a.tlt", "", "no tilt angles"),
        ("a.tlt", "1\ntwo\n", "line 2: 'two'"),
        ("a.tlt", "1 2 3\n", "line 1"),
        ("a.tlt", "nan\n", "'nan'"),
        ("a.tlt", "1\n-90.5\n", "line 2"),
        ("a.tlt", "1\0", "not a text"),
        ("a.csv", "1\n", "not a file of tilt angles"),
        ("a.mdoc", "PixelSpacing = 1\n", "no tilt angles"),
        ("a.mdoc", MDOC.replace("TiltAngle = 3.5\n", ""), "section 1 has no"),
        ("a.mdoc", MDOC.replace("ZValue = 0", "ZValue = 1"), "occurs twice"),
        ("a.mdoc", MDOC.replace("Dose = 3", "TiltAngle = 3"), "two tilt angles"),
        ("a.mdoc", MDOC.replace("3.5", "up"), "'up'"),
    ],
)
def test_nonsense_is_no_tilt_angle(tmp_path, name, text, word):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=word) as caught:
        read_tilt_angles(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_tilt_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_tilt_angles(tmp_path / "a.tlt")


def test_real_tilt_files_agree(shared_data):
    refined = read_tilt_angles(shared_data / "io" / "TS_017" / "017.tlt")
    nominal = read_tilt_angles(shared_data / "io" / "TS_017" / "017.mdoc")
    assert len(refined) == len(nominal) == 60
    np.testing.assert_allclose(refined, nominal, atol=0.02)
    with pytest.raises(InputError, match=r"136\.62"):
        read_tilt_angles(shared_data / "io" / "TS_017" / "017_corrected_dose.txt")


@given(st.lists(st.text(max_size=9), max_size=12), st.text(max_size=120))
def test_labels_are_at_most_ten_of_eighty_ascii_characters(labels, label):
    kept = append_label(tuple(labels), label)
    assert kept[:-1] == tuple(labels[:9])
    assert kept[-1].isascii()
    assert len(kept[-1]) <= 80
