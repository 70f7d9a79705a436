"""Configurations from the command line: by name, from a file, printed and read again."""

import json
import sys
import tomllib

import numpy as np
import pytest

from vitreous.core import InputError
from vitreous.methods import CLASSICAL, LEARNED, BlindSpotConfig, NoiseModelConfig
from vitreous.report import DenoiseEvidence
from vitreous.workflows.denoise import DenoiseSettings, as_toml, config_text
from vitreous.workflows.denoise.config import chosen_config, chosen_filter


def test_a_printed_configuration_leaves_to_the_volume_what_the_default_leaves_to_it(tmp_path):
    file = tmp_path / "printed.toml"
    file.write_text(config_text(DenoiseSettings()), encoding="utf-8")
    assert "steps" not in file.read_text(encoding="utf-8")
    assert chosen_config("noise-model", DenoiseSettings(config=str(file))) == NoiseModelConfig()


def test_the_papers_configuration_by_name():
    assert chosen_config("blindspot", DenoiseSettings(config="paper")) == BlindSpotConfig.paper()
    few = chosen_config("blindspot", DenoiseSettings(config="paper", steps=7))
    assert few == BlindSpotConfig.paper().model_copy(update={"steps": 7})
    with pytest.raises(InputError, match="--method blindspot, dual has one"):
        chosen_config("noise-model", DenoiseSettings(config="paper"))


@pytest.mark.parametrize("method", LEARNED)
def test_what_is_printed_is_read_again(tmp_path, method):
    kind = LEARNED[method][1]
    configs = [kind(), kind(steps=7, betas=(0.5, 0.999), learning_rate=1e-5)]
    for config in [*configs, *([kind.paper()] if hasattr(kind, "paper") else [])]:
        file = tmp_path / "a.toml"
        file.write_text(as_toml(method, config))
        assert chosen_config(method, DenoiseSettings(config=str(file))) == config


@pytest.mark.parametrize("method", CLASSICAL)
def test_filters_have_configurations_too(tmp_path, method):
    settings = {"deconv": {"defocus_um": 3.5, "phases_flipped": True}, "nad": {"steps": 4}}.get(method, {})
    filtering = CLASSICAL[method](**settings)
    file = tmp_path / "a.toml"
    file.write_text(as_toml(method, filtering))
    assert chosen_filter(method, DenoiseSettings(config=str(file))) == filtering
    with pytest.raises(InputError, match=f"{method} has no configuration paper"):
        chosen_filter(method, DenoiseSettings(config="paper"))
    file.write_text("sigmma = 3")
    with pytest.raises(InputError, match=f"sigmma: .*--method {method} --print-config"):
        chosen_filter(method, DenoiseSettings(config=str(file)))


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
    assert printed(run, "--method", "gaussian") == {"method": "gaussian", "version": 1, "sigma": 1.0}
    table = printed(run, "--method", "deconv", "--defocus", "4", "--cs", "2")
    assert (table["defocus_um"], table["spherical_aberration_mm"], table["voltage_kv"]) == (4, 2, 300)
    assert "defocus_um" not in printed(run, "--method", "deconv")
    assert run("denoise", "--method", "nlm", "--defocus", "4", "--print-config")[0] == 2
    assert run("denoise", "--method", "magic", "--print-config")[0] == 2
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


def test_optics_on_the_command_line_go_before_those_of_a_file(run, tomogram, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('method = "deconv"\ndefocus_um = 2.0\nvoltage_kv = 200.0\nfalloff = 0.5\n')
    words = ["denoise", tomogram, "--config", file]
    for name, more in (("a", ["--defocus", "4.25"]), ("b", []), ("c", ["--voltage", "0"])):
        code, out, err = run(*words, *more, "-o", tmp_path / f"{name}.mrc", "--json")
        assert code == (2 if name == "c" else 0), err
    assert err == "vitreous: --voltage: input should be greater than 0\n"
    facts = json.loads((tmp_path / "a.run" / "run.json").read_text())
    assert "defocus_um 4.25, voltage_kv 200.0" in facts["found"]["settings"]
    assert "--defocus 4.25" in facts["command"]
    assert "--defocus" not in json.loads((tmp_path / "b.run" / "run.json").read_text())["command"]
    assert (tmp_path / "a.mrc").read_bytes() != (tmp_path / "b.mrc").read_bytes()
    plain = ["denoise", tomogram, "--method", "deconv", "-o", tmp_path / "d.mrc"]
    code, out, err = run(*plain)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--defocus UM" in err
    assert not (tmp_path / "d.run").exists()


def test_a_missing_extra_is_one_line(run, tomogram, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bm4d", None)
    code, out, err = run("denoise", tomogram, "--method", "bm4d", "-o", tmp_path / "out.mrc")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "pip install vitreous[bm4d]" in err
    assert not (tmp_path / "out.run").exists()


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
