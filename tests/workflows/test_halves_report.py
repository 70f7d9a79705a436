"""What the report of two halves says about their noise."""

import numpy as np
import pytest

import vitreous
from vitreous.report import DenoiseEvidence

WORDS = {
    "a_half1.mrc a_half2.mrc": "split by frames: their difference is noise alone",
    "a_even_tilts.mrc a_odd_tilts.mrc": "their difference holds signal too, so no noise estimate",
    "a_EVN.mrc a_ODD.mrc": "taken to be split by frames, which their names do not say",
}


@pytest.fixture
def halves(tmp_path, blobs):
    def make(names):
        paths = []
        for seed, name in enumerate(names.split()):
            noise = np.random.default_rng(seed).normal(size=blobs.shape)
            volume = vitreous.Volume((blobs + noise).astype(np.float32), (10.0, 10.0, 10.0))
            paths.append(vitreous.write_volume(tmp_path / name, volume))
        return paths

    return make


@pytest.mark.parametrize("names", WORDS)
def test_the_split_is_told_and_decides(run, halves, tmp_path, names):
    even, odd = halves(names)
    code, _, err = run("denoise", "--even", even, "--odd", odd, "-o", tmp_path / "out.mrc", "--seed", "1")
    assert code == 0, err
    evidence = DenoiseEvidence.load(tmp_path / "out.run")
    assert WORDS[names] in evidence.summary["halves"]
    assert WORDS[names] in (tmp_path / "out.run" / "report.html").read_text()
    if "tilts" in names:
        assert evidence.noise_curve is evidence.residual_check is evidence.noise_spectrum_image is None
        return
    assert evidence.noise_spectrum_image is not None
    assert WORDS[names] in evidence.residual_check["message"]


def test_the_check_is_made_on_the_mean_of_the_halves(run, halves, tmp_path, blobs):
    """A tomogram on another grey scale than its halves (a sum, say) must not spoil the check."""
    even, odd = halves("a_half1.mrc a_half2.mrc")
    full = vitreous.write_volume(tmp_path / "full.mrc", vitreous.Volume(100 * blobs, (10.0, 10.0, 10.0)))
    checks = []
    for name, words in {"full": [full], "half": []}.items():
        words = ["denoise", *words, "--even", even, "--odd", odd, "-o", tmp_path / f"{name}.out.mrc"]
        assert run(*words)[0] == 0
        checks.append(DenoiseEvidence.load(tmp_path / f"{name}.out.run"))
    assert checks[0].residual_check == checks[1].residual_check
    mean = checks[0].noise_curve
    np.testing.assert_array_equal(mean.residual_power, checks[1].noise_curve.residual_power)
    assert np.isfinite(mean.estimate[4:]).all()
