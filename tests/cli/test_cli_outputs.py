"""Where results go: file or folder; and a disk that fills up."""

import errno
import json
import os

import numpy as np
import pytest

import vitreous
from vitreous.io import atomic
from vitreous.report import DenoiseEvidence

GAUSSIAN = ("--method", "gaussian")


@pytest.fixture
def two(tomogram):
    other = tomogram.with_name("other.mrc")
    other.write_bytes(tomogram.read_bytes())
    return tomogram, other


@pytest.mark.parametrize(
    ("output", "made"),
    [
        ("a.mrc", "a.mrc"),
        ("new/a.mrc", "new/a.mrc"),
        ("a.rec", "a.rec"),
        ("a.zarr", "a.zarr"),
        ("there", "there/tomogram.mrc"),
        ("there/", "there/tomogram.mrc"),
        ("there.v2", "there.v2/tomogram.mrc"),
        ("there.mrc", "there.mrc/tomogram.mrc"),
        ("new", "new/tomogram.mrc"),
        ("new/", "new/tomogram.mrc"),
    ],
)
def test_one_tomogram(run, tomogram, tmp_path, output, made):
    for name in ("there", "there.v2", "there.mrc"):
        (tmp_path / name).mkdir()
    code, _, err = run("denoise", tomogram, "-o", f"{tmp_path}/{output}", *GAUSSIAN)
    assert code == 0, err
    assert (tmp_path / made).exists()


@pytest.mark.parametrize("output", ["there", "new", "new.v2"])
def test_several_go_into_a_folder(run, two, tmp_path, output):
    (tmp_path / "there").mkdir()
    assert run("denoise", *two, "-o", tmp_path / output, *GAUSSIAN)[0] == 0
    assert sorted(p.name for p in (tmp_path / output).glob("*.mrc")) == ["other.mrc", "tomogram.mrc"]


@pytest.mark.parametrize("output", ["new.mrc", "new.REC", "new.zarr", "plain"])
@pytest.mark.parametrize("words", [[], ["--shared-model"]])
def test_several_do_not_fit_into_a_file(run, two, tmp_path, output, words):
    (tmp_path / "plain").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    files = two[:1] if words else two
    code, out, err = run("denoise", *files, "-o", tmp_path / output, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "do not fit into one file" in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("option", ["--even", "--odd", "--reference", "--run-dir"])
def test_what_belongs_to_one_tomogram(run, two, tmp_path, option):
    code, _, err = run("denoise", *two, "-o", tmp_path / "out", option, two[0])
    assert code == 2
    assert f"{option} belongs to a single tomogram" in err


def test_a_reference_adds_scores(run, tomogram, tmp_path, blobs):
    truth = vitreous.write_volume(tmp_path / "truth.mrc", vitreous.Volume(blobs + 1, (10.0, 10.0, 10.0)))
    words = ["denoise", tomogram, "-o", tmp_path / "out.mrc", *GAUSSIAN, "--reference", truth]
    code, out, _ = run(*words, "--json")
    assert code == 0
    assert set(json.loads(out)["scores"]) == {"noisy", "denoised"}
    assert DenoiseEvidence.load(tmp_path / "out.run").reference is not None
    for name, data in {
        "flat": 0 * blobs,
        "small": blobs[1:],
        "nan": np.where(blobs > 6, np.nan, blobs),
    }.items():
        other = vitreous.write_volume(tmp_path / f"{name}.mrc", vitreous.Volume(data, (10.0, 10.0, 10.0)))
        code, out, err = run(*words[:3], tmp_path / "b.mrc", *GAUSSIAN, "--reference", other)
        assert (code, out, err.count("\n")) == (2, "", 1), err


@pytest.mark.parametrize("asked", [["gaussian"], ["noise-model", "--steps", "2"]], ids=lambda a: a[0])
def test_a_disk_that_is_full_at_any_write_is_one_line(run, tomogram, tmp_path, monkeypatch, asked):
    """The n-th output that is flushed to the disk does not fit, for every n."""
    content = tomogram.read_bytes()
    flush = atomic._flush_to_disk
    for fatal in range(20):
        left = iter(range(20))

        def full(file, left=left, fatal=fatal):
            if next(left) == fatal:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            flush(file)

        monkeypatch.setattr(atomic, "_flush_to_disk", full)
        out = tmp_path / f"{fatal}.mrc"
        words = ["denoise", tomogram, "-o", out, "--method", *asked]
        code, _, err = run(*words, "-q")
        if code == 0:
            break
        assert code == 2
        assert err.splitlines()[-1].startswith("vitreous: ")
        assert "the disk is full" in err
        assert "Traceback" not in err
        assert not list(tmp_path.rglob(".vitreous-*"))
        assert tomogram.read_bytes() == content
        monkeypatch.setattr(atomic, "_flush_to_disk", flush)
        begun = (tmp_path / f"{fatal}.run" / "run.json").exists()
        again = ["resume", tmp_path / f"{fatal}.run"] if begun else words
        assert run(*again)[0] == 0
    assert fatal == 6  # run.json, volume, evidence twice, report, run.json


def test_a_checkpoint_or_model_that_does_not_fit_is_an_input_error(tomogram, tmp_path, small, monkeypatch):
    from vitreous.core import InputError, SilentProgress
    from vitreous.training import checkpoint
    from vitreous.workflows.denoise_files import DenoiseRequest, denoise_file

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    request = DenoiseRequest(tomogram, tmp_path / "out.mrc", tmp_path / "out.run")
    for name in ("_save_tensors", "_write_text"):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, name, full)
            with pytest.raises(InputError, match="the disk is full"):
                denoise_file(request, SilentProgress())
    denoise_file(request, SilentProgress())
    with pytest.raises(InputError, match="output exists"):
        denoise_file(request, SilentProgress())
