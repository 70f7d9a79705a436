"""Inspection of files: its record is JSON, its memory is bounded, and it stops when asked to."""

import json

import numpy as np
import pytest

import vitreous
from vitreous.core import Interrupted, SilentProgress, Volume
from vitreous.workflows.inspect import inspect_files
from vitreous.workflows.run_directory import RunDirectory


class Stopping(SilentProgress):
    """The user stops after some steps."""

    def __init__(self, steps):
        self.left = steps

    def advance(self, steps=1, **values):
        self.left -= 1

    def should_stop(self):
        return self.left <= 0


@pytest.fixture
def noisy(tmp_path):
    """A file of nothing but noise."""
    data = np.random.default_rng(10).normal(size=(32, 48, 48)).astype(np.float32)
    return vitreous.write_volume(tmp_path / "noise.mrc", Volume(data, 10.0))


def refuse(name):
    raise AssertionError(f"{name} is no JSON")


def test_the_record_of_pure_noise_is_json(noisy, tmp_path):
    (facts,) = inspect_files([noisy], folder=tmp_path / "out")
    text = (tmp_path / "out" / "inspect.json").read_text()
    assert json.loads(text, parse_constant=refuse)["noise_to_signal"] is None
    assert facts["noise_to_signal"] is None


def test_a_run_of_infinite_figures_is_json(tmp_path):
    RunDirectory(tmp_path).write({"scores": [{"psnr": float("inf")}, np.nan], "steps": 2})
    facts = json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    assert (facts["scores"], facts["steps"]) == ([{"psnr": None}, None], 2)


@pytest.mark.parametrize("steps", [0, 1, 3, 5])
def test_it_stops_between_steps_and_files(noisy, tmp_path, steps):
    with pytest.raises(Interrupted):
        inspect_files([noisy, noisy], folder=tmp_path / "out", progress=Stopping(steps))
    assert not (tmp_path / "out").exists()
