"""Filters keep to the memory they are given, and the tiles cannot be seen in their results."""

import tracemalloc

import numpy as np
import pytest

import vitreous
from vitreous.core import InputError, SilentProgress, Volume
from vitreous.inference.memory import BASE_BYTES
from vitreous.methods import CLASSICAL
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


@pytest.mark.parametrize("method", ["gaussian", "median"])
def test_tiled_is_untiled(method):
    data, listener = noisy(), Listener()
    settings = DenoiseSettings(method=method, max_memory=limit(12 * 30**3))
    tiled = denoise_source(Source(Volume(data)), settings, listener)
    assert listener.tiles > 20
    assert tiled.plan.tile <= 30
    whole = CLASSICAL[method]().denoise(data, None)
    np.testing.assert_allclose(tiled.data, whole, rtol=0, atol=1e-6 * np.ptp(data))
    assert any("GB of memory, tiles of" in note for note in listener.notes)


@pytest.mark.parametrize("method", ["gaussian", "median"])
def test_too_small_a_margin_would_show(method, monkeypatch):
    monkeypatch.setattr(CLASSICAL[method], "reach", 0)
    settings = DenoiseSettings(method=method, max_memory=limit(12 * 30**3))
    tiled = denoise_source(Source(Volume(noisy())), settings, SilentProgress())
    assert np.abs(tiled.data - CLASSICAL[method]().denoise(noisy(), None)).max() > 0.1


def test_a_filter_of_the_whole_says_what_it_needs():
    source = Source(Volume(noisy()))
    plan = plan_denoising(source, DenoiseSettings(method="lowpass"))
    assert plan.memory.peak_bytes > 40 * np.prod(SHAPE)
    with pytest.raises(InputError, match="needs at least"):
        vitreous.denoise(noisy(), "lowpass", max_memory=limit(20 * np.prod(SHAPE)))
    np.testing.assert_array_equal(
        vitreous.denoise(noisy(), "lowpass").data, CLASSICAL["lowpass"]().denoise(noisy(), None)
    )


@pytest.mark.parametrize("method", sorted(CLASSICAL))
def test_the_estimate_of_working_memory_holds(method):
    data = noisy((120, 120, 120))
    tracemalloc.start()
    CLASSICAL[method]().denoise(np.array(data), None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 < peak / (CLASSICAL[method].bytes_per_voxel * data.size) < 1.05
