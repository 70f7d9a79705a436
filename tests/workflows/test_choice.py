"""What `auto` chooses: from the halves, or from the noise of the one volume."""

import numpy as np
import pytest

from vitreous.core import InputError, Volume
from vitreous.filters import gaussian
from vitreous.simulate import crowd, wedge_filtered, white_noise
from vitreous.workflows.denoise import DenoiseSettings, Source, plan_denoising

SHAPE = (64, 80, 80)


def source(noise):
    signal = crowd(SHAPE, occupancy=0.1, seed=3).density
    return Source(Volume(signal / signal.std() + 1.3 * noise / noise.std()))


def white():
    return white_noise(SHAPE, np.random.default_rng(1))


def chosen(noise, **settings):
    return plan_denoising(source(noise), DenoiseSettings(device="cpu", **settings)).method


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (white(), "sc-net"),
        (np.random.default_rng(2).poisson(0.7, SHAPE) - np.float32(0.7), "sc-net"),  # white, not Gaussian
        (wedge_filtered(white(), (-60, 60)), "noise-model"),
        (wedge_filtered(white(), (-80, 80)), "noise-model"),
        (gaussian(white(), sigma=0.5), "noise-model"),  # no wedge, but neighbours are alike
    ],
    ids=["white", "counts", "wedge of 60", "wedge of 80", "smoothed"],
)
def test_white_noise_calls_for_hidden_voxels_and_any_other_for_the_noise_model(noise, expected):
    assert chosen(noise.astype(np.float32)) == expected


def test_halves_and_names_go_before_the_noise():
    noise = white()
    halves = source(noise)
    with_halves = Source(halves.volume, even=halves.volume, odd=halves.volume)
    assert plan_denoising(with_halves, DenoiseSettings(device="cpu")).method == "n2n"
    assert chosen(noise, method="noise-model") == "noise-model"


def test_a_file_that_names_auto_names_no_method(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('method = "auto"\n', encoding="utf-8")
    with pytest.raises(InputError, match="configuration of auto"):
        chosen(white(), config=str(file))


@pytest.mark.parametrize("asked", [{"steps": 10}, {"time_budget_seconds": 60.0}])
def test_filters_are_not_trained(asked):
    with pytest.raises(InputError, match="means nothing to gaussian"):
        chosen(white(), method="gaussian", **asked)
