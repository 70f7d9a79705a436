"""`vitreous simulate subtomograms` as a hostile new user meets it."""

import json
import signal

import pytest
import zarr

WORDS = ("simulate", "subtomograms", "phantom:ldh", "--side", "20", "--tilt-step", "20")


@pytest.fixture
def words(tmp_path):
    def make(name="set", *more):
        return [*WORDS, "-o", tmp_path / name, "--count", "3", *more]

    return make


def listing(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def check_refused(run, folder, *given):
    before = listing(folder)
    code, out, err = run(*given)
    assert (code, out) == (2, ""), err
    assert err.startswith("vitreous: ")
    assert err.count("\n") == 1
    assert listing(folder) == before
    return err


def test_help_shows_every_option(run):
    code, out, err = run("simulate", "subtomograms", "--help")
    assert (code, err) == (0, "")
    for option in ("--snr", "--count", "--side", "--neighbours", "--tilt-range", "--format", "--no-ctf"):
        assert option in out


def test_json_is_one_object_and_the_rest_goes_to_stderr(run, words, tmp_path):
    code, out, err = run(*words(), "--json", "--snr", "0.1")
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["count"], facts["classes"]) == (3, ["phantom:ldh"])
    assert facts["output"] == str(tmp_path / "set" / "subtomograms.zarr")
    assert "subtomograms: 3/3" in err
    code, out, err = run(*words(), "--overwrite", "-q")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 3


def test_options_reach_the_settings(run, words, tmp_path):
    more = ("--snr", "0.2", "--snr", "2", "--neighbours", "1", "--voxel-size", "12", "--no-ctf", "--invert")
    code, _, err = run(*words("set", *more, "--tilt-range", "20", "60", "--seed", "7", "--format", "mrc"))
    assert code == 0, err
    facts = json.loads((tmp_path / "set" / "run.json").read_text())
    settings = facts["request"]["settings"]
    assert settings["snrs"] == [0.2, 2.0]
    assert (settings["neighbours"], settings["voxel_spacing_angstrom"], settings["seed"]) == (1, 12.0, 7)
    assert (settings["defocus_um"], settings["invert"]) == (None, True)
    assert (settings["tilts"]["lowest_deg"], settings["tilts"]["order"]) == (20.0, "continuous")
    assert len(list((tmp_path / "set" / "densities").iterdir())) == 6
    # The recorded command makes the same again.
    again = facts["command"].replace(str(tmp_path / "set"), str(tmp_path / "again")).split()[1:]
    assert run(*again)[0] == 0
    for file in (tmp_path / "set").rglob("*.mrc"):
        assert file.read_bytes() == (tmp_path / "again" / file.relative_to(tmp_path / "set")).read_bytes()


def test_unusable_arguments(run, words, tmp_path):
    for given in (
        ["simulate", "subtomograms", "-o", tmp_path / "set"],
        WORDS,
        words("set", "--snr", "0"),
        words("set", "--snr", "nan"),
        words("set", "--voxel-size", "0"),
        words("set", "--voxel-size", "nan"),
        words("set", "--tilt-range", "60", "-60"),
        words("set", "--tilt-range", "-100", "60"),
        words("set", "--tilt-step", "0"),
        words("set", "--defocus", "nan"),
        words("set", "--format", "tiff"),
        words("set", "--side", "8"),
        words("set", "--count", "0"),
        [*WORDS[:2], "phantom:nobody", *words()[3:]],
        [*WORDS[:2], tmp_path / "missing.pdb", *words()[3:]],
        [*WORDS[:2], tmp_path / "map.mrc", *words()[3:]],
    ):
        check_refused(run, tmp_path, *given)


def test_what_is_there_is_kept_unless_overwritten(run, words, tmp_path):
    assert run(*words())[0] == 0
    assert "--overwrite" in check_refused(run, tmp_path, *words())
    assert "another run" in check_refused(run, tmp_path, *words(), "--seed", "1")
    (tmp_path / "file").write_text("")
    check_refused(run, tmp_path, *words("file"))


@pytest.mark.parametrize("event", [3, 5, 9])
def test_a_killed_run_goes_on(run, spawn, words, tmp_path, event):
    """Killed at a rename: after the first block, while writing, …"""
    process = spawn(*words("killed"), deadly=event)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "subtomograms.csv").exists()
    code, _, err = run("resume", tmp_path / "killed")
    assert code == 0, err
    assert run(*words("whole"))[0] == 0
    arrays = [
        zarr.open_group(tmp_path / name / "subtomograms.zarr", mode="r")["densities"]["0"][:].tobytes()
        for name in ("killed", "whole")
    ]
    assert arrays[0] == arrays[1]
    tables = [(tmp_path / name / "subtomograms.csv").read_bytes() for name in ("killed", "whole")]
    assert tables[0] == tables[1]


def test_interrupted(run, words, tmp_path, monkeypatch):
    from vitreous.cli.console import ConsoleProgress

    with monkeypatch.context() as patch:
        patch.setattr(ConsoleProgress, "should_stop", lambda self: True)
        code, out, err = run(*words())
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].endswith(f"vitreous resume {tmp_path / 'set'}")
    code, out, _ = run("resume", tmp_path / "set", "--json")
    assert code == 0
    assert json.loads(out)["count"] == 6
