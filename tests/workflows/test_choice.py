"""What `auto` chooses, and what goes before it."""

import numpy as np
import pytest

from vitreous.core import InputError, Volume
from vitreous.simulate import crowd, white_noise
from vitreous.workflows.denoise import DenoiseSettings, Source, plan_denoising

SHAPE = (64, 80, 80)


def source(noise):
    signal = crowd(SHAPE, occupancy=0.1, seed=3).density
    return Source(Volume(signal / signal.std() + 1.3 * noise / noise.std()))


def white():
    return white_noise(SHAPE, np.random.default_rng(1))


def chosen(noise, **settings):
    return plan_denoising(source(noise), DenoiseSettings(device="cpu", **settings)).method


def test_one_volume_is_for_the_noise_model_and_halves_are_for_n2n():
    one = source(white())
    halves = Source(one.volume, even=one.volume, odd=one.volume)
    assert chosen(white()) == "noise-model"
    assert plan_denoising(halves, DenoiseSettings(device="cpu")).method == "n2n"
    assert plan_denoising(halves, DenoiseSettings(device="cpu", method="noise-model")).method == "noise-model"


def test_a_file_that_names_auto_names_no_method(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('method = "auto"\nsteps = 7\n', encoding="utf-8")
    plan = plan_denoising(source(white()), DenoiseSettings(device="cpu", config=str(file)))
    assert plan.method == "noise-model"
    assert plan.model.method.config.steps == 7


@pytest.mark.parametrize(("named", "remedy"), [("blindspot", "give --method blindspot"), ("zzz", "correct")])
def test_a_file_for_another_method_says_what_to_do(tmp_path, named, remedy):
    file = tmp_path / "config.toml"
    file.write_text(f'method = "{named}"\n', encoding="utf-8")
    with pytest.raises(InputError, match=f"configuration of {named}") as caught:
        chosen(white(), method="n2v", config=str(file))
    assert remedy in str(caught.value)


def test_few_steps_are_warned_of():
    def warnings(steps):
        return plan_denoising(source(white()), DenoiseSettings(device="cpu", steps=steps)).warnings

    assert "20 steps only" in warnings(20)[0]
    assert warnings(100) == warnings(None) == ()


@pytest.mark.parametrize("asked", [{"steps": 10}, {"time_budget_seconds": 60.0}])
def test_filters_are_not_trained(asked):
    with pytest.raises(InputError, match="means nothing to gaussian"):
        chosen(white(), method="gaussian", **asked)
