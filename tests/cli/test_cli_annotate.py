"""`vitreous annotate` as a new user meets it, with tiny networks: words, exit codes, stopping and moving."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest

import vitreous
from vitreous.fourier import measured_region
from vitreous.workflows import denoise_files
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings
from vitreous.workflows.annotate import chain as chain_module

SHAPE = (32, 48, 48)


@pytest.fixture
def tomogram(tmp_path):
    noise = np.random.default_rng(0).normal(size=SHAPE)
    region = measured_region(SHAPE, (-60, 60)).numpy()
    data = np.fft.ifftn(np.fft.fftn(noise) * region).real.astype(np.float32)
    return vitreous.write_volume(tmp_path / "tomogram.mrc", vitreous.Volume(data, 20.0))


@pytest.fixture
def requested(monkeypatch):
    """What a command line asks for; nothing is done."""
    seen = []

    def noted(request, progress):
        seen.append(request)
        return {"structures": {}, "output": "o", "report": "r"}

    monkeypatch.setattr("vitreous.workflows.annotate.chain.annotate_file", noted)
    return seen


@pytest.mark.parametrize(
    "words",
    [
        ("{t}", "--structures", "phantom:tric", "phantom:p97", "map.mrc@540", "-o", "out"),
        ("{t}", "--structures", "phantom:tric", "--structures", "phantom:p97", "map.mrc@540", "-o", "out"),
        ("-o", "out", "{t}", "--structures", "phantom:tric", "phantom:p97", "map.mrc@540"),
    ],
)
def test_structures_stand_in_a_row_or_apart(run, tmp_path, requested, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("annotate", *(word.format(t="t.mrc") for word in words))
    assert code == 0, err
    [request] = requested
    assert request.input == tmp_path / "t.mrc"
    assert request.structures == ("phantom:tric", "phantom:p97", str(tmp_path / "map.mrc@540"))


@pytest.mark.parametrize(
    "settings",
    [
        AnnotateSettings(),
        AnnotateSettings(steps=7, seed=3, max_memory="2GB", defocus_um=3.5, binning=2, adapt=True),
        AnnotateSettings(time_budget_seconds=90.0, device="cpu", invert=False, tilt_range_deg=(-50.0, 60.0)),
        AnnotateSettings(invert=True, tilt_series_pixel_angstrom=1.35),
    ],
)
@pytest.mark.parametrize("dual", [None, "a dual"])
def test_the_command_of_a_run_asks_for_the_same(run, tmp_path, requested, settings, dual):
    folder = tmp_path / "a b"
    structures = ("phantom:tric", str(tmp_path / "my map.mrc@540"))
    learnt = None if dual is None else folder / dual
    request = AnnotateRequest(folder / "t.mrc", structures, folder / "out", settings, 12.5, dual=learnt)
    assert AnnotateRequest.from_json(json.loads(json.dumps(request.to_json())), request.output) == request
    program, *words = shlex.split(request.command())
    assert program == "vitreous"
    code, _, err = run(*words)
    assert code == 0, err
    assert requested == [request]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("--structures", "phantom:tric", "phantom:p97", "{t}"),
            "phantom:p97: is a structure.*tomogram first",
        ),
        (("--structures", "phantom:tric", "model.pdb", "{t}"), "model.pdb: is a structure"),
        (("{t}",), "no structure was given"),
        (("{t}", "--structures", "phantom:nothing"), "no phantom 'nothing'"),
        (("{t}", "--structures", "phantom:tric", "--steps", 0), "steps"),
        (("{t}", "--structures", "phantom:tric", "--tilt-range", 60, -60), "lowest tilt first"),
        (("nowhere.mrc", "--structures", "phantom:tric"), "nowhere.mrc"),
        (("{t}", "--structures", "phantom:tric", "--tilts", 3), "--tilts"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(run, tomogram, tmp_path, words, text):
    given = [str(word).format(t=tomogram) for word in words]
    code, out, err = run("annotate", *given, "-o", tmp_path / "out")
    assert code == 2, err
    assert not out
    assert err.startswith("vitreous: ")
    assert len(err.splitlines()) == 1
    assert re.search(text, err), err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.MOST_JUDGED", 6)
    monkeypatch.setattr("vitreous.workflows.annotate.believe.MOST_JUDGED", 6)


def test_a_run_that_was_moved_while_it_was_stopped_goes_on(run, tomogram, tmp_path, monkeypatch, brief):
    """Stopped in denoising, whose own record has the old place; `report` then writes the page anew."""
    words = ("annotate", tomogram, "--structures", "phantom:tric", "-o", tmp_path / "out", "--steps", 6)

    def stop(*_):
        raise vitreous.core.Interrupted

    with monkeypatch.context() as now:
        now.setattr(denoise_files.one, "leave_results", stop)
        code, _, err = run(*words)
    assert code == 130
    assert f"vitreous resume {tmp_path / 'out'}" in err
    assert (tmp_path / "out/denoise/checkpoints").exists()
    moved = shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    code, out, err = run("resume", moved, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["output"] == str(moved)
    assert facts["structures"]["phantom:tric"]["outcome"] in ("not found", "not enough evidence")
    assert not (tmp_path / "out").exists()
    page = moved / "report.html"
    page.unlink()
    assert run("report", moved)[0] == 0
    assert "phantom:tric" in page.read_text(encoding="utf-8")
    code, _, err = run(*words[:-3], moved, "--steps", 6)
    assert code == 2
    assert "holds a finished run" in err


def test_a_failed_stage_is_a_line_and_says_how_to_go_on(run, tomogram, tmp_path, monkeypatch):
    def greedy(work):
        raise MemoryError

    quick = chain_module.Stage("inspect", chain_module.inspect, "looking")
    monkeypatch.setattr(chain_module, "STAGES", (quick, chain_module.Stage("denoise", greedy, "denoising")))
    words = ("annotate", tomogram, "--structures", "phantom:tric", "-o", tmp_path / "out", "--quiet")
    code, _, err = run(*words)
    assert code == 2
    assert "denoising failed: there is not enough memory" in err
    assert f"vitreous resume {tmp_path / 'out'}" in err
