"""Filters keep to the memory they are given, and the tiles cannot be seen in their results."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vitreous
from vitreous.core import InputError, Interrupted, SilentProgress, Volume, measure_voxels
from vitreous.inference.memory import BASE_BYTES
from vitreous.methods import CLASSICAL
from vitreous.training import TrainingVolume
from vitreous.workflows.denoise import DenoiseSettings, Source, denoise_source, plan_denoising

SHAPE = (61, 70, 83)


class Listener(SilentProgress):
    def __init__(self):
        self.notes, self.tiles = [], 0

    def note(self, text):
        self.notes.append(text)

    def start(self, stage, total, done=0):
        self.tiles = total


def noisy(shape=SHAPE):
    return (20 + 5 * np.random.default_rng(3).normal(size=shape)).astype(np.float32)


def limit(beyond):
    """What the volumes take, and so many bytes more."""
    return f"{(BASE_BYTES + 8 * np.prod(SHAPE) + beyond) / 1e6:.3f}MB"


def room(method, side):
    """What the filter of a block of side³ voxels takes, and its volumes."""
    kind = CLASSICAL[method]
    return limit(kind.workspace_bytes + kind.bytes_per_voxel * side**3)


def whole(method, data):
    volume = TrainingVolume(data, measure_voxels(data).normalization)
    return CLASSICAL[method]().prepare(volume).apply(data)


LOCAL = ("gaussian", "median", "bilateral", "nlm")


@pytest.mark.parametrize("method", LOCAL)
def test_tiled_is_untiled(method):
    data, listener = noisy(), Listener()
    settings = DenoiseSettings(method=method, max_memory=room(method, 30))
    tiled = denoise_source(Source(Volume(data)), settings, listener)
    assert listener.tiles > 20
    assert tiled.plan.tile <= 30
    np.testing.assert_allclose(tiled.data, whole(method, data), rtol=0, atol=1e-6 * np.ptp(data))
    assert any("GB of memory, tiles of" in note for note in listener.notes)


@pytest.mark.parametrize("method", LOCAL)
def test_too_small_a_margin_would_show(method, monkeypatch):
    monkeypatch.setattr(CLASSICAL[method], "reach", 0)
    settings = DenoiseSettings(method=method, max_memory=room(method, 30))
    tiled = denoise_source(Source(Volume(noisy())), settings, SilentProgress())
    assert np.abs(tiled.data - whole(method, noisy())).max() > 0.1


def test_a_filter_of_the_whole_says_what_it_needs():
    source = Source(Volume(noisy()))
    plan = plan_denoising(source, DenoiseSettings(method="lowpass"))
    assert plan.memory.peak_bytes > CLASSICAL["lowpass"].bytes_per_voxel * np.prod(SHAPE)
    with pytest.raises(InputError, match="needs at least"):
        vitreous.denoise(noisy(), "lowpass", max_memory=limit(20 * np.prod(SHAPE)))
    np.testing.assert_array_equal(vitreous.denoise(noisy(), "lowpass").data, whole("lowpass", noisy()))


def test_a_filter_in_steps_shows_each_and_stops_between_them():
    listener = Listener()
    settings = DenoiseSettings(method="nad")
    source = Source(Volume(noisy((16, 17, 18))))
    result = denoise_source(source, settings, listener)
    assert listener.tiles == 10
    assert "contrast_over_noise 1.5" in result.prepared.summary["settings"]
    assert "estimated standard deviation" in result.prepared.summary["noise"]
    listener.should_stop = lambda: True
    with pytest.raises(Interrupted):
        denoise_source(source, settings, listener)


BRIEF = {"nad": {"steps": 2}, "nlm": {"search_radius": 1}, "deconv": {"defocus_um": 4.0}}

# In a process of its own: one that has run other tests gets freed pages back in pieces, and counts them.
MEASURE = """
import ctypes, gc, json, re, sys
from pathlib import Path
import numpy as np
from vitreous.core import measure_voxels
from vitreous.methods import CLASSICAL
from vitreous.training import TrainingVolume

def resident(name):
    return 1024 * int(re.search(rf"{name}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

data = np.random.default_rng(0).standard_normal((120, 120, 120), dtype=np.float32)
volume = TrainingVolume(data, measure_voxels(data).normalization, voxel_spacing_angstrom=10.0)
filtering = CLASSICAL[sys.argv[1]](**json.loads(sys.argv[2]))
prepared = filtering.prepare(volume)
prepared.apply(np.array(data[:16, :16, :16]))  # what is loaded on first use
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
before = resident("VmRSS")
block = np.array(data)
for _ in range(prepared.repeats):
    block = prepared.apply(block)
estimate = filtering.bytes_per_voxel * data.size + filtering.workspace_bytes
print((resident("VmHWM") - before) / estimate)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a span")
@pytest.mark.parametrize("method", sorted(set(CLASSICAL) - {"bm4d"}))
def test_the_estimate_of_working_memory_holds(method):
    """numpy, torch and the Fourier transforms alike; bm4d was measured by hand, as it takes minutes."""
    words = [sys.executable, "-c", MEASURE, method, json.dumps(BRIEF.get(method, {}))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 0.5 < float(done.stdout) < 1.05
