"""Several tomograms into a folder."""

import json
import os
import signal
import time

import numpy as np
import pytest

import vitreous


@pytest.fixture
def three(tmp_path, blobs):
    paths = []
    for index, name in enumerate("abc"):
        noise = np.random.default_rng(index).normal(size=blobs.shape).astype(np.float32)
        volume = vitreous.Volume(blobs + noise, (10.0, 10.0, 10.0))
        paths.append(vitreous.write_volume(tmp_path / f"{name}.mrc", volume))
    return paths


def stamps(folder):
    return {p.name: p.stat().st_mtime_ns for p in folder.glob("*.mrc")}


def is_done(folder, name):
    record = folder / f"{name.removesuffix('.mrc')}.run" / "run.json"
    return json.loads(record.read_text(encoding="utf-8"))["status"] == "done"


def test_the_finished_are_not_redone_and_overwrite_redoes_them(run, three, tmp_path):
    out = tmp_path / "out"
    words = ["denoise", *three, "-o", out, "--steps", "3", "--json"]
    code, text, _ = run(*words)
    assert code == 0
    assert [os.path.basename(f["output"]) for f in json.loads(text)["files"]] == ["a.mrc", "b.mrc", "c.mrc"]
    before, contents = stamps(out), {p.name: p.read_bytes() for p in out.glob("*.mrc")}
    assert len(set(contents.values())) == 3
    assert run(*words)[0] == 0
    assert run("resume", out)[0] == 0
    assert stamps(out) == before
    (out / "b.mrc").unlink()
    assert run(*words)[0] == 0
    assert {n: s for n, s in stamps(out).items() if n != "b.mrc"} == {
        n: s for n, s in before.items() if n != "b.mrc"
    }
    assert run(*words, "--seed", "1")[0] == 2
    assert run(*words, "--overwrite")[0] == 0
    assert all(stamps(out)[n] > before[n] for n in before)
    assert {p.name: p.read_bytes() for p in out.glob("*.mrc")} == contents


@pytest.mark.parametrize("shared", [[], ["--shared-model"]])
def test_files_can_be_added_unless_a_model_is_shared(run, three, tmp_path, shared):
    out = tmp_path / "out"
    words = ["-o", out, "--method", "gaussian"] if not shared else ["-o", out, "--steps", "3", *shared]
    assert run("denoise", *three[:2], *words)[0] == 0
    before = stamps(out)
    code, _, err = run("denoise", *three, *words)
    assert code == (2 if shared else 0)
    assert ("holds another run" in err) == bool(shared)
    assert {name: stamp for name, stamp in stamps(out).items() if name in before} == before
    assert (out / "c.mrc").exists() != bool(shared)
    assert run("denoise", three[2], three[0], *words)[0] == code


@pytest.mark.parametrize("shared", [[], ["--shared-model"]])
def test_a_bad_file_does_not_stop_the_others(run, three, tmp_path, shared):
    three[1].write_bytes(b"")
    code, _out, err = run("denoise", *three, "-o", tmp_path / "out", "--steps", "3", *shared)
    assert code == 2
    assert "1 of 3 files could not be denoised" in err.splitlines()[-1]
    assert "b.mrc" in err.splitlines()[-1]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.mrc")) == ["a.mrc", "c.mrc"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["failed"]


def test_a_damaged_run_directory_does_not_stop_the_others(run, three, tmp_path):
    (tmp_path / "out" / "a.run").mkdir(parents=True)
    (tmp_path / "out" / "a.run" / "run.json").write_text("{")
    code, _, err = run("denoise", *three, "-o", tmp_path / "out", "--method", "gaussian")
    assert code == 2
    assert "1 of 3" in err
    assert sorted(p.name for p in (tmp_path / "out").glob("*.mrc")) == ["b.mrc", "c.mrc"]


def test_colliding_names_are_refused(run, three, tmp_path):
    (tmp_path / "sub").mkdir()
    twin = tmp_path / "sub" / "a.rec"
    twin.write_bytes(three[0].read_bytes())
    for pair in ((three[0], twin), (three[0], three[0])):
        code, _, err = run("denoise", *pair, "-o", tmp_path / "out")
        assert code == 2
        assert "two inputs" in err
    assert not (tmp_path / "out").exists()


def test_into_the_folder_of_the_inputs_is_refused(run, three, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("denoise", three[0], "-o", ".", "--method", "gaussian")[0] == 2
    before = [p.read_bytes() for p in three]
    assert run("denoise", *three, "-o", tmp_path, "--method", "gaussian", "--overwrite")[0] == 2
    assert [p.read_bytes() for p in three] == before


def test_a_shared_model_is_trained_once_and_applied_to_all(run, three, tmp_path):
    words = ["denoise", *three, "-o", tmp_path / "out", "--shared-model", "--steps", "3"]
    code, _, err = run(*words)
    assert code == 0
    assert err.count("training one noise-model model on 3 tomograms") == 1
    model = tmp_path / "out" / "shared-model"
    trained = (model / "model.safetensors").stat().st_mtime_ns
    before = stamps(tmp_path / "out")
    assert run(*words)[0] == 0
    assert (model / "model.safetensors").stat().st_mtime_ns == trained
    assert stamps(tmp_path / "out") == before
    assert run("denoise", three[0], "-o", tmp_path / "alone.mrc", "--model", model)[0] == 0
    alone, together = (
        vitreous.open_volume(p).data for p in (tmp_path / "alone.mrc", tmp_path / "out" / "a.mrc")
    )
    np.testing.assert_array_equal(alone, together)
    weights = (model / "model.safetensors").read_bytes()
    assert run(*words, "--seed", "5", "--overwrite")[0] == 0
    assert (model / "model.safetensors").read_bytes() != weights


@pytest.mark.parametrize(
    ("shared", "end"),
    [
        ([], signal.SIGKILL),
        (["--shared-model"], signal.SIGTERM),
        pytest.param([], signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(["--shared-model"], signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_batch_goes_on(run, spawn, three, tmp_path, shared, end):
    options = ["--steps", "20", *shared]
    assert run("denoise", *three, "-o", tmp_path / "whole", *options)[0] == 0
    out = tmp_path / "out"
    process = spawn("denoise", *three, "-o", out, *options)
    waited = out / "shared-model" / "checkpoints" if shared else out / "b.run" / "checkpoints"
    limit = time.monotonic() + 60
    while not any(waited.glob("step_*")) and process.is_alive() and time.monotonic() < limit:
        time.sleep(0.005)
    os.kill(process.pid, end)
    process.join()
    assert process.exitcode == (130 if end == signal.SIGTERM else -end)
    if end == signal.SIGTERM:
        assert f"vitreous resume {out}" in (process.log / "stderr").read_text()
    before = {name: stamp for name, stamp in stamps(out).items() if is_done(out, name)}
    assert shared or before  # a volume that was written, but not yet noted as done, is denoised again
    assert run("resume", out)[0] == 0
    assert all(stamps(out)[name] == stamp for name, stamp in before.items())
    for name in "abc":
        assert (out / f"{name}.mrc").read_bytes() == (tmp_path / "whole" / f"{name}.mrc").read_bytes()


def test_a_stopped_overwriting_batch_goes_on_overwriting(run, spawn, three, tmp_path):
    out = tmp_path / "out"
    assert run("denoise", *three, "-o", out, "--method", "gaussian")[0] == 0
    process = spawn("denoise", *three, "-o", out, "--overwrite", "--steps", "20")
    while not (any((out / "b.run").glob("step_*")) or not process.is_alive()):
        time.sleep(0.005)
    process.kill()
    process.join()
    assert run("resume", out)[0] == 0
    for name in "abc":
        assert "noise-model" in vitreous.open_volume(out / f"{name}.mrc").header.labels[-1]
