"""Whatever happens to a run, resuming it ends with the bytes of an undisturbed one."""

import json
import os
import random
import signal
import time

import numpy as np
import pytest
from small_fixtures import wait_for

import vitreous

METHODS = ("noise-model", "blindspot")


@pytest.fixture
def words(tomogram, tmp_path):
    def make(name, *more):
        return ["denoise", tomogram, "-o", tmp_path / f"{name}.mrc", "--device", "cpu", *more]

    return make


@pytest.fixture
def halves(tmp_path, blobs):
    """Options that name two halves of the tomogram."""
    rng = np.random.default_rng(1)
    words = []
    for name in ("even", "odd"):
        data = blobs + rng.normal(size=blobs.shape).astype(np.float32)
        volume = vitreous.Volume(data, (10.0, 10.0, 10.0))
        words += [f"--{name}", vitreous.write_volume(tmp_path / "halves" / f"{name}.mrc", volume)]
    return words


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("sc-net", "dncnn")]


@pytest.mark.parametrize("method", [*METHODS, "n2n", "nmsg", *SLOW])
def test_killed_at_random_moments(spawn, words, halves, tmp_path, method):
    options = ("--method", method, "--steps", "24", *(halves if method == "n2n" else ()))
    whole = spawn(*words("whole", *options))
    begun = time.monotonic()
    whole.join()
    duration = time.monotonic() - begun
    assert whole.exitcode == 0, (whole.log / "stderr").read_text()
    moments = random.Random(method)
    process = spawn(*words("killed", *options))
    killed = 0
    for _ in range(4):
        time.sleep(moments.uniform(0.02, 0.8) * duration)
        if not process.is_alive():
            break
        process.kill()
        process.join()
        killed += 1
        run_json = tmp_path / "killed.run" / "run.json"
        again = ["resume", tmp_path / "killed.run"] if run_json.exists() else words("killed", *options)
        if run_json.exists() and json.loads(run_json.read_text())["status"] == "done":
            break
        process = spawn(*again)
    process.join()
    assert killed > 0
    assert (tmp_path / "killed.mrc").read_bytes() == (tmp_path / "whole.mrc").read_bytes()
    weights = [(tmp_path / f"{n}.run" / "model.safetensors").read_bytes() for n in ("killed", "whole")]
    assert weights[0] == weights[1]


def test_killed_around_every_rename(spawn, words, tmp_path):
    """Every file becomes visible by a rename: a kill just before and just after each is survived."""
    whole = spawn(*words("whole", "--steps", "2"))
    whole.join()
    assert whole.exitcode == 0
    process = spawn(*words("killed", "--steps", "2"), deadly=0)
    process.join()
    kills = 0
    while process.exitcode == -signal.SIGKILL:
        kills += 1
        for file in (tmp_path / "killed.run").glob("*.json"):
            json.loads(file.read_text())
        begun = (tmp_path / "killed.run" / "run.json").exists()
        if begun and json.loads((tmp_path / "killed.run" / "run.json").read_text())["status"] == "done":
            break
        again = ["resume", tmp_path / "killed.run"] if begun else words("killed", "--steps", "2")
        process = spawn(*again, deadly=kills)
        process.join()
    assert process.exitcode in (0, -signal.SIGKILL), (process.log / "stderr").read_text()
    assert kills > 12
    assert (tmp_path / "killed.mrc").read_bytes() == (tmp_path / "whole.mrc").read_bytes()
    assert (tmp_path / "killed.run" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_a_checkpoint_and_says_how_to_go_on(spawn, words, run, tmp_path, wish):
    process = spawn(*words("stopped", "--steps", "80"))
    folder = tmp_path / "stopped.run"
    wait_for(lambda: any((folder / "checkpoints").glob("step_*")), process)
    os.kill(process.pid, wish)
    process.join()
    assert process.exitcode == 130
    assert f"vitreous resume {folder}" in (process.log / "stderr").read_text().splitlines()[-1]
    assert any((folder / "checkpoints").rglob("state.json"))
    assert not (tmp_path / "stopped.mrc").exists()
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    code, out, _ = run("resume", folder)
    assert code == 0
    assert str(tmp_path / "stopped.mrc") in out
    assert run(*words("whole", "--steps", "80"))[0] == 0
    assert (tmp_path / "stopped.mrc").read_bytes() == (tmp_path / "whole.mrc").read_bytes()


@pytest.mark.parametrize("method", [*METHODS, "n2v", "sc-net", "nmsg", "ffdnet", "vnet"])
def test_same_seed_same_bytes_other_seed_others(run, words, tmp_path, method):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(*words(name, "--method", method, "--seed", seed))[0] == 0
    a, b, c = ((tmp_path / f"{n}.mrc").read_bytes() for n in "abc")
    assert a == b
    assert a != c


def test_a_time_budget_is_a_number_of_steps_that_is_kept(spawn, words, run, tmp_path):
    process = spawn(*words("budget", "--time-budget", "0.6s"))
    folder = tmp_path / "budget.run"
    wait_for(lambda: any((folder / "checkpoints").glob("step_*")), process)
    process.kill()
    process.join()
    steps = json.loads((folder / "checkpoints" / "steps.json").read_text())["steps"]
    assert run("resume", folder)[0] == 0
    facts = json.loads((folder / "run.json").read_text())
    assert facts["steps"] == steps == json.loads((folder / "model.json").read_text())["config"]["steps"]
    assert run(*words("steps", "--steps", steps))[0] == 0
    assert (tmp_path / "budget.mrc").read_bytes() == (tmp_path / "steps.mrc").read_bytes()


def test_a_run_directory_may_be_moved_and_named_indirectly(run, words, spawn, tmp_path):
    process = spawn(*words("moved", "--steps", "80", "--run-dir", tmp_path / "x" / ".." / "first run"))
    (tmp_path / "x").mkdir()
    wait_for(lambda: any((tmp_path / "first run" / "checkpoints").glob("step_*")), process)
    process.kill()
    process.join()
    (tmp_path / "first run").rename(tmp_path / "second\nrun")
    assert run("resume", tmp_path / "second\nrun")[0] == 0
    assert (tmp_path / "moved.mrc").exists()


def test_resume_refuses_what_it_cannot_go_on_with(run, words, tomogram, tmp_path):
    assert run(*words("done", "--method", "gaussian"))[0] == 0
    folder = tmp_path / "done.run"
    good = json.loads((folder / "run.json").read_text())
    junk = {
        "done": json.dumps(good),
        "no json": "{",
        "a list": "[]",
        "no request": json.dumps({"schema": 1, "kind": "denoise", "status": "running"}),
        "empty request": json.dumps({**good, "status": "running", "request": {}}),
        "request is a number": json.dumps({**good, "status": "running", "request": 3}),
        "other settings": json.dumps(
            {**good, "status": "running", "request": {**good["request"], "settings": {"a": 1}}}
        ),
        "unknown kind": json.dumps({**good, "kind": "dance"}),
        "binary": "\0\0",
    }
    for name, text in junk.items():
        (folder / "run.json").write_text(text)
        code, out, err = run("resume", folder)
        assert (code, out) == (2, ""), name
        assert err.startswith("vitreous: "), name
        assert err.count("\n") == 1, name
    for path in (tmp_path, tmp_path / "nowhere", tomogram):
        assert run("resume", path)[0] == 2


def test_resume_refuses_another_input(spawn, words, run, tomogram, tmp_path):
    process = spawn(*words("a", "--steps", "4000"))
    wait_for((tmp_path / "a.run" / "run.json").exists, process)
    process.kill()
    process.join()
    content = bytearray(tomogram.read_bytes())
    content[-1] ^= 1
    tomogram.write_bytes(content)
    code, _, err = run("resume", tmp_path / "a.run")
    assert code == 2
    assert "changed" in err


def test_one_run_directory_serves_one_process(spawn, words, run, tmp_path):
    process = spawn(*words("a", "--steps", "4000"))
    wait_for(lambda: any((tmp_path / "a.run" / "checkpoints").glob("step_*")), process)
    code, _, err = run(*words("a", "--steps", "4000"))
    assert process.is_alive()
    assert code == 2
    assert "another run is at work" in err
    assert run("resume", tmp_path / "a.run")[0] == 2


def test_a_damaged_checkpoint_is_one_line(spawn, words, run, tmp_path):
    process = spawn(*words("a", "--steps", "4000"))
    checkpoints = tmp_path / "a.run" / "checkpoints"
    wait_for(lambda: any(checkpoints.glob("step_*")), process)
    process.kill()
    process.join()
    newest = max(checkpoints.glob("step_*"), key=str)
    for name in ("optimizer.safetensors", "network.safetensors", "state.json"):
        (newest / name).write_bytes(b"[]")
        code, _, err = run("resume", tmp_path / "a.run")
        assert code == 2
        assert err.splitlines()[-1].startswith("vitreous: ")
        assert "checkpoint is damaged" in err
        assert "Traceback" not in err
