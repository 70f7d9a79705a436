"""The command line as a hostile new user meets it."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import vitreous

COMPLEX_MODE, BAD_MODE = 4, 77


def header_patched(tomogram, offset, value):
    content = bytearray(tomogram.read_bytes())
    content[offset : offset + len(value)] = value
    return bytes(content)


def int32(*values):
    return np.array(values, "<i4").tobytes()


def zero_cell(tomogram):
    return header_patched(tomogram, 40, np.zeros(3, "<f4").tobytes())


DAMAGE = {
    "empty": lambda t: b"",
    "header cut": lambda t: t.read_bytes()[:500],
    "data cut": lambda t: t.read_bytes()[:-1000],
    "text": lambda t: b"this is no tomogram\n" * 400,
    "wrong mode": lambda t: header_patched(t, 12, int32(BAD_MODE)),
    "complex": lambda t: header_patched(t, 12, int32(COMPLEX_MODE)) + bytes(12 * 20 * 17 * 4),
    "image": lambda t: header_patched(t, 8, int32(1)),
    "zero spacing": zero_cell,
    "zero size": lambda t: header_patched(t, 0, int32(0, 0, 0)),
    "negative size": lambda t: header_patched(t, 0, int32(-3)),
    "huge size": lambda t: header_patched(t, 0, int32(2**30, 2**30, 2**30)),
    "half a gzip": lambda t: gzip.compress(t.read_bytes())[:-300],
    "volume stack": lambda t: (
        header_patched(t, 88, int32(401))[:36] + int32(3) + header_patched(t, 88, int32(401))[40:]
    ),
    "constant": lambda t: t.read_bytes()[:1024] + np.full(12 * 20 * 17, 3, "<f4").tobytes(),
    "not finite": lambda t: t.read_bytes()[:1024] + np.full(12 * 20 * 17, np.nan, "<f4").tobytes(),
}


def tree(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))
    }


def check_refused(run, folder, *words):
    """Exit 2, one line, nothing on stdout, nothing written or changed."""
    before = tree(folder)
    code, out, err = run(*words)
    assert code == 2, err
    assert out == ""
    assert err.startswith("vitreous: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert tree(folder) == before
    return err


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("method", ["auto", "gaussian"])
def test_unusable_files(run, tomogram, tmp_path, damage, method):
    content = DAMAGE[damage](tomogram)
    tomogram.unlink()
    file = tmp_path / ("bad.mrc.gz" if "gzip" in damage else "bad.mrc")
    file.write_bytes(content)
    err = check_refused(run, tmp_path, "denoise", file, "-o", tmp_path / "out.mrc", "--method", method)
    assert "bad.mrc" in err


def test_unusable_arguments(run, tomogram, tmp_path, blobs):
    out = tmp_path / "out.mrc"
    other = vitreous.write_volume(tmp_path / "other.mrc", vitreous.Volume(blobs[:, :-1], (10.0, 10.0, 10.0)))
    empty = vitreous.write_volume(tmp_path / "empty.mrc", vitreous.Volume(0 * blobs, (10.0, 10.0, 10.0)))
    (tmp_path / "a file").touch()
    plain = ["denoise", tomogram, "-o", out]
    for words in (
        ["denoise", tmp_path / "missing.mrc", "-o", out],
        ["denoise", tmp_path / "odd\nname.mrc", "-o", out],
        ["denoise", tmp_path, "-o", out],
        ["denoise", "-o", out],
        ["denoise", tomogram],
        [*plain, "--method", "magic"],
        [*plain, "--method", "n2n"],
        [*plain, "--device", "abacus"],
        [*plain, "--time-budget", "soon"],
        [*plain, "--time-budget", "0s"],
        [*plain, "--time-budget", "5s", "--steps", "5"],
        [*plain, "--max-memory", "lots"],
        [*plain, "--voxel-size", "0"],
        [*plain, "--voxel-size", "nan"],
        [*plain, "--voxel-size", "inf"],
        [*plain, "--even", other, "--odd", other],
        [*plain, "--even", tomogram],
        [*plain, "--even", tomogram, "--odd", tomogram],
        [*plain, "--run-dir", out],
        [*plain, "--run-dir", tomogram],
        [*plain, "--mask", other],
        [*plain, "--mask", empty],
        [*plain, "--mask", tmp_path / "missing.mrc"],
        [*plain, "--model", tmp_path / "missing"],
        [*plain, "--model", tmp_path],
        [*plain, "--run-dir", tmp_path / "a file"],
        [*plain, "--run-dir", tmp_path / "a file" / "deeper"],
        ["denoise", tomogram, "-o", tmp_path / "out.tif"],
        ["denoise", tomogram, "-o", tmp_path / "a file" / "out.mrc"],
        ["denoise", tomogram, "-o", other],
        ["denoise", tomogram, "-o", tomogram],
        ["denoise", tomogram, "-o", tomogram, "--overwrite"],
        ["denoise", tomogram, "-o", other, "--mask", other, "--overwrite"],
        ["denoise", tomogram, "-o", tmp_path / ("x" * 300 + ".mrc")],
    ):
        check_refused(run, tmp_path, *words)


def test_too_little_memory_says_what_is_needed(run, tomogram, tmp_path):
    little = ("--max-memory", "5MB", "--device", "cpu")
    err = check_refused(run, tmp_path, "denoise", tomogram, "-o", tmp_path / "out.mrc", *little)
    assert "needs at least 0." in err


@pytest.mark.parametrize(
    "words", [["--steps", "0"], ["--seed", "-1"], ["--seed", str(2**64)], ["--nonsense"]]
)
def test_wrong_usage(run, tomogram, tmp_path, words):
    err = check_refused(run, tmp_path, "denoise", tomogram, "-o", tmp_path / "out.mrc", *words)
    assert words[0] in err
    assert "see vitreous denoise --help" in err


def test_spacing_zero_is_accepted_when_given_and_one_warns(run, tomogram, tmp_path):
    tomogram.write_bytes(zero_cell(tomogram))
    out = tmp_path / "out.mrc"
    assert run("denoise", tomogram, "-o", out, "--method", "gaussian", "--voxel-size", "7.5")[0] == 0
    assert vitreous.open_volume(out).voxel_spacing_angstrom == pytest.approx((7.5, 7.5, 7.5))
    code, _, err = run(
        "denoise", tomogram, "-o", tmp_path / "b.mrc", "--method", "gaussian", "--voxel-size", "1"
    )
    assert code == 0
    assert "exactly 1 Å" in err


def test_output_exists_unless_overwritten(run, tomogram, tmp_path):
    words = ["denoise", tomogram, "-o", tmp_path / "out.mrc", "--method", "gaussian"]
    (tmp_path / "out.mrc").write_text("precious")
    check_refused(run, tmp_path, *words)
    assert run(*words, "--overwrite")[0] == 0
    check_refused(run, tmp_path, *words)
    check_refused(run, tmp_path, *words[:-1], "median")
    assert run(*words[:-1], "median", "--overwrite")[0] == 0


def test_header_is_kept(run, blobs, tmp_path):
    from vitreous.core import FileHeader

    header = FileHeader((1.0, 2.0, 3.0), (-4, 5, 6), 1, ("first", "second"), b"FEI1" * 20, b"FEI1")
    file = vitreous.write_volume(tmp_path / "a.mrc", vitreous.Volume(blobs, (10.0, 11.0, 12.0), header))
    before = file.read_bytes()
    assert run("denoise", file, "-o", tmp_path / "new folder" / "b.rec", "--steps", "2")[0] == 0
    there, here = vitreous.open_volume(file), vitreous.open_volume(tmp_path / "new folder" / "b.rec")
    assert here.voxel_spacing_angstrom == there.voxel_spacing_angstrom
    for name in ("origin_angstrom", "start_voxels", "extended_header", "extended_type"):
        assert getattr(here.header, name) == getattr(there.header, name)
    assert here.header.labels[:-1] == there.header.labels
    assert "denoised, noise-model" in here.header.labels[-1]
    assert file.read_bytes() == before


def test_json_is_one_object_on_stdout_and_the_rest_on_stderr(run, tomogram, tmp_path):
    code, out, err = run("denoise", tomogram, "-o", tmp_path / "a b ü.mrc", "--steps", "3", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["output"] == str(tmp_path / "a b ü.mrc")
    assert "training: " in err
    assert "denoising: 1/1" in err
    code, out, err = run("denoise", tomogram, "-o", tmp_path / "c.mrc", "--method", "gaussian", "-q")
    assert err == ""


def test_halves_are_found_by_their_names(run, tomogram, tmp_path, blobs):
    for word in ("EVN", "ODD"):
        noise = np.random.default_rng(len(word) + ord(word[0])).normal(size=blobs.shape).astype(np.float32)
        vitreous.write_volume(
            tmp_path / f"tomogram_{word}.mrc", vitreous.Volume(blobs + noise, (10.0, 10.0, 10.0))
        )
    code, out, _ = run("denoise", tomogram, "-o", tmp_path / "out.mrc", "--json")
    assert code == 0
    assert json.loads(out)["method"] == "n2n"


@pytest.mark.parametrize("given", [["--method", "auto"], []])
def test_a_saved_model_keeps_its_method(run, tomogram, tmp_path, given):
    assert run("denoise", tomogram, "-o", tmp_path / "a.mrc", "--method", "blindspot", "--steps", "3")[0] == 0
    words = ["denoise", tomogram, "--model", tmp_path / "a.run"]
    code, out, _ = run(*words, "-o", tmp_path / "b.mrc", "--json", *given)
    assert code == 0
    assert json.loads(out)["method"] == "blindspot"
    a, b = (vitreous.open_volume(tmp_path / f"{n}.mrc").data for n in "ab")
    np.testing.assert_array_equal(a, b)
    err = check_refused(run, tmp_path, *words, "-o", tmp_path / "c.mrc", "--method", "noise-model")
    assert "blindspot" in err
    check_refused(run, tmp_path, *words, "-o", tmp_path / "c.mrc", "--steps", "5")


def test_a_full_disk_is_one_line(tomogram, tmp_path):
    """A limit on the size of files stands in for the disk: reports are larger than this tomogram."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "from vitreous.cli.main import main; main()"
    )
    words = ["denoise", str(tomogram), "-o", str(tmp_path / "out.mrc"), "--method", "gaussian"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("vitreous: ")
    assert not (tmp_path / "out.mrc").exists()


def test_a_full_disk_during_training_keeps_the_input_and_no_output(tomogram, tmp_path):
    """The first checkpoint does not fit."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from vitreous.cli.main import main; main()"
    )
    words = ["denoise", str(tomogram), "-o", str(tmp_path / "out.mrc"), "--steps", "1"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("vitreous: ")
    assert not (tmp_path / "out.mrc").exists()


@pytest.fixture
def unprivileged(tomogram):
    """Root ignores permission bits: be somebody else for the length of a test."""
    if os.geteuid() != 0:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_no_permission(run, blobs, unprivileged):
    folder = unprivileged or pytest.skip("needs root")
    os.seteuid(0)
    file = vitreous.write_volume(folder / "a.mrc", vitreous.Volume(blobs, (10.0, 10.0, 10.0)))
    hidden = folder / "hidden.mrc"
    hidden.write_bytes(file.read_bytes())
    hidden.chmod(0)
    os.seteuid(65534)
    for words in (
        [file, "-o", folder / "out.mrc"],
        [file, file, "-o", folder / "out"],
        [file, "-o", folder / "new" / "out"],
        [hidden, "-o", "/tmp/out-of-hidden.mrc"],
    ):
        code, out, err = run("denoise", *words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1, err
    assert sorted(p.name for p in folder.iterdir()) == ["a.mrc", "hidden.mrc"]


def test_odd_paths(run, blobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("with space.mrc", "ünï.mrc", "-dash.mrc", "new\nline.mrc", "a.b.c.mrc"):
        vitreous.write_volume(tmp_path / name, vitreous.Volume(blobs, (10.0, 10.0, 10.0)))
        code, _out, err = run("denoise", "-o", f"out/{name}", "--method", "gaussian", "--", name)
        assert code == 0, err
        assert (tmp_path / "out" / name).exists()
    (tmp_path / "link.mrc").symlink_to("ünï.mrc")
    check_refused(run, tmp_path, "denoise", "link.mrc", "-o", "ünï.mrc", "--overwrite")
    (tmp_path / "dangling.mrc").symlink_to("nowhere")
    check_refused(run, tmp_path, "denoise", "dangling.mrc", "-o", "x.mrc")
    assert run("denoise", "link.mrc", "-o", "linked.mrc", "--method", "gaussian")[0] == 0


def test_a_name_that_is_no_unicode(tomogram, tmp_path):
    """A name in another encoding, as old file systems have it."""
    folder = os.fsencode(tmp_path)
    os.rename(os.fsencode(tomogram), folder + b"/t\xe9.mrc")
    words = [b"denoise", folder + b"/t\xe9.mrc", b"-o", folder + b"/o\xe9.mrc", b"--method", b"gaussian"]
    done = subprocess.run(
        [sys.executable, "-m", "vitreous.cli.main", *words], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert os.path.exists(folder + b"/o\xe9.mrc")
