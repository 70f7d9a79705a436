"""`vitreous wedge` as files: what is kept, what is refused, and the same bytes after any kill."""

import json
import random
import shlex
import time

import numpy as np
import pytest
from small_fixtures import wait_for

import vitreous
from vitreous.fourier import measured_region
from vitreous.report import DenoiseEvidence
from vitreous.simulate import wedge_filtered
from vitreous.workflows.wedge import WedgeRequest, WedgeSettings, fill_wedge

RANGE = ("--tilt-range", "-50", "60")


@pytest.fixture
def words(tomogram, tmp_path):
    def make(name, *more):
        return ["wedge", tomogram, "-o", tmp_path / f"{name}.mrc", "--device", "cpu", *RANGE, *more]

    return make


@pytest.fixture
def halves(tmp_path, blobs):
    """Options that name two halves of the tomogram."""
    rng = np.random.default_rng(1)
    found = []
    for name in ("even", "odd"):
        data = blobs + rng.normal(size=blobs.shape).astype(np.float32)
        volume = vitreous.Volume(data, (10.0, 10.0, 10.0))
        found += [f"--{name}", vitreous.write_volume(tmp_path / "halves" / f"{name}.mrc", volume)]
    return found


def voxels(path):
    return np.asarray(vitreous.open_volume(path).data, np.float64)


@pytest.mark.parametrize(
    "method", ["noise-model", *(pytest.param(m, marks=pytest.mark.slow) for m in ("isonet", "dual"))]
)
def test_killed_at_random_moments(spawn, words, tmp_path, method):
    options = ("--method", method, "--steps", "16")
    whole = spawn(*words("whole", *options))
    begun = time.monotonic()
    whole.join()
    duration = time.monotonic() - begun
    assert whole.exitcode == 0, (whole.log / "stderr").read_text()
    moments = random.Random(method)
    process = spawn(*words("killed", *options))
    killed = 0
    for _ in range(3):
        time.sleep(moments.uniform(0.1, 0.8) * duration)
        if not process.is_alive():
            break
        process.kill()
        process.join()
        killed += 1
        run_json = tmp_path / "killed.run" / "run.json"
        process = spawn(*(["resume", run_json.parent] if run_json.exists() else words("killed", *options)))
    process.join()
    assert killed > 0
    for name in ("{}.mrc", "{}_uncertainty.mrc", "{}.run/model.safetensors"):
        bytes_of = [(tmp_path / name.format(which)).read_bytes() for which in ("whole", "killed")]
        assert bytes_of[0] == bytes_of[1], name
    assert not (tmp_path / "killed.run" / "checkpoints").exists()


def test_an_interrupted_round_is_gone_on_with(spawn, words, run, tmp_path):
    process = spawn(*words("stopped", "--method", "isonet", "--steps", "30"))
    folder = tmp_path / "stopped.run"
    wait_for(lambda: any((folder / "checkpoints" / "round_1").glob("step_*")), process)
    process.terminate()
    process.join()
    assert process.exitcode == 130
    assert f"vitreous resume {folder}" in (process.log / "stderr").read_text()
    code, out, _ = run("resume", folder)
    assert code == 0
    assert str(tmp_path / "stopped.mrc") in out
    assert run(*words("whole", "--method", "isonet", "--steps", "30"))[0] == 0
    assert (tmp_path / "stopped.mrc").read_bytes() == (tmp_path / "whole.mrc").read_bytes()


@pytest.mark.parametrize("options", [(), ("--method", "isonet"), ("--method", "dual")])
def test_what_was_measured_is_kept_if_wanted(run, words, tomogram, tmp_path, options):
    assert run(*words("kept", "--keep-measured", *options))[0] == 0
    assert run(*words("free", *options))[0] == 0
    before = np.fft.fftn(voxels(tomogram))
    region = measured_region(before.shape, (-50, 60)).numpy()
    kept, free = (np.abs(np.fft.fftn(voxels(tmp_path / f"{n}.mrc")) - before) for n in ("kept", "free"))
    size = np.linalg.norm(before[region])
    assert np.linalg.norm(kept[region]) / size < 1e-4
    assert np.linalg.norm(free[region]) / size > 1e-3
    assert np.linalg.norm(kept[~region]) > 0
    kept, free = (voxels(tmp_path / f"{n}_uncertainty.mrc") for n in ("kept", "free"))
    assert kept.mean() < free.mean()
    if "isonet" not in options:  # of what was filled in, and of what was denoised before that besides
        assert (kept <= free * (1 + 1e-5)).all()


def test_seeds_halves_and_report(run, words, halves, tmp_path):
    code, out, _ = run(*words("a", "--json", *halves))
    assert code == 0
    assert json.loads(out)["method"] == "noise-model"
    assert run(*words("b", "--seed", "0", *halves))[0] == 0
    assert run(*words("c", "--seed", "1", *halves))[0] == 0
    a, b, c = ((tmp_path / f"{n}.mrc").read_bytes() for n in "abc")
    assert a == b
    assert a != c
    assert (voxels(tmp_path / "a_uncertainty.mrc") >= 0).all()
    evidence = DenoiseEvidence.load(tmp_path / "a.run")
    assert evidence.uncertainty is not None
    assert evidence.spectrum_before.shape == evidence.spectrum_after.shape
    assert not np.allclose(evidence.spectrum_before, evidence.spectrum_after)
    assert "tilts of -50° … 60° about y" in evidence.summary["tilt range"]
    page = (tmp_path / "a.run" / "report.html").read_text()
    assert "after | uncertainty" in page
    assert "Power spectra, kx–kz" in page
    assert "XZ slices, along y" in page
    assert "not measured but predicted" in page
    described = json.loads((tmp_path / "a.run" / "model.json").read_text())
    assert described["task"] == "wedge"
    assert run("report", tmp_path / "a.run")[0] == 0
    assert run("denoise", tmp_path / "a.mrc", "-o", tmp_path / "d.mrc", "--model", tmp_path / "a.run")[0] == 2


def test_the_command_repeats_the_run(run, words, tmp_path):
    assert run(*words("a", "--tilt-axis", "x", "--keep-measured", "--seed", "3", "--steps", "5"))[0] == 0
    facts = json.loads((tmp_path / "a.run" / "run.json").read_text())
    command = shlex.split(facts["command"])
    assert command[command.index("--device") + 1] == "cpu"
    first = (tmp_path / "a.mrc").read_bytes()
    assert run(*command[1:], "--overwrite")[0] == 0
    assert (tmp_path / "a.mrc").read_bytes() == first
    request = WedgeRequest.from_json(facts["request"])
    assert request.settings == WedgeSettings(
        steps=5, seed=3, device="cpu", tilt_range_deg=(-50.0, 60.0), tilt_axis="x", keep_measured=True
    )
    assert request.is_of(facts)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--tilt-range", "60", "-60"), "the lowest tilt comes first"),
        (("--tilt-range", "-90", "90"), "nothing is missing"),
        (("--method", "gaussian"), "fills no wedge"),
        (("--tilt-axis", "z"), "--tilt-axis z is unknown"),
        (("--defocus", "3"), "--defocus means nothing"),
        (("--method", "isonet", "--defocus", "3", "--keep-measured"), "exclude each other"),
        (("--max-memory", "1MB"), "--max-memory"),
        (("--config", "paper"), "noise-model has no configuration paper"),
        (("--config", "{settings}"), "patch_sides: extra inputs are not permitted; correct that line"),
        (("--even", "{tomogram}"), "only one half tomogram was given"),
        (("--even", "{small}", "--odd", "{tomogram}"), "differs from"),
        (("--method", "isonet", "--even", "{tomogram}", "--odd", "{twin}"), "mean nothing to isonet"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(run, words, tomogram, tmp_path, more, told):
    small = vitreous.write_volume(
        tmp_path / "small.mrc", vitreous.Volume(np.eye(9)[None].repeat(9, 0), (10.0,) * 3)
    )
    twin = tmp_path / "twin.mrc"
    twin.write_bytes(tomogram.read_bytes())
    settings = tmp_path / "settings.toml"
    settings.write_text("patch_sides = 24\n")
    before = sorted(tmp_path.rglob("*"))
    more = [word.format(tomogram=tomogram, small=small, twin=twin, settings=settings) for word in more]
    code, out, err = run(*words("out", *more))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert told in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("method", "text", "told"),
    [
        ("noise-model", "levels = 2\npatch_side = 18", "patches of 18 voxels do not suit"),
        ("isonet", "levels = 2\npatch_side = 18", "patches of 18 voxels do not suit"),
        ("dual", "levels = 3\npatch_side = 20", "patches of 20 voxels do not suit"),
        ("dual", "side = 30", "side: input should be a multiple of 8"),
        ("isonet", "binning = 2", "binning: input should be 1"),
        ("dual", "binning = 2", "binning: input should be 1"),
    ],
)
def test_settings_that_do_not_suit_the_networks_are_one_line(run, words, tmp_path, method, text, told):
    settings = tmp_path / "settings.toml"
    settings.write_text(text)
    code, out, err = run(*words("out", "--method", method, "--config", settings))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert told in err
    assert not (tmp_path / "out.run").exists()


def test_a_denoiser_deeper_than_the_translator_fits_into_its_tiles(run, words, tmp_path):
    """It halves three times, the translator twice, and 12 and 20 voxels are no multiples of 8."""
    settings = tmp_path / "settings.toml"
    settings.write_text("levels = 3")
    code, _, err = run(*words("out", "--method", "dual", "--config", settings))
    assert code == 0, err


def test_noise_without_a_wedge_tells_no_tilt_range(run, tomogram, tmp_path):
    code, _, err = run("wedge", tomogram, "-o", tmp_path / "out.mrc")
    assert code == 2
    assert "cannot be told" in err
    assert err.count("\n") == 1


def test_voxels_must_be_cubes(run, tmp_path, blobs):
    path = vitreous.write_volume(tmp_path / "flat.mrc", vitreous.Volume(blobs, (14.0, 10.0, 10.0)))
    code, _, err = run("wedge", path, "-o", tmp_path / "out.mrc", *RANGE)
    assert code == 2
    assert "14 × 10 × 10 Å are no cubes" in err


def test_neither_output_is_overwritten_unasked(run, words, tmp_path):
    other = tmp_path / "out_uncertainty.mrc"
    other.write_bytes(b"mine")
    code, _, err = run(*words("out"))
    assert code == 2
    assert "out_uncertainty.mrc" in err
    assert other.read_bytes() == b"mine"
    assert run(*words("out", "--overwrite"))[0] == 0
    assert other.read_bytes() != b"mine"


def test_the_library_does_what_the_command_does_and_estimates_the_range(small, blobs):
    noise = np.random.default_rng(0).normal(size=(48, 48, 48)).astype(np.float32)
    data = wedge_filtered(noise, (-50, 60))
    before = data.copy()
    result = fill_wedge(data, steps=3, keep_measured=True, device="cpu")
    assert result.shape == data.shape
    np.testing.assert_array_equal(data, before)
    deep = ~measured_region(data.shape, (-62, 72)).numpy()
    power = [np.mean(np.abs(np.fft.fftn(v)[deep]) ** 2) for v in (data, result.data)]
    assert power[1] > 10 * power[0]
