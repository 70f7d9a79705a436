"""`vitreous judge` as a hostile new user meets it; its verdicts are tested in tests/workflows."""

import json
import re

import numpy as np
import pytest

import vitreous
from vitreous.core import Poses
from vitreous.io import write_particles
from vitreous.simulate import wedge_filtered

SPACING, SHAPE = 20.0, (32, 64, 64)


@pytest.fixture
def noise(tmp_path, monkeypatch):
    """Two tomograms of nothing, and eight picks."""
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", 12)
    monkeypatch.setattr("vitreous.workflows.annotate.decoys.strangers", lambda *_: ["apoferritin"])
    for seed, name in enumerate(("even", "odd")):
        values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
        volume = vitreous.Volume(wedge_filtered(values, (-60, 60)), SPACING)
        vitreous.write_volume(tmp_path / f"{name}.mrc", volume)
    places = np.random.default_rng(3).uniform(200, SPACING * np.array(SHAPE) - 200, (8, 3))
    poses = Poses(np.tile(np.eye(3), (8, 1, 1)), places, ("particle",) * 8)
    for name in ("picks.star", "picks.tbl", "picks.json", "picks.csv"):
        write_particles(
            tmp_path / name, poses, tomogram_name="1", shape=SHAPE, voxel_spacing_angstrom=SPACING
        )
    return tmp_path


def words(folder, picks="picks.star", *more):
    structure = ("--structure", "phantom:tric", "--tilt-range", -60, 60)
    return ("judge", folder / "even.mrc", folder / picks, *structure, "-o", folder / "out", *more)


def test_the_verdict_is_one_object_and_runs_again_by_its_own_command(run, noise):
    code, out, err = run(*words(noise, "picks.star", "--unseen", noise / "odd.mrc", "--json"))
    assert code == 0, err
    facts = json.loads(out)
    assert facts["structure"] == "phantom:tric"
    assert facts["judged"]["outcome"] in ("not found", "not enough evidence")
    code, _, err = run("resume", noise / "out")
    assert code == 2
    assert "already done" in err
    (noise / "out/report.html").unlink()
    code, _, err = run("report", noise / "out")
    assert code == 0, err
    assert "phantom:tric" in (noise / "out/report.html").read_text()
    recorded = json.loads((noise / "out/run.json").read_text())["command"].split()
    code, out, err = run(*recorded[1:], "--overwrite", "--json")
    assert code == 0, err
    assert json.loads(out)["judged"] == facts["judged"]


def test_picks_of_every_format_get_the_same_verdict(run, noise):
    said = []
    for name in ("picks.star", "picks.tbl", "picks.json", "picks.csv"):
        code, out, err = run(*words(noise, name, "--unseen", noise / "odd.mrc", "--overwrite", "--json"))
        assert code == 0, err
        said.append(json.loads(out)["judged"])
    for one in said:
        assert one["all_picks"] == 8
        assert one["shares"] == said[0]["shares"]
        assert one["p_noise"] == pytest.approx(said[0]["p_noise"], rel=1e-6)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--unseen", "{f}/even.mrc"), "even.mrc: --unseen is the very tomogram"),
        (("--against", "phantom:nothing"), "no phantom 'nothing'"),
        (("--tilt-range", 60, -60), "lowest tilt first"),
        (("--max-memory", "10MB"), "needs .* GB of memory"),
        (("--coordinate-pixel", 3), "coordinate-pixel goes with picks in pixels"),
        (("-o", "{f}/even.mrc/out"), "even.mrc"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(run, noise, more, text):
    given = [str(word).format(f=noise) for word in more]
    code, out, err = run(*words(noise, "picks.star", *given))
    assert code == 2, err
    assert not out
    assert len(err.splitlines()) == 1
    assert re.search(text, err), err
    assert not (noise / "out").exists()
