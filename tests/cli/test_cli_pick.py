"""`vitreous pick` and `evaluate pick` as a hostile new user meets them."""

import json

import numpy as np
import pytest

import vitreous
from vitreous.core import Poses
from vitreous.io import (
    StarTable,
    read_particles,
    read_relion_particles,
    read_star,
    write_pose_table,
    write_relion5_particles,
    write_star,
)
from vitreous.picking import dog
from vitreous.workflows.pick import PickRequest, PickSettings

SPACING, SHAPE = 20.0, (24, 40, 44)
CENTRES = np.array([(240, 200, 300), (240, 600, 200), (200, 420, 660)], float)  # zyx, Å


def particles_in(shape=SHAPE, spacing=SPACING):
    """Three dark balls of 290 Å in noise."""
    grid = np.stack(np.meshgrid(*[np.arange(n) * spacing for n in shape], indexing="ij"), -1)
    volume = np.random.default_rng(0).normal(size=shape, scale=0.5)
    for centre in CENTRES:
        volume -= np.linalg.norm(grid - centre, axis=-1) < 145
    return volume.astype(np.float32)


@pytest.fixture
def seen(tmp_path):
    """A tomogram whose name is all digits, and its true positions as a table."""
    poses = Poses(np.tile(np.eye(3), (3, 1, 1)), CENTRES, ("ball",) * 3)
    write_pose_table(tmp_path / "truth.csv", poses)
    return vitreous.write_volume(tmp_path / "0042.mrc", vitreous.Volume(particles_in(), SPACING))


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def check_refused(run, folder, *words):
    before = files(folder)
    code, out, err = run(*words)
    assert (code, out) == (2, ""), err
    assert err.startswith("vitreous: ")
    assert err.count("\n") == 1
    assert files(folder) == before
    return err


def test_picks_are_where_the_particles_are(run, seen, tmp_path):
    output = tmp_path / "picks.star"
    code, out, err = run("pick", seen, "-o", output, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["picks"] == 3
    assert facts["diameter_angstrom"] == pytest.approx(290.4, abs=0.1)
    assert "GB of memory" in err
    particles = read_relion_particles(output)
    (name,) = particles.poses
    assert name == "0042"
    gaps = np.linalg.norm(particles.poses[name].positions_angstrom[:, None] - CENTRES, axis=-1)
    assert (gaps.min(axis=0) < 15).all()  # less than a voxel
    assert (np.diff(particles.scores[name]) <= 0).all()
    for columns in ("rlnCenteredCoordinateXAngst", "rlnAutopickFigureOfMerit", "rlnTomoName"):
        assert columns in read_star(output)["particles"]
    page = (tmp_path / "picks.star.run" / "report.html").read_text(encoding="utf-8")
    assert "Histogram of scores" in page
    assert "3 picks" in page
    record = json.loads((tmp_path / "picks.star.run" / "run.json").read_text())
    assert (record["kind"], record["status"]) == ("pick", "done")
    code, out, _ = run("evaluate", "pick", output, tmp_path / "truth.csv", "--json")
    scores = json.loads(out)
    assert (scores["precision"], scores["recall"], scores["f1"], scores["average_precision"]) == (1, 1, 1, 1)


def test_the_pixel_of_the_tilt_series_is_asked_for(run, seen, tmp_path):
    def told(name, *words):
        code, out, err = run("pick", seen, "-o", tmp_path / name, "--json", *words)
        assert code == 0, err
        return json.loads(out)["warnings"], read_relion_particles(tmp_path / name).poses["0042"]

    (five,), known = told("five.star")
    (four,), _ = told("four.star", "--format", "relion4")
    assert five != four
    for text in (five, four):
        assert "pixel of the tilt series" in text
        assert "20 Å" in text
        assert "--tilt-series-pixel" in text
        assert text.count(". ") == 0
    for kind in ("relion5", "relion4"):
        words = ("--tilt-series-pixel", 2.5, "--format", kind)
        doubts, found = told(f"{kind}.star", *words)
        assert doubts == []
        np.testing.assert_allclose(found.positions_angstrom, known.positions_angstrom, atol=1e-4)
        tables = read_star(tmp_path / f"{kind}.star")
        assert tables["optics"].numbers("rlnTomoTiltSeriesPixelSize") == 2.5
        record = json.loads((tmp_path / f"{kind}.star.run" / "run.json").read_text())
        assert "--tilt-series-pixel 2.5" in record["command"]
    code, out, _ = run("pick", seen, "-o", tmp_path / "a.tbl", "--json")
    assert (code, json.loads(out)["warnings"]) == (0, [])
    words = ("pick", seen, "--tilt-series-pixel")
    assert "goes with files of RELION" in check_refused(run, tmp_path, *words, 2.5, "-o", tmp_path / "b.tbl")
    assert "positive number" in check_refused(run, tmp_path, *words, 0, "-o", tmp_path / "b.star")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("rec_TS_01.mrc", "TS_01"),
        ("TS_1_20.00Apx.mrc", "TS_1"),
        ("ExperimentRuns/TS_001/VoxelSpacing20.000/wbp.zarr", "TS_001"),
    ],
)
def test_the_tomogram_is_called_as_other_programs_do(run, tmp_path, place, name):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    vitreous.write_volume(tmp_path / place, vitreous.Volume(particles_in(), SPACING))
    words = ("pick", tmp_path / place, "-q", "--count", 3)
    assert run(*words, "-o", tmp_path / "a.star")[0] == 0
    assert list(read_relion_particles(tmp_path / "a.star").poses) == [name]
    assert run(*words, "-o", tmp_path / "a.json")[0] == 0
    assert json.loads((tmp_path / "a.json").read_text())["run_name"] == name


def test_the_name_of_the_tomogram_can_be_said(run, seen, tmp_path):
    words = ("pick", seen, "-q", "--tomogram-name")
    assert run(*words, "rec_9", "-o", tmp_path / "a.star")[0] == 0
    assert list(read_relion_particles(tmp_path / "a.star").poses) == ["rec_9"]
    assert (
        "--tomogram-name rec_9" in json.loads((tmp_path / "a.star.run" / "run.json").read_text())["command"]
    )
    assert run(*words, "9", "-o", tmp_path / "a.tbl")[0] == 0
    assert list(read_particles(tmp_path / "a.tbl").poses) == ["9"]
    for name, file, told in (
        ("TS_9", "b.tbl", "a number"),
        ("9", "b.csv", "goes with"),
        (" ", "b.star", "one word"),
        ("a b", "b.star", "one word"),
    ):
        assert told in check_refused(run, tmp_path, *words, name, "-o", tmp_path / file)


def test_nothing_is_overwritten_unasked(run, seen, tmp_path):
    words = ("pick", seen, "-o", tmp_path / "picks.star", "--tilt-series-pixel", SPACING, "-q")
    assert run(*words)[0] == 0
    assert "exists" in check_refused(run, tmp_path, *words)
    assert "another run" in check_refused(run, tmp_path, *words, "--threshold", "5")
    code, _, err = run(*words, "--overwrite")
    assert (code, err) == (0, "")


def test_each_output_has_its_own_run_directory(run, seen, tmp_path):
    assert run("denoise", seen, "-o", tmp_path / "TS_1.mrc", "--method", "gaussian")[0] == 0
    for name in ("TS_1.star", "TS_1.tbl"):
        code, _, err = run("pick", seen, "-o", tmp_path / name)
        assert code == 0, err
    kinds = [json.loads(p.read_text())["kind"] for p in sorted(tmp_path.glob("TS_1*.run/run.json"))]
    assert sorted(kinds) == ["denoise", "pick", "pick"]


def test_a_run_of_another_kind_is_never_replaced(run, seen, tmp_path):
    assert run("denoise", seen, "-o", tmp_path / "a.mrc", "--method", "gaussian")[0] == 0
    words = ("pick", seen, "-o", tmp_path / "a.star", "--run-dir", tmp_path / "a.run", "-q")
    for more in ((), ("--overwrite",)):
        err = check_refused(run, tmp_path, *words, *more)
        assert "of kind denoise; choose another run directory" in err
    (tmp_path / "a.run" / "run.json").write_text("{")
    assert "cannot be read" in check_refused(run, tmp_path, *words)
    assert run(*words, "--overwrite")[0] == 0
    words = ("denoise", seen, "-o", tmp_path / "a.mrc", "--method", "gaussian", "--overwrite")
    assert "of kind pick; choose another run directory" in check_refused(run, tmp_path, *words)


def test_options_act(run, seen, tmp_path):
    def picked(*options):
        code, out, err = run("pick", seen, "-o", tmp_path / "a.star", "--overwrite", "--json", *options)
        assert code == 0, err
        return json.loads(out), err

    assert picked("--count", "1")[0]["picks"] == 1
    assert "raise --count" in picked("--count", "1")[1]
    assert picked("--diameter", "350")[0]["settings"]["min_distance_angstrom"] == pytest.approx(
        289.2, abs=0.1
    )
    assert "leave out --invert" in picked("--invert")[1]
    mask = np.zeros(SHAPE, np.float32)
    mask[:, :, 22:] = 1
    vitreous.write_volume(tmp_path / "mask.mrc", vitreous.Volume(mask, SPACING))
    assert picked("--mask", tmp_path / "mask.mrc")[0]["picks"] == 1


def test_an_empty_result_is_an_empty_file_with_a_warning(run, seen, tmp_path):
    output = tmp_path / "none.star"
    code, out, err = run("pick", seen, "-o", output, "--threshold", "1000", "--json")
    assert code == 0
    assert json.loads(out)["picks"] == 0
    assert "the file of picks is empty" in err
    assert len(read_star(output)["particles"]) == 0
    code, out, _ = run("evaluate", "pick", output, tmp_path / "truth.csv", "--json")
    assert code == 0
    assert json.loads(out) | {"precision": 0.0, "recall": 0.0, "f1": 0.0, "truth": 3} == json.loads(out)


def volumes(name):
    data = particles_in()
    if name == "constant":
        data[:] = 3
    if name == "nan":
        data[:] = np.nan
    if name == "tiny":
        data = data[:4, :4, :4]
    spacing = {"unknown": None, "one": 1.0, "uneven": (20.0, 20.0, 40.0)}.get(name, SPACING)
    return vitreous.Volume(data, spacing)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown", "--voxel-size"),
        ("one", "--voxel-size"),
        ("uneven", "differs between axes"),
        ("constant", "all its voxels are equal"),
        ("nan", "no finite voxel"),
        ("tiny", "shorter than a particle"),
    ],
)
def test_bad_tomograms_are_refused_in_one_line(run, tmp_path, name, words):
    file = vitreous.write_volume(tmp_path / "bad.mrc", volumes(name))
    assert words in check_refused(run, tmp_path, "pick", file, "-o", tmp_path / "o.star")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "best"], "unknown"),
        (["--method", "labels"], "neither labels nor probabilities"),
        (["--label", "1=a"], "--method labels"),
        (["--diameter", "0"], "--diameter"),
        (["--diameter", "20"], "too small for voxels"),
        (["--min-distance", "inf"], "--min-distance"),
        (["--max-memory", "1MB"], "--max-memory"),
        (["--mask", "mask.mrc"], "differs from"),
    ],
)
def test_bad_options_are_refused_in_one_line(run, seen, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    vitreous.write_volume("mask.mrc", vitreous.Volume(np.ones((4, 4, 4), np.float32), SPACING))
    assert words in check_refused(run, tmp_path, "pick", seen, "-o", tmp_path / "o.star", *options)


def test_the_output_must_be_a_star_file(run, seen, tmp_path):
    assert ".star" in check_refused(run, tmp_path, "pick", seen, "-o", tmp_path / "picks.mrc")


def test_a_stopped_run_is_resumed_with_the_same_bytes(run, seen, tmp_path, monkeypatch):
    run("pick", seen, "-o", tmp_path / "whole.star", "-q")
    difference = dog.difference_of_gaussians

    def stopped(*arguments, progress, **more):
        monkeypatch.setattr(dog, "difference_of_gaussians", difference)
        monkeypatch.setattr(progress, "stop_wanted", True)
        return difference(*arguments, progress=progress, **more)

    monkeypatch.setattr(dog, "difference_of_gaussians", stopped)
    code, _, err = run("pick", seen, "-o", tmp_path / "picks.star", "-q")
    assert code == 130
    assert "vitreous resume" in err
    assert not (tmp_path / "picks.star").exists()
    assert run("resume", tmp_path / "picks.star.run", "-q")[0] == 0
    assert (tmp_path / "picks.star").read_bytes() == (tmp_path / "whole.star").read_bytes()
    assert "already done" in check_refused(run, tmp_path, "resume", tmp_path / "picks.star.run")


def test_report_is_written_again_from_the_files(run, seen, tmp_path):
    run("pick", seen, "-o", tmp_path / "picks.star", "-q")
    page = tmp_path / "picks.star.run" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert run("report", tmp_path / "picks.star.run")[0] == 0
    assert len(page.read_bytes()) == pytest.approx(len(before), rel=0.01)
    (tmp_path / "picks.star").write_text("changed")
    assert "changed" in run("report", tmp_path / "picks.star.run")[2]


def test_the_command_repeats_the_request(tmp_path):
    settings = PickSettings("dog", 200.0, 150.0, 20, 3.5, True, "2GB")
    request = PickRequest(tmp_path / "a b.mrc", tmp_path / "o.star", tmp_path / "o.run", settings)
    assert PickRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    for words in (
        "'",
        "--diameter 200.0",
        "--min-distance 150.0",
        "--count 20",
        "--threshold 3.5",
        "--invert",
    ):
        assert words in request.command()


def relion(path, positions, name="t", **more):
    poses = Poses(np.tile(np.eye(3), (len(positions), 1, 1)), positions, ("ball",) * len(positions))
    return write_relion5_particles(
        path, poses, tomogram_name=name, shape=SHAPE, voxel_spacing_angstrom=SPACING, **more
    )


def test_evaluation_by_structure_distance_and_matching(run, tmp_path):
    truth = np.vstack([CENTRES, [(100.0, 100, 100)]])
    poses = Poses(np.tile(np.eye(3), (4, 1, 1)), truth, ("ball", "ball", "ball", "gold"))
    write_pose_table(tmp_path / "truth.csv", poses)
    picks = np.vstack([CENTRES + np.array([0, 0, 70]), CENTRES[:1] - np.array([0, 0, 70])])
    relion(tmp_path / "picks.star", picks)

    def scores(*options):
        code, out, err = run(
            "evaluate", "pick", tmp_path / "picks.star", tmp_path / "truth.csv", "--json", *options
        )
        assert code == 0, err
        return json.loads(out)

    found = scores()
    assert (found["precision"], found["recall"]) == (0.75, 0.75)
    assert "average_precision" not in found  # these picks have no scores
    assert found["mean_distance_angstrom"] == pytest.approx(70.0, abs=0.01)
    assert scores("--structure", "ball")["recall"] == 1.0
    assert scores("--matching", "any")["precision"] == 1.0
    assert scores("--distance", "60")["f1"] == 0.0
    files = (tmp_path / "picks.star", tmp_path / "truth.csv")
    for options, words in (
        (["--structure", "actin"], "holds no particle called actin"),
        (["--distance", "0"], "--distance"),
        (["--matching", "best"], "--matching"),
    ):
        assert words in check_refused(run, tmp_path, "evaluate", "pick", *files, *options)


def test_several_tomograms_are_joined_by_name(run, tmp_path):
    def joined(path, parts):
        tables = [read_star(relion(tmp_path / f"{path}-{n}.star", p, n)) for n, p in parts.items()]
        merged = {
            block: StarTable(
                {c: sum((t[block].columns[c] for t in tables), ()) for c in tables[0][block].columns}
            )
            for block in ("particles", "tomograms")
        }
        return write_star(tmp_path / path, merged)

    truth = joined("truth.star", {"001": CENTRES, "002": CENTRES[:2], "003": CENTRES[:1]})
    picks = joined("picks.star", {"002": CENTRES[:2], "001": CENTRES[2:]})
    code, out, err = run("evaluate", "pick", picks, truth, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["picks"], found["truth"], found["hits"]) == (3, 6, 3)
    other = joined("other.star", {"001": CENTRES, "009": CENTRES})
    assert "009" in check_refused(run, tmp_path, "evaluate", "pick", other, truth)


def test_a_simulated_folder_and_shrec_layout_are_truth(run, tmp_path):
    spec = """
version = 1
[box]
shape = [24, 40, 40]
voxel_spacing_angstrom = 20.0
[[particles]]
structure = "phantom:ribosome"
count = 2
[tilts]
step_deg = 30.0
[imaging]
snr = 10.0
"""
    (tmp_path / "s.toml").write_text(spec)
    found = []
    for layout, volume in (("vitreous", "tomogram"), ("shrec21", "reconstruction")):
        folder = tmp_path / layout
        assert run("simulate", tmp_path / "s.toml", "-o", folder, "--layout", layout, "-q")[0] == 0
        place = next(p for p in folder.iterdir() if p.is_dir())
        picks = tmp_path / f"{layout}.star"
        assert run("pick", place / f"{volume}.mrc", "-o", picks, "-q")[0] == 0
        truths = [place, place / ("poses.csv" if layout == "vitreous" else "particle_locations.txt")]
        for truth in truths:
            code, out, err = run("evaluate", "pick", picks, truth, "--json")
            assert code == 0, err
            found.append(json.loads(out))
    assert all(one["truth"] == 2 for one in found)
    assert len({(one["hits"], one["picks"]) for one in found}) == 1
    assert found[0]["recall"] >= 0.5


@pytest.fixture
def labelled(tmp_path):
    """A label volume with two classes, and its truth."""
    grid = np.stack(np.meshgrid(*[np.arange(n) * SPACING for n in SHAPE], indexing="ij"), -1)
    volume = np.zeros(SHAPE, np.int8)
    for label, centre in zip((1, 1, 3), CENTRES, strict=True):
        volume[np.linalg.norm(grid - centre, axis=-1) < (100 if label == 3 else 145)] = label
    poses = Poses(np.tile(np.eye(3), (3, 1, 1)), CENTRES, ("ball", "ball", "bead"))
    write_pose_table(tmp_path / "truth.csv", poses)
    return vitreous.write_volume(tmp_path / "labels.mrc", vitreous.Volume(volume, SPACING), dtype=np.int8)


def test_labels_are_picked_class_by_class(run, labelled, tmp_path):
    output = tmp_path / "picks.star"
    options = ("--method", "labels", "--label", "1=ball,3=bead,7=actin")
    code, out, err = run("pick", labelled, "-o", output, "--json", *options)
    assert code == 0, err
    assert json.loads(out)["classes"] == {"ball": 2, "bead": 1}
    assert "No voxel is of class actin (label 7)" in err
    page = (tmp_path / "picks.star.run" / "report.html").read_text(encoding="utf-8")
    assert "colours of classes" in page
    assert "picks of bead" in page
    particles = read_relion_particles(output)
    assert sorted(particles.poses["labels"].names) == ["ball", "ball", "bead"]
    assert set(read_star(output)["particles"].text("rlnClassNumber")) == {"1", "2"}
    code, out, _ = run("evaluate", "pick", output, tmp_path / "truth.csv", "--distance", "20", "--json")
    scores = json.loads(out)
    assert scores["f1"] == 1
    assert {name: one["f1"] for name, one in scores["classes"].items()} == {"ball": 1, "bead": 1}
    assert run("report", tmp_path / "picks.star.run")[0] == 0
    assert "bead: precision 1" in run("evaluate", "pick", output, tmp_path / "truth.csv")[1]


def test_all_labels_and_probability_maps(run, labelled, tmp_path):
    def picked(volume, *options):
        words = ("pick", volume, "-o", tmp_path / "a.star", "--method", "labels", "--overwrite", "--json")
        code, out, err = run(*words, *options)
        assert code == 0, err
        return json.loads(out)["classes"], err

    assert picked(labelled)[0] == {"label-1": 2, "label-3": 1}
    values = np.asarray(vitreous.open_volume(labelled).data)
    soft = vitreous.Volume((0.1 + 0.8 * (values == 1)).astype(np.float32), SPACING)
    vitreous.write_volume(tmp_path / "soft.mrc", soft)
    assert picked(tmp_path / "soft.mrc", "--label", "ball")[0] == {"ball": 2}
    nothing = vitreous.Volume(np.zeros(SHAPE, np.int8), SPACING)
    vitreous.write_volume(tmp_path / "nothing.mrc", nothing, dtype=np.int8)
    counts, warned = picked(tmp_path / "nothing.mrc")
    assert counts == {}
    assert "the file of picks is empty" in warned


def test_names_of_a_segmentation_are_found_beside_it(run, labelled, tmp_path):
    facts = {
        "kind": "segment",
        "status": "done",
        "request": {"output": str(labelled)},
        "classes": ["background", "ball", "membrane", "bead"],
    }
    (tmp_path / "labels.run").mkdir()
    (tmp_path / "labels.run" / "run.json").write_text(json.dumps({"schema": 1, **facts}))
    words = ("pick", labelled, "-o", tmp_path / "a.star", "--method", "labels", "--json", "--overwrite")
    assert json.loads(run(*words)[1])["classes"] == {"ball": 2, "bead": 1}
    assert json.loads(run(*words, "--label", "bead")[1])["classes"] == {"bead": 1}
    assert json.loads(run(*words, "--label", "3,1=other")[1])["classes"] == {"bead": 1, "other": 2}
    assert "its classes have numbers" in run(*words, "--label", "actin")[2]


@pytest.mark.parametrize(
    ("file", "label", "words"),
    [
        ("labels.mrc", "ball", "its classes have numbers"),
        ("labels.mrc", "0", "not understood"),
        ("labels.mrc", "1,1=a", "not understood"),
        ("soft.mrc", "1=ball", "probability map"),
        ("instances.mrc", "all", "more than 100"),
    ],
)
def test_labels_that_are_not_there_are_refused(run, labelled, tmp_path, file, label, words):
    instances = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 300
    for name, values in (("soft.mrc", 0.5 * (instances > 9)), ("instances.mrc", instances)):
        vitreous.write_volume(tmp_path / name, vitreous.Volume(values.astype(np.float32), SPACING))
    refusal = check_refused(
        run,
        tmp_path,
        "pick",
        tmp_path / file,
        "-o",
        tmp_path / "o.star",
        "--method",
        "labels",
        "--label",
        label,
    )
    assert words in refusal


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.tbl", ()), ("a.json", ()), ("a.csv", ()), ("a.star", ("--format", "relion4"))],
)
def test_every_format_is_written_evaluated_and_reported(run, seen, tmp_path, name, options):
    output = tmp_path / name
    code, _, err = run("pick", seen, "-o", output, "-q", *options)
    assert code == 0, err
    code, out, err = run("evaluate", "pick", output, tmp_path / "truth.csv", "--json")
    assert code == 0, err
    assert json.loads(out)["f1"] == 1
    assert run("report", tmp_path / f"{name}.run")[0] == 0


def test_copick_takes_one_kind_and_says_so_before_the_work(run, labelled, tmp_path):
    words = ("pick", labelled, "-o", tmp_path / "a.json", "--method", "labels")
    assert "one kind" in check_refused(run, tmp_path, *words)
    assert run(*words, "--label", "3=bead", "-q")[0] == 0
    assert json.loads((tmp_path / "a.json").read_text())["pickable_object_name"] == "bead"
    words = ("pick", labelled, "-o", tmp_path / "b.tbl", "--format", "copick")
    assert "format copick" in check_refused(run, tmp_path, *words)


def test_template_options_that_make_no_sense_are_refused(run, seen, tmp_path):
    output = tmp_path / "t.star"
    matching = ("pick", seen, "-o", output, "--method", "template")
    for words, told in (
        (matching, "--method template needs a structure"),
        ((*matching, "--template", "ribosome"), "is no structure"),
        ((*matching, "--template", "phantom:nothing"), "nothing"),
        ((*matching, "--template", tmp_path / "no.mrc"), "no such file"),
        ((*matching, "--template", "phantom:ribosome", "--symmetry", "E2"), "--symmetry E2 is unknown"),
        ((*matching, "--template", "phantom:ribosome", "--angular-step", 0), "--angular-step"),
        ((*matching, "--template", "phantom:ribosome", "--diameter", 200), "--diameter is the template's"),
        (
            (*matching, "--template", "phantom:ribosome", "--tilt-range", 60, -60),
            "the lowest tilt comes first",
        ),
        ((*matching, "--template", "phantom:ribosome"), "give --tilt-range MIN MAX"),
        ((*matching, "--template", "phantom:ribosome", "--defocus", 0), "--defocus must be"),
        (("pick", seen, "-o", output, "--template", "phantom:ribosome"), "goes with --method template"),
        (("pick", seen, "-o", output, "--defocus", 4), "goes with --method template"),
    ):
        assert told in check_refused(run, tmp_path, *words)


def test_a_template_is_matched_and_the_run_is_told(run, seen, tmp_path):
    grid = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), -1)
    ball = (np.linalg.norm((grid - 10) * SPACING, axis=-1) < 145).astype(np.float32)
    vitreous.write_volume(tmp_path / "ball.mrc", vitreous.Volume(ball, SPACING))
    output = tmp_path / "t.star"
    words = ("--template", tmp_path / "ball.mrc", "--tilt-range", -89, 87, "--angular-step", 90)
    words = (*words, "--defocus", 4)
    code, out, err = run("pick", seen, "-o", output, "--method", "template", *words, "--count", 3, "--json")
    assert code == 0, err
    facts = json.loads(out)
    found = next(iter(read_relion_particles(output).poses.values()))
    gaps = np.linalg.norm(found.positions_angstrom[:, None] - CENTRES, axis=-1)
    assert (gaps.min(axis=1) < 30).all()
    assert facts["orientations"] > 1
    report = (tmp_path / "t.star.run" / "report.html").read_text()
    assert "template matching with" in report
    assert "--defocus 4.0" in report
    assert run("report", tmp_path / "t.star.run")[0] == 0
