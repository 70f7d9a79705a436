"""The supervised methods through files: what they need to know, and what a trained one no longer needs."""

import json

import numpy as np
import pytest

import vitreous
from vitreous.core import InputError, SilentProgress


def test_the_report_says_what_was_simulated(run, tomogram, tmp_path):
    words = ["--method", "ffdnet", "--voxel-size", "12", "--json"]
    code, out, err = run("denoise", tomogram, "-o", tmp_path / "out.mrc", *words)
    assert code == 0, err
    facts = json.loads(out)
    assert facts["method"] == "ffdnet"
    assert facts["found"]["trained on"].startswith("1 simulated box of 24³ voxels of ")
    assert facts["found"]["trained on"] in (tmp_path / "out.run" / "report.html").read_text()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("method", ["dncnn", "ffdnet", "vnet"])
def test_arrays_have_no_voxel_spacing_and_are_refused_before_any_work(blobs, method):
    with pytest.raises(InputError, match="--voxel-size") as caught:
        vitreous.denoise(blobs, method, device="cpu", progress=Refuses())
    assert "\n" not in str(caught.value)


class Refuses(SilentProgress):
    """Planning says nothing; anything after it would."""

    def note(self, text):
        pytest.fail(text)


def test_a_trained_network_needs_no_voxel_spacing(run, blobs, tomogram, tmp_path):
    code, _, err = run("denoise", tomogram, "-o", tmp_path / "a.mrc", "--method", "vnet", "--device", "cpu")
    assert code == 0, err
    again = vitreous.denoise(blobs, model=tmp_path / "a.run", device="cpu")
    np.testing.assert_array_equal(again.data, vitreous.open_volume(tmp_path / "a.mrc").data)
