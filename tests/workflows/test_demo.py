"""The demonstration, whole, and begun again over an earlier one."""

import json

import numpy as np

from vitreous.io import open_volume


def test_what_is_found_is_compared_with_what_is_there(run, tmp_path):
    code, out, err = run("demo", "-o", tmp_path / "demo", "--json")
    assert code == 0, err
    facts = json.loads(out)
    made = {
        name: np.asarray(open_volume(tmp_path / "demo" / f"{name}.mrc").data)
        for name in ("truth", "tomogram")
    }
    noise = {name: np.mean((data - made["truth"]) ** 2) for name, data in made.items()}
    before = 20 * np.log10(np.ptp(made["truth"])) - 10 * np.log10(noise["tomogram"])
    assert np.isclose(facts["scores"]["psnr"] - facts["scores"]["delta_psnr"], before, atol=1e-3)
    found = facts["structures"]
    assert (found["phantom:rubisco"]["true"], found["phantom:tric"]["true"]) == (8, 0)
    assert found["phantom:tric"]["recall"] == found["phantom:tric"]["precision"] == 0
    assert 0 <= found["phantom:rubisco"]["recall"] <= 1
    code, out, err = run("demo", "-o", tmp_path / "demo")
    assert code == 0, err
    said = [line.split(": ")[0] for line in out.splitlines()]
    assert said == ["denoised", "phantom:rubisco", "phantom:tric", "results", "report"]
    assert "none is there" in out
    picture = tmp_path / "demo.png"
    assert run("report", tmp_path / "demo", "--picture", picture)[0] == 0
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_files_of_something_else_are_left_alone(run, tmp_path):
    mine = tmp_path / "tomogram.mrc"
    mine.write_bytes(b"mine")
    code, _, err = run("demo", "-o", tmp_path)
    assert code == 2
    assert "holds files of something else" in err
    assert mine.read_bytes() == b"mine"
