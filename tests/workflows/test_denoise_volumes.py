"""Odd volumes: denoised, or refused in one line; in memory and through files."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import vitreous
from vitreous.core import InputError, SilentProgress, Volume
from vitreous.inference.memory import BASE_BYTES
from vitreous.methods import Dual
from vitreous.training import TrainingRecord
from vitreous.workflows.denoise import DenoiseSettings, Source, denoise_source
from vitreous.workflows.denoise.model import new_model
from vitreous.workflows.denoise.plan import plan_denoising

pytestmark = pytest.mark.usefixtures("small")
METHODS = (
    "noise-model",
    "blindspot",
    "n2v",
    "sc-net",
    "nmsg",
    "dncnn",
    "ffdnet",
    "vnet",
    "gaussian",
    "lowpass",
    "median",
)


class Listener(SilentProgress):
    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def noisy(shape, dtype=np.float32):
    return (20 + 5 * np.random.default_rng(3).normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(8, 20, 20), (8, 8, 8), (21, 9, 33)])
def test_thin_odd_and_small_volumes(method, shape):
    data = noisy(shape)
    before = data.copy()
    result = vitreous.denoise(vitreous.Volume(data, 10.0), method, device="cpu")
    assert result.shape == shape
    assert result.data.dtype == np.float32
    assert np.isfinite(result.data).all()
    np.testing.assert_array_equal(data, before)
    assert abs(result.data.mean() - 20) < 5
    assert result.data.std() < 2 * data.std()


def test_thin_slab_of_many_tiles():
    limit = f"{(BASE_BYTES + 10_000_000) // 10**6}MB"
    result = vitreous.denoise(noisy((36, 50, 41)), "noise-model", max_memory=limit, device="cpu")
    assert np.isfinite(result.data).all()


@pytest.mark.parametrize("method", ["noise-model", "gaussian"])
@pytest.mark.parametrize("dtype", [">f4", "int8", "float16", "uint16", ">i2", "float64"])
def test_types(method, dtype):
    data = noisy((10, 12, 14), dtype)
    result = vitreous.denoise(data, method, device="cpu").data
    assert result.dtype == np.float32
    plain = vitreous.denoise(data.astype(np.float32), method, device="cpu").data
    np.testing.assert_allclose(result, plain, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_some_voxels_not_finite(method):
    data = noisy((10, 20, 20))
    data[2, 3, 4:8], data[5, 5, 5], data[0, 0, 0] = np.nan, np.inf, -np.inf
    listener = Listener()
    result = vitreous.denoise(vitreous.Volume(data, 10.0), method, progress=listener, device="cpu").data
    assert np.isfinite(result).all()
    assert abs(result[2, 3, 5] - 20) < 15  # taken as the mean, not as zero or as the largest number
    assert any("6 voxels are NaN or infinite" in w for w in listener.warnings)


@pytest.mark.parametrize("method", ["noise-model", "gaussian"])
@pytest.mark.parametrize(
    "data",
    [
        np.full((10, 10, 10), 3.0),
        np.zeros((10, 10, 10), np.int8),
        np.full((10, 10, 10), np.nan),
        np.full((10, 10, 10), np.inf),
        noisy((7, 30, 30)),
        noisy((30, 30)),
        noisy((2, 10, 10, 10)),
        noisy((10, 10, 10), complex),
        np.full((10, 10, 10), "a"),
    ],
)
def test_unusable_arrays_are_refused(method, data):
    with pytest.raises(InputError) as caught:
        vitreous.denoise(data, method)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "magic"},
        {"method": "n2n"},
        {"steps": 0},
        {"steps": -3},
        {"time_budget_seconds": 0},
        {"time_budget_seconds": float("nan")},
        {"max_memory": "lots"},
        {"max_memory": "1MB", "device": "cpu"},
        {"device": "abacus"},
        {"mask": np.zeros((10, 10, 10), bool)},
        {"mask": np.ones((10, 10, 11), bool)},
        {"even": noisy((10, 10, 10))},
        {"even": noisy((10, 10, 10)), "odd": noisy((10, 10, 9))},
        {"even": noisy((10, 10, 10)), "odd": np.zeros((10, 10, 10))},
    ],
)
def test_unusable_settings_are_refused(settings):
    with pytest.raises(InputError) as caught:
        vitreous.denoise(noisy((10, 10, 10)), **settings)
    assert "\n" not in str(caught.value)


def test_volume_array_and_path_give_the_same_and_write_nothing(tomogram, blobs, tmp_path):
    before = sorted(p.name for p in tmp_path.rglob("*"))
    volume = vitreous.open_volume(tomogram)
    results = [
        vitreous.denoise(v, "noise-model", seed=4, device="cpu")
        for v in (volume, blobs, tomogram, str(tomogram))
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result.data, results[0].data)
    assert results[0].voxel_spacing_angstrom == volume.voxel_spacing_angstrom
    assert results[1].voxel_spacing_angstrom is None
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_what_dual_sees_binned_comes_back_in_the_voxels_of_the_tomogram():
    rng = np.random.default_rng(3)
    density = gaussian_filter((rng.uniform(size=(64, 66, 64)) < 2e-3).astype(np.float32), 3)
    data = (30 * rng.normal(size=density.shape) - density / density.std()).astype(np.float32)
    source = Source(Volume(data, 10.0))
    outcome = denoise_source(source, DenoiseSettings(method="dual", device="cpu"), SilentProgress())
    assert outcome.prepared.binning > 1
    assert outcome.data.shape == data.shape
    assert np.isfinite(outcome.data).all()
    found = outcome.data.ravel()
    assert np.corrcoef(found[1:], found[:-1])[0, 1] > 0.5  # interpolated; of the tomogram's own it is 0


def test_invert_and_mask(blobs):
    mask = np.zeros(blobs.shape, bool)
    mask[2:10, 4:16, 4:14] = True
    plain, inverted = (
        vitreous.denoise(blobs, "noise-model", mask=mask, invert=i, device="cpu").data for i in (0, 1)
    )
    np.testing.assert_array_equal(plain, -inverted)


def test_two_halves_are_taken_by_auto(blobs):
    listener = Listener()
    rng = np.random.default_rng(0)
    halves = {n: blobs + rng.normal(size=blobs.shape).astype(np.float32) for n in ("even", "odd")}
    source = Source(*(vitreous.Volume(v) for v in (blobs, *halves.values())))
    assert denoise_source(source, DenoiseSettings(device="cpu"), listener).method == "n2n"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory.\nTried")])
def test_no_memory_to_train_is_one_line(monkeypatch, error):
    def failing(*_):
        raise error

    model = new_model("noise-model", DenoiseSettings(device="cpu"))
    monkeypatch.setattr(type(model.method), "objective", failing)
    with pytest.raises(InputError, match="not enough memory to train"):
        vitreous.denoise(noisy((10, 10, 10)), "noise-model", device="cpu")


def test_what_dual_takes_out_and_doubts_is_with_the_result(monkeypatch):
    """The report and run.json take both from there; a console alone would forget them."""
    settings = DenoiseSettings(method="dual", seed=1)
    model = new_model("dual", settings)
    model = replace(model, record=TrainingRecord((), 0.0, 0, warnings=("an old one",)))
    monkeypatch.setattr(Dual, "cleared", lambda *_: {"gold beads": "3"})
    monkeypatch.setattr(Dual, "calibrated", lambda self, data, *_: (data, "it hardly correlates"))
    source = Source(Volume(noisy((24, 24, 24)), (10.0, 10.0, 10.0)))
    listener = Listener()
    result = denoise_source(source, settings, listener, model=model)
    assert result.prepared.summary["gold beads"] == "3"
    assert "it hardly correlates" in result.warnings
    assert "it hardly correlates" in listener.warnings
    assert "an old one" not in result.warnings
    monkeypatch.setattr("vitreous.workflows.denoise.volumes.fit", lambda *_: model)
    result = denoise_source(source, settings, listener, model=replace(model, record=None))
    assert "an old one" in result.warnings


@pytest.mark.parametrize("method", ["noise-model", "gaussian", "dual"])
def test_halves_without_the_whole_are_for_noise2noise_alone(tmp_path, method):
    """Else the even half would be denoised by itself, and the odd one be forgotten."""
    paths = [tmp_path / name for name in ("even.mrc", "odd.mrc")]
    for seed, path in enumerate(paths):
        values = np.random.default_rng(seed).normal(size=(24, 24, 24)).astype(np.float32)
        vitreous.write_volume(path, Volume(values, 10.0))
    even, odd = (vitreous.open_volume(path) for path in paths)
    with pytest.raises(InputError, match="only its halves were given"):
        plan_denoising(Source(even, even, odd), DenoiseSettings(method=method))
    assert plan_denoising(Source(even, even, odd), DenoiseSettings()).method == "n2n"
