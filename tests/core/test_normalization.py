"""Standardizing: what counts as an outlier, what is left alone, and the way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core import Normalization, measure_voxels
from vitreous.core import normalization as module


def noise(shape=(32, 40, 36), mean=5.0, deviation=2.0, seed=0):
    return np.random.default_rng(seed).normal(mean, deviation, shape).astype(np.float32)


def test_normal_noise_is_measured_and_not_clipped():
    data = noise()
    found = measure_voxels(data)
    n = found.normalization
    assert n.mean == pytest.approx(data.astype(np.float64).mean(), abs=1e-6)
    assert n.deviation == pytest.approx(data.astype(np.float64).std(), abs=1e-6)
    assert found.clipped_share == 0
    assert found.non_finite == 0
    # Four times as far out as the 0.5 % quantiles of a normal distribution (2.576 deviations).
    assert n.high == pytest.approx(5 + 4 * 2.576 * 2, rel=0.05)
    assert n.low == pytest.approx(5 - 4 * 2.576 * 2, rel=0.1)


def test_gold_is_clipped_and_hardly_moves_the_constants():
    clean, data = noise(), noise()
    data[10:13, 10:13, 10:13] = -4000
    found, reference = measure_voxels(data), measure_voxels(clean)
    assert found.clipped_share == pytest.approx(27 / data.size)
    assert found.normalization.deviation == pytest.approx(reference.normalization.deviation, rel=0.05)
    assert data.std() > 5 * found.normalization.deviation  # what a plain deviation would have been
    assert found.normalization.apply(data).min() == pytest.approx(
        (found.normalization.low - found.normalization.mean) / found.normalization.deviation, rel=1e-5
    )


def test_non_finite_voxels_are_counted_and_become_the_mean():
    data = noise()
    data[0, 0, :3] = (np.nan, np.inf, -np.inf)
    found = measure_voxels(data)
    assert found.non_finite == 3
    standardized = found.normalization.apply(data)
    assert np.isfinite(standardized).all()
    assert standardized[0, 0, 0] == 0
    assert standardized[0, 0, 1] == standardized.max()
    assert standardized[0, 0, 2] == standardized.min()
    assert np.isnan(data[0, 0, 0])  # the input is left as it was
    reference = measure_voxels(noise()).normalization
    assert found.normalization.mean == pytest.approx(reference.mean, rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.0, -1e6, 1e-20])
def test_a_constant_volume_is_refused(value):
    with pytest.raises(ValueError, match="all its voxels are equal"):
        measure_voxels(np.full((8, 8, 8), value, np.float32))


def test_a_volume_without_finite_voxels_is_refused():
    with pytest.raises(ValueError, match="no finite voxel"):
        measure_voxels(np.full((4, 4, 4), np.nan, np.float32))


def test_two_values_in_a_mostly_empty_volume_are_not_clipped_away():
    data = np.zeros((20, 20, 20), np.float32)
    data[3, 4, 5] = 1
    found = measure_voxels(data)
    assert found.normalization.high == 1
    assert found.normalization.apply(data)[3, 4, 5] > 10


def test_only_voxels_inside_the_mask_count():
    data, mask = noise(), np.zeros((32, 40, 36), bool)
    data[16:] = noise((16, 40, 36), mean=-50, deviation=9, seed=1)
    mask[:16] = True
    found = measure_voxels(data, mask)
    reference = measure_voxels(data[:16])
    assert found.normalization.mean == pytest.approx(reference.normalization.mean, rel=1e-6)
    assert found.normalization.deviation == pytest.approx(reference.normalization.deviation, rel=1e-6)
    assert measure_voxels(data).normalization.deviation > 5 * reference.normalization.deviation


def test_slabs_change_nothing(monkeypatch):
    data = noise()
    whole = measure_voxels(data)
    monkeypatch.setattr(module, "SLAB_VOXELS", 3 * 40 * 36)
    assert measure_voxels(data).normalization.mean == pytest.approx(whole.normalization.mean, rel=1e-12)
    assert measure_voxels(data).normalization.deviation == pytest.approx(
        whole.normalization.deviation, rel=1e-9
    )


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.float16, np.float64, ">f4", ">i2"]
)
def test_all_real_types_give_the_same_constants(dtype):
    data = np.round(noise(mean=60, deviation=9))
    expected = measure_voxels(data).normalization
    found = measure_voxels(data.astype(dtype)).normalization
    assert (found.mean, found.deviation) == pytest.approx((expected.mean, expected.deviation), rel=1e-9)
    assert found.apply(data.astype(dtype)).dtype == np.float32


def test_a_large_offset_does_not_spoil_the_deviation():
    data = noise((20, 20, 20), mean=0, deviation=3).astype(np.float64) + 1e5
    assert measure_voxels(data).normalization.deviation == pytest.approx(data.std(), rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    mean=st.floats(-1e3, 1e3),
    deviation=st.floats(0.1, 1e3),
    seed=st.integers(0, 100),
)
def test_round_trip(mean, deviation, seed):
    data = noise((4, 5, 6), mean, deviation, seed)
    n = Normalization(mean, deviation, mean - 20 * deviation, mean + 20 * deviation)
    back = n.invert(n.apply(data))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, data, rtol=0, atol=2e-6 * (abs(mean) + 10 * deviation))
    assert Normalization(**n.to_json()) == n


def test_standardized_noise_has_zero_mean_and_unit_deviation():
    data = noise()
    standardized = measure_voxels(data).normalization.apply(data)
    assert abs(standardized.mean(dtype=np.float64)) < 1e-5
    assert standardized.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)
