"""`vitreous reconstruct` as a hostile new user meets it."""

import json

import mrcfile
import numpy as np
import pytest

import vitreous
from vitreous.core import FileHeader

ANGLES = (-40.0, -20.0, 0.0, 20.0, 40.0)
SHAPE = (5, 20, 24)


@pytest.fixture
def series(tmp_path):
    """A tilt series of noise, and the words that reconstruct it."""
    images = np.random.default_rng(0).normal(100, 10, size=SHAPE).astype(np.float32)
    stack = vitreous.Volume(images, (8.0, 8.0, 8.0), FileHeader(space_group=0))
    vitreous.write_volume(tmp_path / "a.mrc", stack)
    (tmp_path / "a.tlt").write_text("\n".join(map(str, ANGLES)) + "\n")
    return ["reconstruct", tmp_path / "a.mrc", "--tilts", tmp_path / "a.tlt", "-o", tmp_path / "out.mrc"]


def listing(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def check_refused(run, folder, *words):
    before = listing(folder)
    code, out, err = run(*words)
    assert (code, out) == (2, ""), err
    assert err.startswith("vitreous: ")
    assert err.count("\n") == 1
    assert listing(folder) == before
    return err


def test_help_shows_every_option(run):
    code, out, err = run("reconstruct", "--help")
    assert (code, err) == (0, "")
    for option in ("--tilts", "--even-odd", "--method", "--thickness", "--invert", "--voxel-size", "--json"):
        assert option in out


def test_json_is_one_object_and_the_rest_goes_to_stderr(run, series, tmp_path):
    code, out, err = run(*series, "--even-odd", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["output"] == str(tmp_path / "out.mrc")
    assert facts["images"] == 5
    assert facts["size_zyx"] == [12, 20, 24]
    for name in ("output", "even", "odd"):
        volume = vitreous.open_volume(facts[name])
        assert volume.shape == (12, 20, 24)
        assert volume.voxel_spacing_angstrom == pytest.approx((8.0, 8.0, 8.0))
    assert "GB of memory" in err
    assert "back-projection: 1/1" in err
    code, _, err = run(*series, "--overwrite", "-q")
    assert (code, err) == (0, "")


def test_existing_outputs_are_kept_unless_overwritten(run, series, tmp_path):
    (tmp_path / "out_odd.mrc").write_text("precious")
    assert "exists" in check_refused(run, tmp_path, *series, "--even-odd")
    assert run(*series)[0] == 0
    check_refused(run, tmp_path, *series)
    assert run(*series, "--even-odd", "--overwrite")[0] == 0
    assert vitreous.open_volume(tmp_path / "out_odd.mrc").shape == (12, 20, 24)


def test_mdoc_angles_and_sirt(run, series, tmp_path):
    sections = [f"[ZValue = {n}]\nTiltAngle = {a}\n" for n, a in enumerate(ANGLES)]
    (tmp_path / "a.mdoc").write_text("\n".join(sections))
    code, out, _ = run(
        *series[:3], tmp_path / "a.mdoc", *series[4:], "--method", "sirt", "--iterations", "3", "--json"
    )
    assert code == 0
    residuals = json.loads(out)["residuals"]
    assert len(residuals) == 4
    assert residuals == sorted(residuals, reverse=True)


def test_a_stack_whose_header_has_no_third_length(run, series, tmp_path):
    """As some programs write stacks: mz is 1 and the cell is flat."""
    with mrcfile.open(tmp_path / "a.mrc", mode="r+") as file:
        file.header.mz = 1
        file.header.cella.z = 0
    assert run(*series)[0] == 0
    assert vitreous.open_volume(tmp_path / "out.mrc").voxel_spacing_angstrom == pytest.approx((8.0, 8.0, 8.0))


def test_pixel_spacing_zero_is_refused_and_one_warns(run, series, tmp_path):
    with mrcfile.open(tmp_path / "a.mrc", mode="r+") as file:
        file.header.cella = (0, 0, 0)
    assert "--voxel-size" in check_refused(run, tmp_path, *series)
    code, _, err = run(*series, "--voxel-size", "1")
    assert code == 0
    assert "exactly 1 Å" in err
    assert run(*series, "--voxel-size", "5.5", "--overwrite")[0] == 0
    assert vitreous.open_volume(tmp_path / "out.mrc").voxel_spacing_angstrom == pytest.approx((5.5, 5.5, 5.5))
    with mrcfile.open(tmp_path / "a.mrc", mode="r+") as file:
        file.header.cella = (8 * 24, 9 * 20, 40)
    assert "not square" in check_refused(run, tmp_path, *series, "--overwrite")


def rewritten(folder, images):
    vitreous.write_volume(folder / "a.mrc", vitreous.Volume(images, (8.0, 8.0, 8.0)), overwrite=True)


def test_unusable_images(run, series, tmp_path):
    images = np.array(vitreous.open_volume(tmp_path / "a.mrc").data)
    for bad in (np.nan, 7.0):
        broken = images.copy()
        broken[2] = bad
        rewritten(tmp_path, broken)
        assert "image 3" in check_refused(run, tmp_path, *series)
    rewritten(tmp_path, images[:1])
    check_refused(run, tmp_path, *series)
    (tmp_path / "a.mrc").write_bytes(b"this is no stack\n" * 300)
    check_refused(run, tmp_path, *series)
    (tmp_path / "a.mrc").unlink()
    assert "no such file" in check_refused(run, tmp_path, *series)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-20\n0\n20\n", "3 tilt angles"),
        ("-20\n0\n20\n40\n60\n80\n", "6 tilt angles"),
        ("0\n0\n0\n0\n0\n", "too few"),
        ("a\nb\n", "line 1"),
        ("", "no tilt angles"),
    ],
)
def test_angles_that_do_not_belong_to_the_images(run, series, tmp_path, text, words):
    (tmp_path / "a.tlt").write_text(text)
    err = check_refused(run, tmp_path, *series)
    assert "a.tlt" in err
    assert words in err


def test_unusable_arguments(run, series, tmp_path):
    elsewhere = [*series[:5]]
    for words in (
        [*series, "--method", "magic"],
        [*series, "--thickness", "thick"],
        [*series, "--thickness", "0"],
        [*series, "--voxel-size", "0"],
        [*series, "--voxel-size", "nan"],
        [*series, "--max-memory", "1MB"],
        [*series, "--low-pass", "0"],
        [*series, "--method", "sirt", "--hamming"],
        [*elsewhere, tmp_path / "out.tif"],
        [*elsewhere, tmp_path / "a.mrc", "--overwrite"],
        [*elsewhere, tmp_path / "a.tlt" / "out.mrc"],
        [*elsewhere, tmp_path],
    ):
        check_refused(run, tmp_path, *words)


def test_interrupted(run, series, tmp_path, monkeypatch):
    from vitreous.cli.console import ConsoleProgress

    before = listing(tmp_path)
    monkeypatch.setattr(ConsoleProgress, "should_stop", lambda self: True)
    code, out, err = run(*series, "--even-odd")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "vitreous: interrupted"
    assert listing(tmp_path) == before
