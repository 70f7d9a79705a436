"""A stopped run goes on only with the very files it began with, and removes what its killed process left."""

import json
import os

import numpy as np
import pytest
from small_fixtures import wait_for

import vitreous
from vitreous.io.drafts import draft_of


@pytest.fixture
def others(tmp_path, blobs):
    """Files that a run may depend on beside its input."""
    rng = np.random.default_rng(0)
    for name in ("even", "odd", "mask", "truth"):
        data = blobs + rng.normal(size=blobs.shape).astype(np.float32)
        vitreous.write_volume(tmp_path / f"{name}.mrc", vitreous.Volume(data, (10.0, 10.0, 10.0)))
    (tmp_path / "own.toml").write_text("steps = 5000\n")
    return tmp_path


def flip_last_byte(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def killed(spawn, folder, *words):
    """Start a long run, and kill it once it has a checkpoint."""
    process = spawn("denoise", folder / "tomogram.mrc", "-o", folder / "out.mrc", *words)
    wait_for(lambda: any((folder / "out.run" / "checkpoints").glob("step_*")), process)
    process.kill()
    process.join()
    assert (folder / "out.run" / "run.json").exists(), (process.log / "stderr").read_text()
    return process


@pytest.mark.parametrize(
    ("names", "changed"),
    [
        (["--even", "even.mrc", "--odd", "odd.mrc"], "odd.mrc"),
        (["--mask", "mask.mrc", "--steps", "5000"], "mask.mrc"),
        (["--reference", "truth.mrc", "--steps", "5000"], "truth.mrc"),
        (["--config", "own.toml"], "own.toml"),
    ],
)
def test_resume_names_the_file_that_changed(spawn, run, tomogram, others, names, changed):
    words = [str(others / name) if "." in name else name for name in names]
    killed(spawn, others, *words, *([] if "5000" in words or "--config" in words else ["--steps", "5000"]))
    recorded = json.loads((others / "out.run" / "run.json").read_text())["inputs_sha256"]
    assert {str(tomogram), str(others / changed)} <= set(recorded)
    flip_last_byte(others / changed)
    code, out, err = run("resume", others / "out.run")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith(f"vitreous: {others / changed}: changed since")
    (others / changed).unlink()
    assert run("resume", others / "out.run")[0] == 2


def test_halves_that_appear_later_are_not_taken(spawn, run, tomogram, others):
    killed(spawn, others, "--steps", "5000")
    for name, half in (("even", "EVN"), ("odd", "ODD")):
        (others / f"{name}.mrc").rename(others / f"tomogram_{half}.mrc")
    code, _, err = run("resume", others / "out.run")
    assert code == 2
    assert "tomogram_EVN.mrc: changed since" in err


def test_a_model_that_changed_is_refused(run, tomogram, tmp_path):
    assert run("denoise", tomogram, "-o", tmp_path / "a.mrc")[0] == 0
    assert run("denoise", tomogram, "-o", tmp_path / "b.mrc", "--model", tmp_path / "a.run")[0] == 0
    facts = json.loads((tmp_path / "b.run" / "run.json").read_text())
    (tmp_path / "b.run" / "run.json").write_text(json.dumps({**facts, "status": "running"}))
    model = tmp_path / "a.run" / "model.json"
    model.write_text(model.read_text() + "\n")
    code, _, err = run("resume", tmp_path / "b.run")
    assert code == 2
    assert f"{model}: changed since" in err


def test_a_shared_model_goes_on_only_with_its_files(spawn, run, tomogram, tmp_path):
    out = tmp_path / "out"
    process = spawn("denoise", tomogram, "-o", out, "--shared-model", "--steps", "5000")
    wait_for(lambda: any((out / "shared-model" / "checkpoints").glob("step_*")), process)
    process.kill()
    process.join()
    flip_last_byte(tomogram)
    code, _, err = run("resume", out)
    assert code == 2
    assert f"{tomogram}: changed since" in err.splitlines()[-1]


def test_what_a_killed_process_was_writing_goes(spawn, run, tomogram, tmp_path, monkeypatch):
    process = killed(spawn, tmp_path, "--steps", "200")
    for target in (tmp_path / "out.mrc", tmp_path / "out.run" / "run.json"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: process.pid)
            draft_of(target).write_bytes(b"part")
    assert run("resume", tmp_path / "out.run")[0] == 0
    assert not list(tmp_path.rglob(".vitreous-*"))
