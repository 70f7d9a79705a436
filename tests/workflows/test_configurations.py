"""Configurations from the command line: by name, from a file, printed and read again."""

import json
import tomllib

import numpy as np
import pytest

from vitreous.core import InputError
from vitreous.methods import LEARNED, BlindSpotConfig
from vitreous.report import DenoiseEvidence
from vitreous.workflows.denoise import DenoiseSettings, as_toml, config_text
from vitreous.workflows.denoise.config import chosen_config


def test_the_papers_configuration_by_name():
    assert chosen_config("blindspot", DenoiseSettings(config="paper")) == BlindSpotConfig.paper()
    few = chosen_config("blindspot", DenoiseSettings(config="paper", steps=7))
    assert few == BlindSpotConfig.paper().model_copy(update={"steps": 7})
    with pytest.raises(InputError, match="--method blindspot has one"):
        chosen_config("noise-model", DenoiseSettings(config="paper"))


@pytest.mark.parametrize("method", LEARNED)
def test_what_is_printed_is_read_again(tmp_path, method):
    kind = LEARNED[method][1]
    configs = [kind(), kind(steps=7, betas=(0.5, 0.999), learning_rate=1e-5)]
    for config in [*configs, *([kind.paper()] if hasattr(kind, "paper") else [])]:
        file = tmp_path / "a.toml"
        file.write_text(as_toml(method, config))
        assert chosen_config(method, DenoiseSettings(config=str(file))) == config


def printed(run, *words):
    code, out, err = run("denoise", *words, "--print-config")
    assert code == 0, err
    return tomllib.loads(out)


def test_printing_needs_no_file_and_writes_none(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert printed(run)["method"] == "noise-model"
    assert printed(run, "--even", "e.mrc", "--odd", "o.mrc")["method"] == "n2n"
    table = printed(run, "--method", "blindspot", "--steps", "5")
    assert (table["method"], table["steps"], table["patch_side"]) == ("blindspot", 5, 24)
    assert list(tmp_path.iterdir()) == []
    assert run("denoise", "--method", "gaussian", "--print-config")[0] == 2
    assert run("denoise", "--config", "none.toml", "--print-config")[0] == 2


def test_a_file_gives_what_its_settings_give(run, tomogram, tmp_path):
    (tmp_path / "own.toml").write_text(config_text(DenoiseSettings("blindspot", steps=4)))
    plain = ["denoise", tomogram, "--method", "blindspot", "--steps", "4"]
    assert run(*plain, "-o", tmp_path / "a.mrc")[0] == 0
    code, out, _ = run(
        "denoise", tomogram, "--config", tmp_path / "own.toml", "-o", tmp_path / "b.mrc", "--json"
    )
    assert code == 0
    assert json.loads(out)["reason"] == "as the configuration file says"
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()
    facts = json.loads((tmp_path / "b.run" / "run.json").read_text())
    assert facts["steps"] == 4
    assert f"--config {tmp_path / 'own.toml'}" in facts["command"]


BAD = {
    "no TOML": "steps = ",
    "binary": "\0",
    "unknown name": "stepps = 5",
    "wrong type": 'steps = "many"',
    "no steps": "steps = 0",
    "wrong table": "[losses]\nnoise = 1",
    "unknown method": 'method = "magic"',
    "another method": 'method = "n2n"',
    "odd patches": "patch_side = 25",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
@pytest.mark.parametrize("method", ["blindspot", "auto"])
def test_a_file_that_describes_none_is_one_line(run, tomogram, tmp_path, text, method):
    (tmp_path / "own.toml").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    words = ["denoise", tomogram, "-o", tmp_path / "out.mrc", "--method", method]
    code, out, err = run(*words, "--config", tmp_path / "own.toml")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert sorted(tmp_path.rglob("*")) == before


def test_what_excludes_a_configuration(run, tomogram, tmp_path):
    words = ["denoise", tomogram, "-o", tmp_path / "out.mrc", "--config", "paper"]
    for more in (["--method", "gaussian"], ["--model", tmp_path], []):
        code, out, err = run(*words, *more)
        assert (code, out, err.count("\n")) == (2, "", 1), err


def test_the_validation_loss_reaches_the_report(run, tomogram, tmp_path):
    """Of the two patches that the volume (12 × 20 × 17) holds side by side, one is held out."""
    (tmp_path / "own.toml").write_text("patch_side = 9\nvalidation_share = 0.5\nsteps = 9\n")
    words = ["--method", "blindspot", "--config", tmp_path / "own.toml"]
    assert run("denoise", tomogram, "-o", tmp_path / "out.mrc", *words)[0] == 0
    loss = DenoiseEvidence.load(tmp_path / "out.run").loss
    np.testing.assert_array_equal(loss.validation_steps, np.arange(1, 10))
    assert np.isfinite(loss.validation_values).all()
    assert run("denoise", tomogram, "-o", tmp_path / "plain.mrc", "--method", "blindspot")[0] == 0
    assert DenoiseEvidence.load(tmp_path / "plain.run").loss.validation_values is None
