"""`vitreous average` as a hostile new user meets it, on a small tomogram of particles made of Gaussians."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import vitreous
from vitreous.averaging import angles_between
from vitreous.core import Poses
from vitreous.fourier import measured_region
from vitreous.fourier.rotations import random_rotations
from vitreous.io import (
    StarTable,
    open_volume,
    read_relion_particles,
    read_star,
    write_relion5_particles,
    write_star,
)

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
    assert facts["evidence_beyond_angstrom"] == 60
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
    assert "one .star file" in refused(run, "average", tomogram, "-o", output)
    assert "even number" in refused(run, "average", tomogram, picks, *ask, "--box", 25)
    assert "may be used" in refused(
        run, "average", tomogram, picks, *ask, "--box", 24, "--max-memory", "10MB"
    )
    assert not output.exists()


def test_another_run_is_not_overwritten_unasked(run, scene, averaged):
    folder, _, _ = scene
    words = ("average", folder / "007.mrc", folder / "picks.star", "-o", averaged[1], "--box", 24, *TILTS)
    assert "holds another run" in refused(run, *words)
    same = ("average", folder / "007.mrc", folder / "picks.star", "-o", averaged[1], *FAST)
    assert "holds this run, finished" in refused(run, *same, "--template", folder / "map.mrc")
