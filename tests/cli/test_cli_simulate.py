"""`vitreous simulate` as a user meets it."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from small_fixtures import wait_for
from small_simulation import SMALL_SPEC

from vitreous import Volume, open_volume, write_volume
from vitreous.workflows.simulate import load_spec, preset_names


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(SMALL_SPEC, encoding="utf-8")
    return file


def volumes(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.mrc"))}


@pytest.mark.parametrize("name", preset_names())
def test_a_printed_preset_can_be_simulated_from_a_file(run, tmp_path, name):
    code, out, err = run("simulate", "--print-spec", name)
    assert (code, err) == (0, "")
    file = tmp_path / "mine.toml"
    file.write_text(out, encoding="utf-8")
    assert load_spec(file) == load_spec(name)
    assert "#" in out
    code, again, _ = run("simulate", file, "--print-spec")
    assert code == 0
    file.write_text(again, encoding="utf-8")
    assert load_spec(file) == load_spec(name)


def test_a_specification_to_its_folder(run, spec, tmp_path):
    code, out, err = run("simulate", spec, "-o", tmp_path / "made", "--json")
    assert code == 0
    facts = json.loads(out)
    (one,) = facts["tomograms"]
    assert one["folder"] == str(tmp_path / "made" / "tomogram_000")
    assert one["placed"]["phantom:ldh"] == 8
    assert one["snr"] > 0
    assert "up to" in err
    assert "GB of memory" in err
    code, out, err = run("simulate", spec, "-o", tmp_path / "made", "-n", "2", "--seed", "9")
    assert code == 2
    assert err.strip().endswith("holds another run; add --overwrite or choose another -o")
    code, out, _ = run(
        "simulate", spec, "-o", tmp_path / "made", "-n", "2", "--seed", "9", "--overwrite", "-q"
    )
    assert code == 0
    assert len([line for line in out.splitlines() if line.startswith("simulated: ")]) == 2
    code, _, err = run("simulate", spec, "-o", tmp_path / "made", "-n", "2", "--seed", "9")
    assert code == 0
    assert "already done" in err
    report = tmp_path / "made" / "report.html"
    page = report.read_text(encoding="utf-8")
    report.unlink()
    assert run("report", tmp_path / "made")[0] == 0
    assert report.read_text(encoding="utf-8") == page
    code, _, err = run("resume", tmp_path / "made")
    assert code == 2
    assert "already done" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["simulate", "-o", "out"], "nothing to simulate was given"),
        (["simulate", "demo"], "no output was given; add -o DIR"),
        (["simulate", "dmeo", "-o", "out"], "there is no preset 'dmeo'; did you mean demo?"),
        (["simulate", "demo", "-o", "out", "--layout", "imod"], "--layout imod is unknown"),
        (["simulate", "demo", "-o", "out", "--max-memory", "lots"], "is not a size"),
        (["simulate", "demo", "-o", "out", "--max-memory", "1MB"], "GB may be used; raise --max-memory"),
        (["simulate", "missing.toml", "-o", "out"], "missing.toml: cannot be read"),
        (["simulate", "demo", "--like", "none.mrc", "-o", "out"], "none.mrc: "),
        (["simulate", "demo", "--like", "none.mrc", "--print-spec"], "none.mrc: "),
        (["simulate", "demo", "--voxel-size", "10", "-o", "out"], "to belong to; add --like TOMOGRAM"),
    ],
)
def test_bad_words_end_with_one_line(run, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_bad_specification_is_told_with_its_line(run, tmp_path, spec):
    spec.write_text(SMALL_SPEC.replace("step_deg", "step_degrees"), encoding="utf-8")
    line = SMALL_SPEC.splitlines().index("step_deg = 10") + 1
    code, _, err = run("simulate", spec, "-o", tmp_path / "out")
    assert code == 2
    assert err == f"vitreous: {spec}: line {line}: unknown key tilts.step_degrees; did you mean step_deg?\n"


@pytest.fixture
def unset(run, spec, tmp_path):
    """A simulated tomogram without its voxel spacing."""
    assert run("simulate", spec, "-o", tmp_path / "given", "-q")[0] == 0
    data = np.asarray(open_volume(tmp_path / "given" / "tomogram_000" / "tomogram.mrc").data)
    return write_volume(tmp_path / "unset.mrc", Volume(data, 1.0))


def test_in_the_style_of_a_tomogram(run, unset, tmp_path):
    spec = tmp_path / "other.toml"
    spec.write_text(SMALL_SPEC.replace("spacing_angstrom = 15.0", "spacing_angstrom = 12.0"))
    words = ["simulate", spec, "--like", unset, "--seed", "4"]
    code, _, err = run(*words, "-o", tmp_path / "made")
    assert code == 2
    assert err.splitlines()[-1].endswith("give --voxel-size in Å")
    words += ["--voxel-size", "15"]
    code, out, err = run(*words, "-o", tmp_path / "made", "--json")
    assert code == 0
    assert len(json.loads(out)["tomograms"]) == 1
    made = volumes(tmp_path / "made")
    facts = json.loads((tmp_path / "made" / "run.json").read_text())
    assert facts["command"].startswith(f"vitreous simulate {spec} --like {unset} --voxel-size 15.0 -o ")
    assert str(unset) in facts["inputs_sha256"]
    assert facts["request"]["spec"]["box"]["voxel_spacing_angstrom"] == 15
    for doubt in facts["request"]["like"]["doubts"]:
        assert f"warning: {doubt}" in err
        assert doubt in facts["warnings"]
        assert doubt in (tmp_path / "made" / "report.html").read_text(encoding="utf-8")
    page = (tmp_path / "made" / "report.html").read_text(encoding="utf-8")
    assert run("report", tmp_path / "made")[0] == 0
    assert (tmp_path / "made" / "report.html").read_text(encoding="utf-8") == page
    code, out, _ = run(*words, "--print-spec")
    assert code == 0
    printed = tmp_path / "printed.toml"
    printed.write_text(out, encoding="utf-8")
    assert run("simulate", printed, "-o", tmp_path / "again", "-q")[0] == 0
    assert volumes(tmp_path / "again") == made
    code, _, err = run(*words, "-o", tmp_path / "made")
    assert code == 0
    assert "already done" in err
    unset.write_bytes(unset.read_bytes()[:-4] + b"\0\0\0\0")
    code, _, err = run("simulate", printed, "-o", tmp_path / "again", "-n", "2")
    assert code == 2
    assert "changed since the run in" in err


def test_a_voxel_size_that_is_told_is_not_doubted(run, unset, spec, tmp_path):
    wrong = write_volume(tmp_path / "wrong.mrc", Volume(open_volume(unset).data, 10.0))
    words = ["simulate", spec, "--like", wrong, "--voxel-size", "15"]
    code, out, err = run(*words, "-o", tmp_path / "made", "--json")
    assert code == 0
    assert "voxel by voxel" not in err + out
    code, out, err = run(*words, "-o", tmp_path / "made", "-n", "2", "--json")
    assert code == 0
    assert "voxel by voxel" not in err + out


def test_a_tomogram_is_not_replaced_by_others_in_its_style(run, unset, spec, tmp_path):
    like = tmp_path / "given" / "tomogram_000" / "tomogram.mrc"
    before = volumes(tmp_path / "given")
    code, out, err = run("simulate", spec, "--like", like, "-o", tmp_path / "given", "--overwrite", "-q")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == f"vitreous: {like}: would be replaced by the result; choose another -o"
    assert volumes(tmp_path / "given") == before


def test_killed_at_any_rename_and_resumed_gives_the_same_bytes(run, spawn, spec, tmp_path):
    assert run("simulate", spec, "-o", tmp_path / "whole", "-n", "2", "-q")[0] == 0
    whole = volumes(tmp_path / "whole")
    seen = set()
    for event in (1, 30, 50, 51, 72):  # every rename is two; run.json, spec.toml, 23 files, their folder
        folder = tmp_path / f"killed{event}"
        process = spawn("simulate", spec, "-o", folder, "-n", "2", deadly=event)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("tomogram_*/*")}
        assert len(kept) in (0, 23)
        seen.add(len(kept))
        assert run("resume", folder, "-q")[0] == 0
        assert volumes(folder) == whole
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        assert [path.name for path in folder.iterdir() if path.name.startswith(".vitreous")] == []
    assert seen == {0, 23}


def test_ctrl_c_says_how_to_go_on(run, spawn, spec, tmp_path):
    folder = tmp_path / "stopped"
    process = spawn("simulate", spec, "-o", folder, "-n", "50")
    wait_for(lambda: (folder / "tomogram_000").exists(), process)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 130
    assert f"vitreous resume {folder}" in (process.log / "stderr").read_text().splitlines()[-1]
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"


def test_shortfalls_are_warned_of(run, spec, tmp_path):
    spec.write_text(SMALL_SPEC.replace("count = 8", "count = 800"), encoding="utf-8")
    code, out, err = run("simulate", spec, "-o", tmp_path / "out", "--json", "-q")
    assert code == 0
    assert "no room for" in json.loads(out)["warnings"][0]
    assert "warning" in err


def test_sub_commands_and_help_come_without_torch(run):
    for words in (
        ["simulate", "--help"],
        ["simulate", "subtomograms", "--help"],
        ["simulate", "tomograms", "--help"],
    ):
        code, out, _ = run(*words)
        assert code == 0
        assert "Usage: vitreous simulate" in out
    script = (
        "import sys; sys.argv = ['vitreous', 'simulate', '--help']\n"
        "from vitreous.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
