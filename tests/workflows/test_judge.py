"""Picks that are there already: a verdict that noise they were chosen by had no part in."""

import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest

from vitreous.core import InputError, Interrupted, Poses, SilentProgress, Volume
from vitreous.evidence import FOUND, NOT_FOUND, UNCLEAR
from vitreous.io import open_volume, write_relion5_particles, write_volume
from vitreous.simulate import wedge_filtered
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings
from vitreous.workflows.annotate.boxes import boxes_for
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.judge import JudgeRequest, judge, judge_file, rerender_judgement, resume_judging
from vitreous.workflows.judge.files import SEEN
from vitreous.workflows.run_directory import RunDirectory
from vitreous.workflows.simulate import SimulationSpec, simulate_tomogram

SPACING = 20.0
TILTS = (-60.0, 60.0)
PLACES = 48


@pytest.fixture(autouse=True)
def few_places(monkeypatch):
    """Fewer random places than usual: seconds instead of minutes, and enough for picks this clear."""
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", PLACES)


def write_picks(path, positions, shape, tomogram="scene"):
    turns = np.tile(np.eye(3), (len(positions), 1, 1))
    poses = Poses(turns, positions, ("particle",) * len(positions))
    return write_relion5_particles(
        path, poses, tomogram_name=tomogram, shape=shape, voxel_spacing_angstrom=SPACING
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Sixteen TRiC at SNR 0.5 in both halves and together, and where they are."""
    folder = tmp_path_factory.mktemp("judge")
    spec = {
        "seed": 5,
        "box": {"shape": (36, 72, 72), "voxel_spacing_angstrom": SPACING},
        "particles": [{"structure": "phantom:tric", "count": 16}],
        "imaging": {"snr": 0.5, "defocus_um": 3.5},
    }
    made = simulate_tomogram(SimulationSpec.model_validate(spec))
    for name in ("tomogram", "even", "odd"):
        write_volume(folder / f"{name}.mrc", getattr(made, name))
    write_picks(folder / "picks.star", made.grand_model.poses.positions_angstrom, made.tomogram.shape)
    return folder


def asked(scene, output, **changed):
    """The picks of the scene, found in its even half, judged by its odd one."""
    given = {"tomogram": scene / "even.mrc", "unseen": scene / "odd.mrc", "structure": "phantom:tric"}
    given |= {"picks": scene / "picks.star", "against": (), **changed}
    tilts = AnnotateSettings(tilt_range_deg=TILTS)
    names = (given["structure"], *given["against"])
    return JudgeRequest(
        AnnotateRequest(given["tomogram"], names, output, tilts), given["picks"], given["unseen"]
    )


@pytest.fixture(scope="module")
def judged(scene, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "run"
    with pytest.MonkeyPatch.context() as now:
        now.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", PLACES)
        return judge_file(asked(scene, output), SilentProgress()), output


def test_a_request_survives_its_record_and_is_a_command(tmp_path):
    settings = AnnotateSettings(tilt_range_deg=(-50.0, 60.0), invert=False, seed=3, binning=2)
    names = ("phantom:tric", "phantom:groel")
    request = JudgeRequest(
        AnnotateRequest(tmp_path / "a b.mrc", names, tmp_path / "out", settings, 9.5),
        tmp_path / "picks.star",
        tmp_path / "odd.mrc",
        4.75,
    )
    again = JudgeRequest.from_json(json.loads(json.dumps(request.to_json())), request.asked.output)
    assert again == request
    words = shlex.split(request.command())
    assert words[:4] == ["vitreous", "judge", str(tmp_path / "a b.mrc"), str(tmp_path / "picks.star")]
    for option in ("--structure phantom:tric", "--against phantom:groel", "--tilt-range -50 60"):
        assert option in request.command()
    assert {"--no-invert", "--seed", "--binning", "--coordinate-pixel", "--unseen"} <= set(words)


def test_picks_are_found_by_the_half_that_picking_has_not_seen(judged, scene):
    facts, output = judged
    found = facts["judged"]
    assert found["outcome"] == FOUND, found["reasons"]
    assert found["all_picks"] == 16
    assert found["above_noise"] >= 12
    assert RunDirectory(output).read()["status"] == "done"
    halves = [open_volume(output / "averages" / f"tric_half{n}.mrc") for n in (1, 2)]
    middle = halves[0].shape[0] // 2
    for half in halves:  # protein bright, whatever the tomogram is
        assert half.data[middle - 2 : middle + 3].mean() > half.data[:3].mean()
    page = (output / "report.html").read_text()
    assert "picking has not seen" in page
    assert "a gold bead" in page


def test_the_report_is_written_again_as_it_was(judged):
    _, output = judged
    before = (output / "report.html").read_bytes()
    (output / "report.html").unlink()
    assert rerender_judgement(output).read_bytes() == before


def test_what_was_picked_in_the_tomogram_that_judges_is_never_found(scene, tmp_path):
    facts = judge_file(
        asked(scene, tmp_path / "out", tomogram=scene / "tomogram.mrc", unseen=None), SilentProgress()
    )
    found = facts["judged"]
    assert found["p_noise"] < 1e-3  # as far as it can be told they are no noise,
    assert found["outcome"] == UNCLEAR  # and it cannot
    assert found["reasons"][-1] == SEEN


def test_best_matches_in_noise_are_not_found_in_other_noise(tmp_path):
    """They look like TRiC where they were picked: a judge who sees only that would believe them."""
    shape = (36, 72, 72)
    for seed, name in enumerate(("even", "odd")):
        values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        write_volume(tmp_path / f"{name}.mrc", Volume(wedge_filtered(values, TILTS), SPACING))
    request = asked(tmp_path, tmp_path / "out")
    work = Work(request.asked, SilentProgress())
    boxes = boxes_for(work, work.templates["phantom:tric"])
    places = np.random.default_rng(2).uniform(200, SPACING * np.array(shape) - 200, (300, 3))
    scores = boxes.aligned_at(work.subject.working, places, work.templates["phantom:tric"].density).scores
    write_picks(tmp_path / "picks.star", places[np.argsort(-scores.numpy())[:20]], shape)
    facts = judge_file(request, SilentProgress())
    assert facts["judged"]["outcome"] == NOT_FOUND, facts["judged"]["reasons"]
    seen = judge_file(asked(tmp_path, tmp_path / "seen", unseen=None), SilentProgress())["judged"]
    assert seen["outcome"] != FOUND
    assert seen["p_noise"] < 0.05 < facts["judged"]["p_noise"]  # what the rule is for


def test_an_interrupted_run_comes_to_the_same_verdict(scene, judged, tmp_path):
    class Stopping(SilentProgress):
        def should_stop(self):
            return True

    request = asked(scene, tmp_path / "out")
    with pytest.raises(Interrupted):
        judge_file(request, Stopping())
    assert RunDirectory(tmp_path / "out").read()["status"] == "interrupted"
    with pytest.raises(InputError, match="holds another run"):
        judge_file(asked(scene, tmp_path / "out", structure="phantom:p97"), SilentProgress())
    facts = resume_judging(tmp_path / "out", SilentProgress())
    assert facts["judged"] == judged[0]["judged"]
    with pytest.raises(InputError, match="finished"):
        judge_file(request, SilentProgress())


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"unseen": "even.mrc"}, "even.mrc: --unseen is the very tomogram"),
        ({"unseen": "nowhere.mrc"}, "nowhere.mrc"),
        ({"unseen": "thin.mrc"}, "thin.mrc: has 32 × 72 × 72 voxels"),
        ({"unseen": "wide.mrc"}, "wide.mrc: has voxels of another size"),
        ({"unseen": "whole.mrc"}, "whole.mrc: shares its noise with"),
        ({"picks": "far.star"}, "far.star: no pick lies in"),
        ({"picks": "none.star"}, "none.star: holds no picks"),
        ({"picks": "even.mrc"}, "even.mrc: is of no type of particle file"),
        ({"structure": "phantom:nothing"}, "no phantom 'nothing'"),
        ({"against": ("phantom:tric",)}, "given twice"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(scene, tmp_path, changed, text):
    even = open_volume(scene / "even.mrc")
    write_volume(tmp_path / "even.mrc", even)
    write_volume(tmp_path / "thin.mrc", Volume(np.asarray(even.data)[:32].copy(), SPACING))
    write_volume(tmp_path / "wide.mrc", Volume(np.asarray(even.data)[::-1].copy(), 1.1 * SPACING))
    write_volume(tmp_path / "whole.mrc", open_volume(scene / "tomogram.mrc"))
    write_picks(tmp_path / "far.star", np.array([[1e5, 0, 0]]), even.shape)
    write_picks(tmp_path / "none.star", np.zeros((0, 3)), even.shape)
    paths = {k: tmp_path / v for k, v in changed.items() if k in ("unseen", "picks")}
    request = asked(scene, tmp_path / "out", tomogram=tmp_path / "even.mrc", **{**changed, **paths})
    with pytest.raises(InputError, match=re.escape(text)):
        judge_file(request, SilentProgress())
    assert not (tmp_path / "out").exists()


def test_inputs_are_never_replaced(scene, tmp_path):
    (tmp_path / "averages").mkdir()
    half = write_volume(tmp_path / "averages" / "tric_half1.mrc", open_volume(scene / "odd.mrc"))
    before = half.read_bytes()
    request = asked(scene, tmp_path, unseen=half)
    for overwrite in (False, True):
        again = replace(request, asked=replace(request.asked, overwrite=overwrite))
        with pytest.raises(InputError, match="would be replaced by the result"):
            judge_file(again, SilentProgress())
    assert half.read_bytes() == before


def test_picks_outside_are_left_out_and_told(scene, tmp_path):
    even = open_volume(scene / "even.mrc")
    outside = np.array([[300.0, 700.0, 700.0], [300.0, 700.0, -500.0]])
    write_picks(tmp_path / "picks.star", outside, even.shape)
    facts = judge(
        scene / "even.mrc",
        tmp_path / "picks.star",
        "phantom:tric",
        tmp_path / "out",
        unseen=scene / "odd.mrc",
        tilt_range_deg=TILTS,
    )
    assert facts["judged"]["all_picks"] == 1
    assert any("1 picks lie outside" in text for text in facts["warnings"])
    assert facts["judged"]["outcome"] != FOUND
