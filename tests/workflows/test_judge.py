"""Picks that are there already: a verdict that noise they were chosen by had no part in."""

import json
import re
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter

from vitreous.core import InputError, Interrupted, Poses, SilentProgress, Volume
from vitreous.evidence import FOUND, NOT_FOUND, UNCLEAR
from vitreous.io import (
    StarTable,
    open_volume,
    read_star,
    write_relion5_particles,
    write_star,
    write_volume,
)
from vitreous.picking import Picks
from vitreous.simulate import wedge_filtered
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings
from vitreous.workflows.annotate.boxes import boxes_for
from vitreous.workflows.annotate.subject import open_subject
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.judge import JudgeRequest, judge, judge_file, rerender_judgement, resume_judging
from vitreous.workflows.judge.files import SEEN, centred, evidence_of
from vitreous.workflows.judge.independence import likeness_of
from vitreous.workflows.judge.picks import given_picks
from vitreous.workflows.judge.unseen import MOST_SHARED, Copies, copies_of
from vitreous.workflows.run_directory import RunDirectory
from vitreous.workflows.simulate import SimulationSpec, simulate_tomogram

SPACING = 20.0
TILTS = (-60.0, 60.0)
PLACES = 32


def less(monkeypatch):
    """Fewer random places and decoys than usual: seconds instead of minutes, enough for picks this clear."""
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", PLACES)
    monkeypatch.setattr("vitreous.workflows.annotate.decoys.strangers", lambda *_: ["apoferritin"])


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    less(monkeypatch)


def write_picks(path, positions, shape, tomogram="even"):
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
        less(now)
        return judge_file(asked(scene, output), SilentProgress()), output


def test_a_request_survives_its_record_and_is_a_command(tmp_path):
    settings = AnnotateSettings(tilt_range_deg=(-50.0, 60.0), invert=False, seed=3, binning=2)
    names = ("phantom:tric", "phantom:groel")
    request = JudgeRequest(
        AnnotateRequest(tmp_path / "a b.mrc", names, tmp_path / "out", settings, 9.5),
        tmp_path / "picks.star",
        tmp_path / "odd.mrc",
        4.75,
        "TS_1",
    )
    again = JudgeRequest.from_json(json.loads(json.dumps(request.to_json())), request.asked.output)
    assert again == request
    words = shlex.split(request.command())
    assert words[:4] == ["vitreous", "judge", str(tmp_path / "a b.mrc"), str(tmp_path / "picks.star")]
    for option in ("--structure phantom:tric", "--against phantom:groel", "--tilt-range -50 60"):
        assert option in request.command()
    assert {"--no-invert", "--seed", "--binning", "--coordinate-pixel", "--unseen", "--tomogram-name"} <= set(
        words
    )


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
    assert facts["judged"]["p_noise"] > 0.05
    same, nothing = work.subject.working, given_picks(request, work.subject, 1.0)
    _, seen = evidence_of(request, work, nothing, Copies(same, same, (same, same), (same,)))
    assert seen["p_noise"] < 0.01  # what the rule is for


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
        ({"unseen": "smooth.mrc"}, "smooth.mrc: shares its noise with"),
        ({"unseen": "median.mrc"}, "median.mrc: shares its noise with"),
        ({"unseen": "turned.mrc"}, "turned.mrc: has the contrast turned over"),
        ({"unseen": "elsewhere.mrc"}, "elsewhere.mrc: does not show the same specimen"),
        ({"picks": "far.star"}, "far.star: no pick lies in"),
        ({"picks": "none.star"}, "none.star: holds no picks"),
        ({"picks": "even.mrc"}, "even.mrc: is of no type of particle file"),
        ({"picks": "two.json"}, "two.json"),
        ({"structure": "phantom:nothing"}, "no phantom 'nothing'"),
        ({"against": ("phantom:tric",)}, "given twice"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(scene, tmp_path, changed, text):
    even, odd, whole = (
        np.array(open_volume(scene / f"{name}.mrc").data, np.float32) for name in ("even", "odd", "tomogram")
    )
    volumes = {
        "even": even,
        "thin": even[:32],
        "whole": whole,
        "smooth": gaussian_filter(whole, 1),
        "median": median_filter(whole, 3),
        "turned": -odd,
        "elsewhere": np.roll(odd, 36, axis=2),
    }
    for name, values in volumes.items():
        write_volume(tmp_path / f"{name}.mrc", Volume(np.ascontiguousarray(values), SPACING))
    write_volume(tmp_path / "wide.mrc", Volume(np.ascontiguousarray(even[::-1]), 1.1 * SPACING))
    write_picks(tmp_path / "far.star", np.array([[1e5, 0, 0]]), even.shape)
    write_picks(tmp_path / "none.star", np.zeros((0, 3)), even.shape)
    (tmp_path / "two.json").write_text("[]")
    paths = {k: tmp_path / v for k, v in changed.items() if k in ("unseen", "picks")}
    request = asked(scene, tmp_path / "out", tomogram=tmp_path / "even.mrc", **{**changed, **paths})
    with pytest.raises(InputError, match=re.escape(text)):
        judge_file(request, SilentProgress())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("snr", "binning"), [(0.05, 1), (0.05, 2), (0.3, 1), (0.3, 2), (3.0, 1)])
def test_noises_that_are_independent_are_told_from_shared_ones(tmp_path, snr, binning):
    """Whatever the specimen is worth: 0.15 parts them, a fifth of the same noise is enough."""
    spec = {
        "seed": 8,
        "box": {"shape": (48, 96, 96), "voxel_spacing_angstrom": 10.0},
        "particles": [{"structure": "phantom:tric", "count": 10}],
        "imaging": {"snr": snr, "defocus_um": 3.5},
    }
    made = simulate_tomogram(SimulationSpec.model_validate(spec))
    even, odd = (np.asarray(half.data) for half in (made.even, made.odd))

    def subject(values):
        path = write_volume(tmp_path / "one.mrc", Volume(values, 10.0), overwrite=True)
        settings = AnnotateSettings(binning=binning, invert=False, tilt_range_deg=TILTS)
        return open_subject(AnnotateRequest(path, ("phantom:tric",), tmp_path / "out", settings), [])

    first = subject(even)
    independent = likeness_of(first, subject(odd))
    assert independent.noise < 0.1
    assert independent.specimen == pytest.approx(independent.expected, abs=0.12)
    assert likeness_of(first, subject(0.2 * even + 0.8 * odd)).noise > MOST_SHARED
    assert likeness_of(first, subject(0.5 * even + 0.5 * odd)).noise > 0.6


def test_inputs_are_never_replaced(scene, tmp_path):
    (tmp_path / "averages").mkdir()
    half = write_volume(tmp_path / "averages" / "mine.mrc", open_volume(scene / "odd.mrc"))
    before = half.read_bytes()
    request = asked(scene, tmp_path, unseen=half)
    for overwrite in (False, True):
        again = replace(request, asked=replace(request.asked, overwrite=overwrite))
        with pytest.raises(InputError, match="would be replaced by the result"):
            judge_file(again, SilentProgress())
    with pytest.raises(InputError, match="is there already, and of no run"):
        judge_file(asked(scene, tmp_path), SilentProgress())
    assert half.read_bytes() == before


def test_nothing_of_an_earlier_verdict_is_left(scene, judged, tmp_path):
    folder = shutil.copytree(judged[1], tmp_path / "run")
    few = np.array([[300.0, 700.0, 700.0]])
    write_picks(tmp_path / "picks.star", few, (36, 72, 72))
    request = asked(scene, folder, picks=tmp_path / "picks.star", structure="phantom:p97")
    judge_file(replace(request, asked=replace(request.asked, overwrite=True)), SilentProgress())
    assert not list(folder.rglob("tric_half*.mrc"))
    assert "phantom:tric" not in (folder / "run.json").read_text()


def given(scene, path, **changed):
    request = asked(scene, path.parent / "out", picks=path)
    work = Work(request.asked, SilentProgress())
    return given_picks(replace(request, **changed), work.subject, 100.0)


def test_picks_outside_and_those_made_twice_are_left_out_and_told(scene, tmp_path):
    """What is counted twice would be taken for two witnesses."""
    places = np.array(
        [[300, 700, 700], [300, 700, -500], [320, 720, 700], [300, 760, 760], [300, 400, 400.0]]
    )
    path = write_picks(tmp_path / "picks.star", places, (36, 72, 72))
    found = given(scene, path)
    assert np.allclose(found.picks.positions_angstrom, places[[0, 4]], atol=0.01)
    assert [text.split()[:2] for text in found.notes] == [["1", "picks"], ["2", "picks"]]
    assert "outside" in found.notes[0]
    assert "within 100 Å of better ones" in found.notes[1]
    assert (
        len(
            given(
                scene, write_picks(tmp_path / "many.star", np.repeat(places[:1], 60, 0), (36, 72, 72))
            ).picks
        )
        == 1
    )


def test_picks_that_meet_on_one_particle_are_one(scene, tmp_path):
    request = asked(scene, tmp_path / "out")
    work = Work(request.asked, SilentProgress())
    true = given_picks(request, work.subject, 1.0).picks.positions_angstrom
    beside = true[[0, 0, 1]] + np.array([(0, -30, 0), (0, 30, 0), (0, 0, 0)])
    found = centred(work, "phantom:tric", Picks(beside, np.arange(3.0)), copies_of(work, None))
    assert len(found) == 2
    near = np.linalg.norm(found.positions_angstrom[:, None] - true[None, :2], axis=2).min(axis=1)
    assert (near < 30).all()


def test_the_picks_of_one_tomogram_are_read_from_a_file_of_many(scene, tmp_path):
    shape, first, second = (36, 72, 72), np.array([[300, 700, 700.0]]), np.array([[300, 400, 400.0]])
    one, two = (
        write_picks(tmp_path / f"{name}.star", places, shape, name)
        for name, places in (("even", first), ("TS_02", second))
    )
    tables, others = read_star(one), read_star(two)
    columns = {
        key: (*column, *others["particles"].columns[key])
        for key, column in tables["particles"].columns.items()
    }
    both = tmp_path / "both.star"
    write_star(both, {**tables, "particles": StarTable(columns)})
    assert np.allclose(given(scene, both).picks.positions_angstrom, first, atol=0.01)
    named = given(scene, both, tomogram_name="TS_02")
    assert np.allclose(named.picks.positions_angstrom, second, atol=0.01)
    assert not named.doubts
    with pytest.raises(InputError, match="holds no picks in a tomogram TS_03, but in even, TS_02"):
        given(scene, both, tomogram_name="TS_03")
    assert "was taken to be it" in " ".join(given(scene, two).doubts)
    columns["rlnTomoName"] = ("TS_01", "TS_02")
    write_star(both, {**tables, "particles": StarTable(columns)}, overwrite=True)
    with pytest.raises(InputError, match=r"which of them is even.mrc cannot be told.*--tomogram-name"):
        given(scene, both)


def test_where_picks_may_not_lie_where_they_are_taken_to_lie_nothing_is_said_to_be_absent(scene, tmp_path):
    """Of a tomogram that is called otherwise: the places are those of another specimen, most likely."""
    places = np.random.default_rng(4).uniform((200, 300, 300), (500, 1100, 1100), (12, 3))
    path = write_picks(tmp_path / "picks.star", places, (36, 72, 72), "TS_99")
    facts = judge_file(asked(scene, tmp_path / "out", picks=path), SilentProgress())
    assert any("TS_99" in text for text in facts["warnings"])
    assert facts["judged"]["outcome"] == UNCLEAR
    assert any("TS_99" in text for text in facts["judged"]["reasons"])


def test_a_half_in_finer_voxels_judges_too(tmp_path):
    """Searched in 20 Å and averaged in 10: every step has its own voxels."""
    spec = {
        "seed": 6,
        "box": {"shape": (56, 104, 104), "voxel_spacing_angstrom": 10.0},
        "particles": [{"structure": "phantom:ribosome", "count": 10}],
        "imaging": {"snr": 0.3, "defocus_um": 3.0},
    }
    made = simulate_tomogram(SimulationSpec.model_validate(spec))
    for name in ("even", "odd"):
        write_volume(tmp_path / f"{name}.mrc", getattr(made, name))
    where = made.grand_model.poses.positions_angstrom + np.random.default_rng(0).uniform(-25, 25, (10, 3))
    turns = np.tile(np.eye(3), (10, 1, 1))
    write_relion5_particles(
        tmp_path / "picks.star",
        Poses(turns, where, ("particle",) * 10),
        tomogram_name="even",
        shape=made.tomogram.shape,
        voxel_spacing_angstrom=10.0,
    )
    facts = judge(
        tmp_path / "even.mrc",
        tmp_path / "picks.star",
        "phantom:ribosome",
        tmp_path / "out",
        unseen=tmp_path / "odd.mrc",
        tilt_range_deg=TILTS,
    )
    assert facts["judged"]["outcome"] == FOUND, facts["judged"]["reasons"]
    half = open_volume(tmp_path / "out/averages/ribosome_half1.mrc")
    assert half.voxel_spacing_angstrom == (10.0,) * 3
    assert facts["average"]["detail"]["p_value"] <= 0.05
