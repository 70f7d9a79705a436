"""`vitreous adapt`, `segment`, `evaluate segment` and `resume` as commands."""

import json

import numpy as np
import pytest

from vitreous import Volume, write_volume

SET = (
    "phantom:ldh",
    "--side",
    16,
    "--voxel-size",
    20,
    "--count",
    4,
    "--snr",
    0.5,
    "--no-ctf",
    "--neighbours",
    0,
)


@pytest.fixture
def files(run, tmp_path):
    for name, seed in (("source", 0), ("target", 1)):
        words = (*SET, "--tilt-step", 15, "--seed", seed, "-o", tmp_path / name)
        code, _, err = run("simulate", "subtomograms", *words)
        assert code == 0, err
    (tmp_path / "config.toml").write_text("width = 2\nbatch = 2\n")
    return tmp_path


def words_of(files, *more):
    domains = ("--source", files / "source", "--target", files / "target")
    return ("adapt", *domains, "--config", files / "config.toml", "--steps", 4, "-o", files / "model", *more)


def test_adapt_segment_and_evaluate(run, files):
    code, out, err = run(*words_of(files, "--json"))
    assert code == 0, err
    facts = json.loads(out)
    assert facts["steps"] == 4
    assert "segmentation" in facts["figures"]
    assert "learns" not in err
    labels = files / "labels.zarr"
    code, out, err = run("segment", files / "target", "--model", files / "model", "-o", labels, "--json")
    assert code == 0, err
    assert json.loads(out)["subtomograms"] == 4
    code, out, err = run("evaluate", "segment", labels, files / "target", "--json")
    assert code == 0, err
    scores = json.loads(out)
    assert 0 <= scores["iou"] <= scores["dice"] <= 1
    assert scores["kinds"]["phantom:ldh"]["count"] == 4
    code, _, err = run("resume", files / "model")
    assert code == 2
    assert "already done" in err


def test_a_tomogram_that_does_not_fit_is_one_line(run, files):
    assert run(*words_of(files, "--method", "source-only"))[0] == 0
    tomogram = files / "t.mrc"
    write_volume(tomogram, Volume(np.random.default_rng(0).normal(size=(20, 24, 24)), 10.0))
    words = ("segment", tomogram, "--model", files / "model", "-o", files / "l.mrc")
    code, _, err = run(*words)
    assert code == 2
    assert "trained on 20 Å; add --fit resample" in err
    assert len(err.strip().splitlines()) == 1
    code, out, err = run(*words, "--fit", "resample", "--probabilities")
    assert code == 0, err
    assert (files / "l_particle.mrc").exists()
    assert "particle: " in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "magic"), "--method magic is unknown"),
        (("--fit", "squeeze"), "--fit squeeze is unknown"),
        (("--denoiser", "magic"), "denoiser"),
        (("--voxel-size", "0"), "--voxel-size"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, files, words, message):
    code, _, err = run(*words_of(files, *words))
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (files / "model").exists()
