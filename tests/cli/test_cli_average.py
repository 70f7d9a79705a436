"""`vitreous average` as a hostile new user meets it, on a small tomogram of particles made of Gaussians."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import vitreous
from vitreous.averaging import angles_between
from vitreous.core import Poses, SilentProgress
from vitreous.fourier import measured_region
from vitreous.fourier.rotations import random_rotations
from vitreous.io import (
    StarTable,
    open_volume,
    read_relion_particles,
    read_star,
    write_dynamo_table,
    write_particles,
    write_relion5_particles,
    write_star,
)
from vitreous.io.euler import to_zyz
from vitreous.workflows.average import AverageRequest, AverageSettings, average_files
from vitreous.workflows.average.particles import open_particles
from vitreous.workflows.run_directory import RunDirectory

HERE = Path(__file__).resolve()
spec = importlib.util.spec_from_file_location("particles", HERE.parents[1] / "averaging" / "particles.py")
particles = importlib.util.module_from_spec(spec)
spec.loader.exec_module(particles)

SPACING, SIDE, SHAPE = 12.0, 24, (28, 72, 72)
TILTS = ("--tilt-range", -60, 60)
FAST = (*TILTS, "--rounds", 2, "--angular-step", 24, "--shift", 18, "--quiet")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A tomogram of nine dark particles, its picks half a voxel off, and a map of the particle."""
    folder = tmp_path_factory.mktemp("average")
    generator = torch.Generator().manual_seed(0)
    turns = random_rotations(9, generator)
    centres = torch.cartesian_prod(torch.tensor([14]), torch.tensor([13, 36, 59]), torch.tensor([13, 36, 59]))
    volume = torch.zeros(SHAPE)
    for turn, centre in zip(turns, centres, strict=True):
        cut = tuple(slice(int(c) - SIDE // 2, int(c) + SIDE // 2) for c in centre)
        volume[cut] += particles.blobs(turn)
    noise = torch.randn(SHAPE, generator=generator)
    region = measured_region(SHAPE, (-60, 60), half=True)
    volume = -volume / volume.std() + noise
    volume = torch.fft.irfftn(torch.fft.rfftn(volume) * region, s=SHAPE)
    vitreous.write_volume(folder / "007.mrc", vitreous.Volume(volume.numpy(), SPACING))
    vitreous.write_volume(folder / "map.mrc", vitreous.Volume(particles.blobs().numpy(), SPACING))
    offsets = np.random.default_rng(1).uniform(-6, 6, (9, 3))
    poses = Poses(np.tile(np.eye(3), (9, 1, 1)), centres.numpy() * SPACING + offsets, ("particle",) * 9)
    star = folder / "picks.star"
    write_relion5_particles(star, poses, tomogram_name="007", shape=SHAPE, voxel_spacing_angstrom=SPACING)
    tables = read_star(star)
    columns = {**tables["particles"].columns, "myNote": tuple(f"note {n}" for n in range(9))}
    write_star(star, {**tables, "particles": StarTable(columns)}, overwrite=True)
    return folder, turns, centres.numpy() * SPACING


@pytest.fixture(scope="module")
def averaged(scene, tmp_path_factory):
    from typer.testing import CliRunner

    from vitreous.cli.main import app

    folder, _, _ = scene
    output = tmp_path_factory.mktemp("out") / "run"
    words = [
        "average",
        folder / "007.mrc",
        folder / "picks.star",
        "-o",
        output,
        "--template",
        folder / "map.mrc",
    ]
    result = CliRunner().invoke(app, [str(w) for w in (*words, *FAST, "--json")])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), output


def test_particles_are_turned_as_they_lie(scene, averaged):
    _, turns, positions = scene
    found = read_relion_particles(averaged[1] / "aligned.star")
    (poses,) = found.poses.values()
    angles = angles_between(torch.from_numpy(poses.rotations), turns)
    assert angles.median() < 10
    assert np.median(np.linalg.norm(poses.positions_angstrom - positions, axis=1)) < SPACING / 2


def test_everything_promised_is_in_the_folder(averaged):
    facts, output = averaged
    names = {p.name for p in output.iterdir()}
    assert {
        "average.mrc",
        "half1.mrc",
        "half2.mrc",
        "fsc.json",
        "aligned.star",
        "report.html",
        "run.json",
    } <= names
    assert facts["particles"] == 9
    # The low-pass with its edge, and two Fourier voxels of the box that the mask smears it by.
    shared = 1.15 / 60 + 2 / (facts["box_voxels"] * SPACING)
    assert facts["evidence_beyond_angstrom"] == pytest.approx(1 / shared)
    volume = open_volume(output / "average.mrc")
    assert volume.voxel_spacing_angstrom == (SPACING,) * 3
    middle = volume.shape[0] // 2
    assert volume.data[middle, middle, middle] > volume.data.mean()  # bright, whatever the tomogram is
    curves = json.loads((output / "fsc.json").read_text())
    assert len(curves["corrected"]) == len(curves["frequency_per_angstrom"]) == len(curves["randomized"])
    report = (output / "report.html").read_text()
    assert "agreement with it counts beyond that alone" in report
    assert "vitreous average" in report


def test_unknown_columns_and_tables_survive(averaged, scene):
    before, after = (read_star(p) for p in (scene[0] / "picks.star", averaged[1] / "aligned.star"))
    assert list(before) == list(after)
    assert after["particles"].text("myNote") == before["particles"].text("myNote")
    assert set(after["particles"].text("rlnRandomSubset")) == {"1", "2"}
    assert set(before["particles"].columns) <= set(after["particles"].columns)


def test_a_stopped_run_goes_on_with_the_same_bytes(run, scene, averaged, tmp_path):
    folder, _, _ = scene
    output = tmp_path / "run"
    words = [
        "average",
        folder / "007.mrc",
        folder / "picks.star",
        "-o",
        output,
        "--template",
        folder / "map.mrc",
    ]
    code, _, err = run(*words, *FAST)
    assert code == 0, err
    for path in (output / "round_02.json", output / "round_02.safetensors", output / "average.mrc"):
        path.unlink()
    facts = json.loads((output / "run.json").read_text())
    (output / "run.json").write_text(json.dumps({**facts, "status": "interrupted"}))
    code, _, err = run("resume", output, "--quiet")
    assert code == 0, err
    assert np.array_equal(
        open_volume(output / "average.mrc").data, open_volume(averaged[1] / "average.mrc").data
    )
    code, _, err = run("resume", output)
    assert code == 2
    assert "already done" in err
    assert run("report", output)[0] == 0


def test_picks_of_two_tomograms_of_relion_4_with_offsets(run, scene, tmp_path):
    """Coordinates in pixels, angles split between subtomogram and particle, offsets: all end in one pose."""
    folder, turns, positions = scene
    for name in ("first", "second"):
        (tmp_path / f"{name}.mrc").write_bytes((folder / "007.mrc").read_bytes())
    names = tuple("first" if n < 5 else "second" for n in range(9))
    angles = to_zyz(turns.numpy())
    numbers = {f"rlnCoordinate{a}": positions[:, 2 - i] / SPACING + 1 for i, a in enumerate("XYZ")}
    numbers |= {f"rlnOrigin{a}Angst": np.full(9, SPACING) for a in "XYZ"}
    numbers |= {f"rlnAngle{a}": angles[:, i] for i, a in enumerate(("Rot", "Tilt", "Psi"))}
    numbers |= {f"rlnTomoSubtomogram{a}": np.zeros(9) for a in ("Rot", "Tilt", "Psi")}
    columns = {
        "rlnTomoName": names,
        **{k: tuple(f"{v:.6f}" for v in values) for k, values in numbers.items()},
    }
    optics = {"rlnOpticsGroup": ("1",), "rlnTomoTiltSeriesPixelSize": (f"{SPACING}",)}
    picks = write_star(tmp_path / "r4.star", {"optics": StarTable(optics), "particles": StarTable(columns)})
    tomograms = (tmp_path / "first.mrc", tmp_path / "second.mrc")
    words = (
        "--template",
        folder / "map.mrc",
        "--reach",
        10,
        "--angular-step",
        10,
        "--shift",
        6,
        "--rounds",
        1,
    )
    output = tmp_path / "out"
    code, _, err = run("average", *tomograms, picks, "-o", output, *words, *TILTS, "--quiet")
    assert code == 0, err
    after = read_star(output / "aligned.star")["particles"]
    assert after.text("rlnTomoName") == names
    assert "rlnCoordinateX" not in after
    assert np.abs(after.numbers("rlnOriginXAngst")).max() == 0
    found = read_relion_particles(output / "aligned.star")
    for name, rows in found.rows.items():
        poses = found.poses[name]
        assert angles_between(torch.from_numpy(poses.rotations), turns[rows]).max() <= 10.1
        assert np.linalg.norm(poses.positions_angstrom - positions[rows], axis=1).max() <= 6.1
    missing = refused(run, "average", tomograms[0], picks, "-o", tmp_path / "b", *words, *TILTS)
    assert "holds picks in a tomogram second" in missing


def refused(run, *words):
    code, out, err = run(*words)
    assert (code, out) == (2, ""), err
    assert err.count("\n") == 1
    return err


def test_what_cannot_be_averaged_is_refused_in_one_line(run, scene, tmp_path):
    folder, _, _ = scene
    tomogram, picks, output = folder / "007.mrc", folder / "picks.star", tmp_path / "out"
    ask = ("-o", output, *TILTS)
    nothing = Poses(np.zeros((0, 3, 3)), np.zeros((0, 3)), ())
    outside = Poses(np.tile(np.eye(3), (5, 1, 1)), np.full((5, 3), 5e4), ("a",) * 5)
    for name, poses in (("nothing", nothing), ("outside", outside)):
        write_relion5_particles(
            tmp_path / f"{name}.star", poses, tomogram_name="007", shape=SHAPE, voxel_spacing_angstrom=SPACING
        )
    vitreous.write_volume(tmp_path / "fine.mrc", vitreous.Volume(np.zeros((8, 8, 8), np.float32), 5.0))
    assert "holds no picks" in refused(run, "average", tomogram, tmp_path / "nothing.star", *ask, "--box", 24)
    assert "no pick of 007 lies in" in refused(
        run, "average", tomogram, tmp_path / "outside.star", *ask, "--box", 24
    )
    assert "larger than the tomogram" in refused(run, "average", tomogram, picks, *ask, "--box", 80)
    assert "differs from" in refused(
        run, "average", tomogram, tmp_path / "fine.mrc", picks, *ask, "--box", 24
    )
    assert "size of the particle is not known" in refused(run, "average", tomogram, picks, *ask)
    assert "does not fit a box" in refused(
        run, "average", tomogram, picks, *ask, "--template", "phantom:ribosome", "--box", 20
    )
    assert "is no structure" in refused(run, "average", tomogram, picks, *ask, "--template", "ribosome")
    assert "--symmetry Q3 is unknown" in refused(
        run, "average", tomogram, picks, *ask, "--box", 24, "--symmetry", "Q3"
    )
    assert "one file of picks" in refused(run, "average", tomogram, "-o", output)
    assert "one file of picks" in refused(run, "average", tomogram, picks, picks.with_suffix(".tbl"), *ask)
    assert "even number" in refused(run, "average", tomogram, picks, *ask, "--box", 25)
    assert "may be used" in refused(
        run, "average", tomogram, picks, *ask, "--box", 24, "--max-memory", "10MB"
    )
    for option in ("--low-pass", "--shift"):
        assert f"{option} 5000 is more than the box" in refused(
            run, "average", tomogram, picks, *ask, "--box", 24, option, 5000
        )
    assert "--reach must not be above 180" in refused(
        run, "average", tomogram, picks, *ask, "--box", 24, "--reach", 1e6
    )
    for value in (1.0, float("nan")):
        flat = np.full(SHAPE, value, np.float32)
        vitreous.write_volume(tmp_path / "007.mrc", vitreous.Volume(flat, SPACING), overwrite=True)
        err = refused(run, "average", tmp_path / "007.mrc", picks, *ask, "--box", 24)
        assert "007.mrc: " in err
        assert "check the file" in err
    assert not output.exists()


def test_another_run_is_not_overwritten_unasked(run, scene, averaged):
    folder, _, _ = scene
    words = ("average", folder / "007.mrc", folder / "picks.star", "-o", averaged[1], "--box", 24, *TILTS)
    assert "holds another run" in refused(run, *words)
    same = ("average", folder / "007.mrc", folder / "picks.star", "-o", averaged[1], *FAST)
    assert "holds this run, finished" in refused(run, *same, "--template", folder / "map.mrc")


def test_files_of_a_user_in_the_folder_stay(run, scene, tmp_path):
    folder, _, _ = scene
    words = ("average", folder / "007.mrc", folder / "picks.star", "--template", folder / "map.mrc", *FAST)
    mine = tmp_path / "mine"
    (mine / "round_1").mkdir(parents=True)
    (mine / "round_table.csv").write_text("mine")
    (mine / "round_notes.json").write_text("mine")
    code, _, err = run(*words, "-o", mine)
    assert code == 0, err
    assert run(*words, "-o", mine, "--overwrite")[0] == 0
    assert (mine / "round_table.csv").read_text() == (mine / "round_notes.json").read_text() == "mine"
    assert (mine / "round_1").is_dir()


def test_rounds_without_a_run_are_replaced_only_when_asked(run, scene, averaged, tmp_path):
    folder, _, _ = scene
    output = tmp_path / "run"
    output.mkdir()
    for name in ("round_02.json", "round_02.safetensors"):
        (output / name.replace("02", "07")).write_bytes((averaged[1] / name).read_bytes())
    words = ("average", folder / "007.mrc", folder / "picks.star", "--template", folder / "map.mrc", *FAST)
    assert "holds rounds of a run, and no run.json" in refused(run, *words, "-o", output)
    assert (output / "round_07.json").is_file()
    assert run(*words, "-o", output, "--overwrite")[0] == 0
    assert {p.stem for p in output.glob("round_*")} == {"round_01", "round_02"}


def test_old_rounds_go_before_a_new_run_is_recorded(scene, averaged, tmp_path, monkeypatch):
    """Whoever is killed in between must not go on with the rounds of another request."""
    folder, _, _ = scene
    output = tmp_path / "run"
    shutil.copytree(averaged[1], output)
    facts = (output / "run.json").read_bytes()

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, "begin", killed)
    settings = AverageSettings(str(folder / "map.mrc"), rounds=1, tilt_range_deg=(-60, 60), defocus_um=4)
    request = AverageRequest((folder / "007.mrc",), folder / "picks.star", output, settings, overwrite=True)
    assert "--defocus 4" in request.command()
    with pytest.raises(KeyboardInterrupt):
        average_files(request, SilentProgress())
    assert (output / "run.json").read_bytes() == facts
    assert not list(output.glob("round_*"))


def with_picks(scene, path, positions, **columns):
    """A file of picks at some places (n, 3) in Å of the scene, with more columns."""
    count = len(positions)
    poses = Poses(np.tile(np.eye(3), (count, 1, 1)), positions, ("particle",) * count)
    write_relion5_particles(path, poses, tomogram_name="007", shape=SHAPE, voxel_spacing_angstrom=SPACING)
    tables = read_star(path)
    table = StarTable({**tables["particles"].columns, **columns})
    return write_star(path, {**tables, "particles": table}, overwrite=True)


def subsets(run, scene, picks, output, *words):
    """Halves that came out (n,), and what `run.json` says."""
    folder, _, _ = scene
    asked = ("average", folder / "007.mrc", picks, "-o", output, "--template", folder / "map.mrc")
    code, _, err = run(*asked, *FAST, *words)
    assert code == 0, err
    half = read_star(output / "aligned.star")["particles"].text("rlnRandomSubset")
    return half, json.loads((output / "run.json").read_text())


def test_a_particle_that_was_picked_twice_is_in_one_half(run, scene, tmp_path):
    positions = np.concatenate([scene[2], scene[2][:3] + 10])
    picks = with_picks(scene, tmp_path / "twins.star", positions)
    half, facts = subsets(run, scene, picks, tmp_path / "out")
    assert half[9:] == half[:3]
    assert sorted(half) == ["1"] * 6 + ["2"] * 6
    assert any(text.startswith("6 picks lie no farther than") for text in facts["warnings"])
    assert not any("of different halves" in text for text in facts["warnings"])


def test_picks_that_became_one_particle_are_told_of(run, scene, tmp_path):
    along = np.array([0.0, 0.0, 1.0])
    positions = np.concatenate([scene[2] - 26 * along, scene[2][:2] + 26 * along])
    picks = with_picks(scene, tmp_path / "twins.star", positions)
    half, facts = subsets(run, scene, picks, tmp_path / "out", "--diameter", 100, "--shift", 40, "--box", 24)
    assert half[9] != half[0]
    (told,) = [text for text in facts["warnings"] if "of different halves" in text]
    assert told.startswith(("2 particles", "4 particles"))


def test_halves_of_the_file_stay_what_they_were(run, scene, tmp_path):
    theirs = tuple("1112221121")[:9]
    picks = with_picks(scene, tmp_path / "halves.star", scene[2], rlnRandomSubset=theirs)
    half, facts = subsets(run, scene, picks, tmp_path / "out")
    assert half == theirs
    assert facts["halves_from_file"]
    partly = with_picks(scene, tmp_path / "partly.star", scene[2], rlnRandomSubset=("0", *theirs[1:]))
    half, facts = subsets(run, scene, partly, tmp_path / "other")
    assert half == tuple("121212121")
    assert not facts["halves_from_file"]
    assert any("rlnRandomSubset" in text for text in facts["warnings"])


def test_what_gives_no_two_halves_is_refused(run, scene, tmp_path):
    folder, _, _ = scene
    crowd = with_picks(scene, tmp_path / "crowd.star", np.repeat(scene[2][:1], 9, axis=0))
    one = with_picks(scene, tmp_path / "one.star", scene[2], rlnRandomSubset=("1",) * 9)
    words = ("-o", tmp_path / "out", "--template", folder / "map.mrc", *FAST)
    told = refused(run, "average", folder / "007.mrc", crowd, *words)
    assert "0 of 9 particles are left to one half, if picks within" in told
    told = refused(run, "average", folder / "007.mrc", one, *words)
    assert "0 of 9 particles are left to one half, as given" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".tbl", ".json", ".csv"])
def test_picks_of_other_programs_give_the_same(run, scene, averaged, tmp_path, suffix):
    folder, _, _ = scene
    (poses,) = read_relion_particles(folder / "picks.star").poses.values()
    picks = tmp_path / f"picks{suffix}"
    write_particles(picks, poses, tomogram_name="007", shape=SHAPE, voxel_spacing_angstrom=SPACING)
    _, facts = subsets(run, scene, picks, tmp_path / "out")
    assert facts["particles"] == 9
    (found,) = read_relion_particles(tmp_path / "out" / "aligned.star").poses.values()
    (known,) = read_relion_particles(averaged[1] / "aligned.star").poses.values()
    assert np.abs(found.positions_angstrom - known.positions_angstrom).max() < 1e-3
    assert np.abs(found.rotations - known.rotations).max() < 1e-3
    name = "7" if suffix == ".tbl" else "007"
    assert set(read_star(tmp_path / "out" / "aligned.star")["particles"].text("rlnTomoName")) == {name}


def test_a_table_of_dynamo_for_two_tomograms(run, scene, tmp_path):
    folder, _, _ = scene
    for name in ("1", "2"):
        (tmp_path / f"{name}.mrc").write_bytes((folder / "007.mrc").read_bytes())
    (poses,) = read_relion_particles(folder / "picks.star").poses.values()
    tables = []
    for number, half in ((1, slice(0, 5)), (2, slice(5, 9))):
        one = tmp_path / f"of_{number}.tbl"
        write_dynamo_table(one, poses.select(half), voxel_spacing_angstrom=SPACING, tomogram=number)
        tables.append(one.read_text())
    picks = tmp_path / "both.tbl"
    picks.write_text("".join(tables))
    tomograms = (tmp_path / "1.mrc", tmp_path / "2.mrc")
    words = ("-o", tmp_path / "out", "--template", folder / "map.mrc", *FAST)
    code, _, err = run("average", *tomograms, picks, *words)
    assert code == 0, err
    after = read_star(tmp_path / "out" / "aligned.star")["particles"]
    assert after.text("rlnTomoName") == ("1",) * 5 + ("2",) * 4
    assert "holds picks in a tomogram 2" in refused(run, "average", tomograms[0], picks, *words)


def picks_of_two(scene, path, names):
    """A file of picks of two tomograms by these names, five and four particles."""
    (poses,) = read_relion_particles(scene[0] / "picks.star").poses.values()
    write_relion5_particles(path, poses, tomogram_name="t", shape=SHAPE, voxel_spacing_angstrom=SPACING)
    table = read_star(path)["particles"]
    columns = {**table.columns, "rlnTomoName": (names[0],) * 5 + (names[1],) * 4}
    return write_star(path, {"particles": StarTable(columns)}, overwrite=True)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("rec_TS_01.mrc", "rec_TS_02.mrc"), ("TS_01", "TS_02")),
        (("TS_1_12.00Apx.mrc", "TS_2_12.00Apx.mrc"), ("TS_1.tomostar", "TS_2.tomostar")),
        (("TS_1.mrc", "TS_2.mrc"), ("rec_TS_1", "rec_TS_2")),
        (("rec_a.mrc", "a.mrc"), ("rec_a", "a")),
        (
            ("ExperimentRuns/r_1/VoxelSpacing12/wbp.mrc", "ExperimentRuns/r_2/VoxelSpacing12/wbp.mrc"),
            ("r_1", "r_2"),
        ),
    ],
)
def test_tomograms_are_found_by_the_names_that_programs_give(scene, tmp_path, files, names):
    paths = [tmp_path / file for file in files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((scene[0] / "007.mrc").read_bytes())
    picks = picks_of_two(scene, tmp_path / "picks.star", names)
    settings = AverageSettings(tilt_range_deg=(-60, 60))
    opened = open_particles(AverageRequest(tuple(paths), picks, tmp_path / "out", settings))
    assert [(one.name, one.volume.path, len(one.poses)) for one in opened.tomograms] == [
        (names[0], paths[0], 5),
        (names[1], paths[1], 4),
    ]


def test_tomograms_that_cannot_be_told_apart_are_refused(run, scene, tmp_path):
    for name in ("rec_TS_1", "TS_1", "TS_2"):
        (tmp_path / f"{name}.mrc").write_bytes((scene[0] / "007.mrc").read_bytes())
    picks = picks_of_two(scene, tmp_path / "picks.star", ("TS_1.tomostar", "TS_2.tomostar"))
    words = ("-o", tmp_path / "out", *TILTS, "--box", 24)
    told = refused(run, "average", *sorted(tmp_path.glob("*TS*.mrc")), picks, *words)
    assert "TS_1.tomostar could be TS_1.mrc or rec_TS_1.mrc" in told


def test_the_pixel_of_coordinates_can_be_said(run, scene, tmp_path):
    folder, _, positions = scene
    columns = {"rlnTomoName": ("007",) * 9, "rlnOpticsGroup": ("1",) * 9}
    for index, axis in enumerate("XYZ"):
        columns[f"rlnCoordinate{axis}"] = tuple(str(p / 6.0) for p in positions[:, 2 - index])
    optics = {"rlnOpticsGroup": ("1",), "rlnTomoTiltSeriesPixelSize": ("3.0",), "rlnImagePixelSize": ("6.0",)}
    picks = write_star(tmp_path / "p.star", {"optics": StarTable(optics), "particles": StarTable(columns)})
    words = ("-o", tmp_path / "out", "--box", 24, *TILTS)
    told = refused(run, "average", folder / "007.mrc", picks, *words)
    assert "could be in pixels of 3 or 6 Å" in told
    assert "--coordinate-pixel" in told
    settings = AverageSettings(tilt_range_deg=(-60, 60), coordinate_pixel_angstrom=6.0)
    request = AverageRequest((folder / "007.mrc",), picks, tmp_path / "out", settings)
    assert "--coordinate-pixel 6.0" in request.command()
    (one,) = open_particles(request).tomograms
    np.testing.assert_allclose(one.poses.positions_angstrom, positions, atol=1e-6)
    words = (*words, "--coordinate-pixel")
    for value, file, text in (
        (6, folder / "picks.star", "goes with picks in pixels"),
        (6, tmp_path / "p.csv", "goes with picks in pixels"),
        (0, picks, "positive number"),
    ):
        assert text in refused(run, "average", folder / "007.mrc", file, *words, value)
    words = (*words, 6, *FAST[3:], "--diameter", 120)
    code, _, err = run("average", folder / "007.mrc", picks, *words)
    assert code == 0, err


@pytest.mark.parametrize("pixel", ["1", None])
def test_a_table_that_knows_no_voxels_has_the_tomograms(scene, tmp_path, pixel):
    (poses,) = read_relion_particles(scene[0] / "picks.star").poses.values()
    picks = write_dynamo_table(tmp_path / "p.tbl", poses, voxel_spacing_angstrom=SPACING)
    rows = [line.split() for line in picks.read_text().splitlines()]
    end = [] if pixel is None else [pixel]
    picks.write_text("".join(f"{' '.join(row[:35] + end)}\n" for row in rows))
    settings = AverageSettings(tilt_range_deg=(-60, 60))
    request = AverageRequest((scene[0] / "007.mrc",), picks, tmp_path / "out", settings)
    opened = open_particles(request)
    found = opened.tomograms[0].poses.positions_angstrom
    np.testing.assert_allclose(found, poses.positions_angstrom, atol=1e-4)
    assert any("those of the tomogram, 12 Å, were taken" in text for text in opened.warnings)


@pytest.mark.parametrize("place", ["aligned.star", "average.mrc", "half1.mrc"])
def test_what_a_run_reads_is_not_what_it_replaces(run, scene, averaged, tmp_path, place):
    """To go on from one's own result in the same folder would lose it."""
    folder = shutil.copytree(averaged[1], tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    picks, template = scene[0] / "picks.star", scene[0] / "map.mrc"
    picks, template = (folder / place, template) if place.endswith("star") else (picks, folder / place)
    words = ("average", scene[0] / "007.mrc", picks, "-o", folder, "--template", template, "--overwrite")
    code, _, err = run(*words, *FAST)
    assert code == 2
    assert f"{place}: would be replaced by the result; choose another -o" in err
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
