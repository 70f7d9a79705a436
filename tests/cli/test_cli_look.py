"""Help, inspect, evaluate and report."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

import vitreous

COMMANDS = [
    "denoise",
    "demo",
    "resume",
    "inspect",
    "evaluate",
    "evaluate denoise",
    "evaluate fsc",
    "evaluate pick",
    "pick",
    "report",
    "benchmark",
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(run, command):
    code, out, err = run(*command.split(), "--help")
    assert code == 0
    assert "Usage" in out
    assert err == ""


def test_help_does_not_import_torch():
    code = (
        "import sys; sys.argv = ['vitreous', '--help']\n"
        "from vitreous.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy or code else 0)"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 5


def test_version(run):
    assert run("--version")[1].strip() == f"vitreous {vitreous.__version__}"


def test_inspect(run, tomogram):
    code, out, _ = run("inspect", tomogram, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["size_zyx"] == [12, 20, 17]
    assert facts["voxel_spacing_angstrom"] == [10.0, 10.0, 10.0]
    assert facts["non_finite_voxels"] == 0
    code, out, _ = run("inspect", tomogram, tomogram)
    assert code == 0
    assert out.count("size_zyx") == 2


def test_inspect_writes_a_report_once(run, tomogram, tmp_path):
    words = ("inspect", tomogram, "-o", tmp_path / "out", "-q")
    code, out, _ = run(*words)
    assert code == 0
    assert "report.html" in out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Missing wedge" in page
    assert strict((tmp_path / "out" / "inspect.json").read_text())["size_zyx"] == [12, 20, 17]
    assert run(*words)[0] == 2
    assert run(*words, "--overwrite")[0] == 0
    assert run("inspect", tomogram, "-o", tomogram)[0] == 2


def strict(text):
    """JSON without NaN and Infinity, which are no JSON."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_inspect_judges_the_others_when_one_cannot_be_read(run, tomogram, tmp_path):
    cut = tmp_path / "cut.mrc"
    cut.write_bytes(tomogram.read_bytes()[:2000])
    code, out, err = run("inspect", cut, tomogram, "-o", tmp_path / "out", "--json")
    assert code == 2  # what could be read is judged, and scripts can tell
    assert "1 of 2 files could not be read" in err.splitlines()[-1]
    first, second = json.loads(out)["files"]
    assert "truncated" in first["doubts"][0]
    assert second["size_zyx"] == [12, 20, 17]
    assert "truncated" in (tmp_path / "out" / "report.html").read_text()
    code, _, err = run("inspect", cut, cut)
    assert (code, err.count("\n")) == (2, 1)


def test_inspect_judges_damaged_headers(run, tomogram):
    content = bytearray(tomogram.read_bytes())
    content[40:52] = bytes(12)
    tomogram.write_bytes(content)
    code, out, _ = run("inspect", tomogram, "--json")
    facts = strict(out)
    assert code == 0
    assert facts["voxel_spacing_angstrom"] is None
    assert any("spacing" in doubt for doubt in facts["doubts"])
    content[1024:] = np.full(12 * 20 * 17, np.nan, "<f4").tobytes()
    tomogram.write_bytes(content)
    code, out, _ = run("inspect", tomogram, "--json")
    assert code == 0
    assert any("finite" in doubt for doubt in strict(out)["doubts"])


@pytest.mark.parametrize("content", [b"", b"text" * 1000])
def test_commands_refuse_junk_in_one_line(run, tomogram, tmp_path, content):
    junk = tmp_path / "junk.mrc"
    junk.write_bytes(content)
    for words in (
        ["inspect", junk],
        ["inspect", tmp_path / "missing.mrc"],
        ["evaluate", "denoise", junk, tomogram],
        ["evaluate", "denoise", tomogram, junk],
        ["evaluate", "fsc", tomogram, junk],
        ["report", tmp_path],
        ["report", junk],
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert err.startswith("vitreous: ")
        assert err.count("\n") == 1


def test_evaluate(run, tomogram, tmp_path, blobs):
    noise = np.random.default_rng(5).normal(size=blobs.shape).astype(np.float32)
    noisy = vitreous.write_volume(tmp_path / "noisy.mrc", vitreous.Volume(blobs + noise, (10.0, 10.0, 10.0)))
    code, out, _ = run("evaluate", "denoise", noisy, tomogram, "--noisy", noisy, "--json")
    facts = strict(out)
    assert code == 0
    assert facts["delta_psnr"] == 0
    expected = 10 * np.log10(np.ptp(blobs) ** 2 / np.square(noise).mean())
    assert facts["psnr"] == pytest.approx(expected, abs=1e-3)
    code, out, _ = run("evaluate", "denoise", tomogram, tomogram, "--json")
    assert code == 0
    assert strict(out)["cc"] == pytest.approx(1)
    code, out, _ = run("evaluate", "fsc", tomogram, tomogram, "--json")
    assert code == 0
    assert strict(out)["fsc"] == pytest.approx([1] * len(strict(out)["fsc"]), abs=1e-6)


def test_evaluate_refuses_other_sizes_and_constant_volumes(run, tomogram, tmp_path, blobs):
    other = vitreous.write_volume(tmp_path / "o.mrc", vitreous.Volume(blobs[1:], (10.0, 10.0, 10.0)))
    assert run("evaluate", "denoise", tomogram, other)[0] == 2
    flat = vitreous.write_volume(tmp_path / "f.mrc", vitreous.Volume(0 * blobs, (10.0, 10.0, 10.0)))
    for pair in ((tomogram, flat), (flat, tomogram), (flat, flat)):
        for kind in ("denoise", "fsc"):
            code, out, err = run("evaluate", kind, *pair, "--json")
            assert (code, out) == (2, "")
            assert err.count("\n") == 1


def test_evaluate_refuses_other_voxels_small_volumes_and_no_thresholds(run, tomogram, tmp_path, blobs):
    coarse = vitreous.write_volume(tmp_path / "c.mrc", vitreous.Volume(blobs, (20.0, 20.0, 20.0)))
    for kind in ("denoise", "fsc"):
        code, out, err = run("evaluate", kind, tomogram, coarse)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "c.mrc: has voxels of 20 Å" in err
    tiny = vitreous.write_volume(
        tmp_path / "t.mrc", vitreous.Volume(blobs[4:8, 4:8, 4:8], (10.0, 10.0, 10.0))
    )
    assert "every side needs 7" in run("evaluate", "denoise", tiny, tiny)[2]
    for text in ("nan", "2", "-1"):
        assert "--threshold" in run("evaluate", "fsc", tomogram, tomogram, "--threshold", text)[2]


@pytest.mark.parametrize("table", ["filter-speed", "memory", "blindspot-speed", "microtubule"])
def test_a_table_without_rows_to_choose_says_so(run, tmp_path, table):
    code, _, err = run("benchmark", table, "-o", tmp_path / "out", "--row", "x")
    assert (code, err.count("\n")) == (2, 1)
    assert "leave out --row" in err
    code, _, err = run("benchmark", table, "-o", __file__)
    assert (code, "is no folder" in err) == (2, True)


def test_report_is_written_again(run, tomogram, tmp_path):
    assert run("denoise", tomogram, "-o", tmp_path / "out.mrc", "--steps", "2")[0] == 0
    report = tmp_path / "out.run" / "report.html"
    before = report.read_bytes()
    report.unlink()
    code, out, _ = run("report", tmp_path / "out.run")
    assert code == 0
    assert str(report) in out
    assert report.read_bytes() == before
    check_picture_is_kept(run, tmp_path)
    (tmp_path / "out.run" / "evidence.npz").write_bytes(b"junk")
    code, _, err = run("report", tmp_path / "out.run")
    assert code == 2
    assert err.count("\n") == 1


def check_picture_is_kept(run, folder):
    words = ("report", folder / "out.run", "--picture")
    picture, denoised = folder / "slices.png", folder / "out.mrc"
    picture.write_text("precious")
    before = denoised.read_bytes()
    for path, more, why in ((picture, (), "add --overwrite"), (denoised, ("--overwrite",), ".png")):
        code, _, err = run(*words, path, *more)
        assert code == 2
        assert why in err
    assert (picture.read_text(), denoised.read_bytes()) == ("precious", before)
    assert run(*words, picture, "--overwrite")[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
