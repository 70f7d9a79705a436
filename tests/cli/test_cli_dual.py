"""`vitreous dual` and `denoise --method dual` as commands."""

import json

import numpy as np
import pytest

from vitreous import Volume, open_volume, write_volume


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(2):
        data = rng.normal(size=(20, 24, 22)).astype(np.float32)
        write_volume(tmp_path / "noisy" / f"{index}.mrc", Volume(data, 10.0))
    z, y, x = np.ogrid[:20, :24, :22]
    ball = ((z - 9) ** 2 + (y - 11) ** 2 + (x - 10) ** 2 < 30).astype(np.float32)
    write_volume(tmp_path / "grand_model.mrc", Volume(ball, 10.0))
    return tmp_path


def test_train_simulate_convert_and_denoise(run, files):
    model = files / "run"
    words = ("--noisy", files / "noisy", "--clean", files / "grand_model.mrc")
    code, out, err = run("dual", "train", *words, "-o", model, "--json")
    assert code == 0, err
    assert json.loads(out)["run_dir"] == str(model)
    grand = files / "grand_model.mrc"
    code, out, err = run(
        "dual", "simulate", grand, "-n", 2, "--seed", 1, "--model", model, "-o", files / "out"
    )
    assert code == 0, err
    assert len(list((files / "out").glob("*/tomogram.mrc"))) == 2
    code, _, err = run("dual", "convert", grand, "--to", "noisy", "--model", model, "-o", files / "n.mrc")
    assert code == 0, err
    tomogram = files / "noisy" / "0.mrc"
    code, _, err = run("denoise", tomogram, "--model", model, "--strength", 0, "-o", files / "same.mrc")
    assert code == 0, err
    np.testing.assert_array_equal(open_volume(files / "same.mrc").data, open_volume(tomogram).data)


def test_denoise_trains_on_the_spot(run, files):
    tomogram = files / "noisy" / "0.mrc"
    code, _, err = run("denoise", tomogram, "--method", "dual", "-o", files / "d.mrc")
    assert code == 0, err
    facts = json.loads((files / "d.run" / "model.json").read_text())
    assert facts["config"]["voxel_spacing_angstrom"] == pytest.approx(10)
    code, _, err = run("denoise", tomogram, "--model", files / "d.run", "-o", files / "again.mrc")
    assert code == 0, err
    np.testing.assert_allclose(
        open_volume(files / "again.mrc").data, open_volume(files / "d.mrc").data, atol=1e-6
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "gaussian", "--strength", "0.5"), "--strength means nothing to gaussian"),
        (("--method", "dual", "--strength", "1.5"), "--strength"),
    ],
)
def test_a_strength_that_makes_no_sense_is_one_line(run, files, words, message):
    code, _, err = run("denoise", files / "noisy" / "0.mrc", *words, "-o", files / "d.mrc")
    assert code == 2
    assert message in err


def test_a_training_that_was_stopped_is_resumed(run, files):
    words = ("--noisy", files / "noisy", "--clean", files / "grand_model.mrc", "-o", files / "run")
    assert run("dual", "train", *words)[0] == 0
    code, _, err = run("resume", files / "run")
    assert code == 2
    assert "already done" in err
    code, _, err = run("dual", "train", "--noisy", files / "none", "-o", files / "other")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
