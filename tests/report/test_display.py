from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.report import slices_for_display, xz_power_spectrum
from vitreous.report.display import evenly_spaced

SIDES = st.tuples(st.integers(1, 36), st.integers(1, 30), st.integers(1, 41))


class Watched:
    """An array that is only read by slicing, and remembers the largest piece it gave away."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array, self.shape, self.largest = array, array.shape, 0

    def __getitem__(self, index: Any) -> Any:
        piece = self.array[index]
        self.largest = max(self.largest, piece.size)
        return piece


@settings(max_examples=40, deadline=None)
@given(shape=SIDES, per_axis=st.integers(1, 20), max_side=st.integers(4, 50), seed=st.integers(0, 9))
def test_every_shape_gives_matching_stacks(shape: Any, per_axis: int, max_side: int, seed: int) -> None:
    volume = np.random.default_rng(seed).normal(size=shape)
    shown = slices_for_display(volume, volume * 0.5, volume, per_axis=per_axis, max_side=max_side)
    for number, axis in enumerate("zyx"):
        positions = shown["slice_positions"][axis]
        assert len(positions) == min(per_axis, shape[number]) == len(set(positions))
        assert all(0 <= p < shape[number] for p in positions)
        stack = shown["before"][axis]
        assert stack.dtype == np.uint8
        assert stack.shape[0] == len(positions)
        assert max(stack.shape[1:]) <= max_side
        for name in ("after", "reference", "removed"):
            assert shown[name][axis].shape == stack.shape  # type: ignore[literal-required]
        # half the values in the same window of their own: the picture is the same
        difference = shown["after"][axis].astype(int) - stack.astype(int)
        assert np.abs(difference).max() <= 1


def test_slices_are_those_of_the_named_positions() -> None:
    volume = np.random.default_rng(0).normal(size=(9, 11, 13))
    shown = slices_for_display(volume, volume, per_axis=4)
    low, high = np.percentile(
        np.concatenate(
            [np.take(volume, shown["slice_positions"][a], axis=i).ravel() for i, a in enumerate("zyx")]
        ),
        [0.5, 99.5],
    )
    for number, axis in enumerate("zyx"):
        expected = np.moveaxis(np.take(volume, shown["slice_positions"][axis], axis=number), number, 0)
        grey = np.clip((expected - low) / (high - low) * 255, 0, 255)
        assert np.abs(shown["before"][axis] - grey).max() <= 0.51


def test_large_sides_become_block_means() -> None:
    plane = np.arange(64.0).reshape(8, 8)
    volume = np.broadcast_to(plane, (3, 8, 8))
    shown = slices_for_display(volume, volume, max_side=4)
    means = plane.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    assert np.corrcoef(shown["before"]["z"][0].ravel(), means.ravel())[0, 1] > 0.999


def test_a_memory_map_is_read_in_pieces_and_left_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vitreous.report.display.SLAB_VOXELS", 5000)
    values = np.random.default_rng(1).normal(size=(20, 40, 50)).astype(">f4")
    np.save(tmp_path / "v.npy", values)
    mapped = Watched(np.load(tmp_path / "v.npy", mmap_mode="r"))
    shown = slices_for_display(mapped, mapped, per_axis=3)
    spectrum = xz_power_spectrum(mapped, max_slices=5)
    assert mapped.largest <= 5000 < values.size
    in_memory = slices_for_display(values, values, per_axis=3)
    for axis in "zyx":
        np.testing.assert_array_equal(shown["before"][axis], in_memory["before"][axis])
    np.testing.assert_array_equal(spectrum, xz_power_spectrum(values, max_slices=5))
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), values)


@pytest.mark.parametrize("fill", [0.0, 7.0, np.nan, np.inf, 1e38])
def test_constant_and_unusable_volumes_are_mid_grey(fill: float) -> None:
    volume = np.full((5, 6, 7), fill, np.float32)
    shown = slices_for_display(volume, volume)
    assert all((stack == 128).all() for stack in shown["before"].values())
    assert np.isfinite(xz_power_spectrum(volume)).all()


def test_single_bad_voxels_do_not_spoil_the_window() -> None:
    volume = np.random.default_rng(2).normal(size=(8, 9, 10)).astype(np.float32)
    volume[4, 4, 5] = np.inf
    volume[0, 0, 0] = np.nan
    volume[1, 1, 1] = 1e30
    shown = slices_for_display(volume, volume)
    assert shown["before"]["z"].std() > 40
    assert np.isfinite(xz_power_spectrum(volume)).all()


def test_volumes_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        slices_for_display(np.zeros((3, 4, 5)), np.zeros((3, 4, 6)))
    with pytest.raises(ValueError, match="one shape"):
        slices_for_display(np.zeros((4, 5)), np.zeros((4, 5)))


def test_white_noise_has_its_variance_as_power() -> None:
    noise = np.random.default_rng(5).normal(scale=3.0, size=(32, 64, 48))
    power = 10.0 ** xz_power_spectrum(noise, max_slices=64).astype(float)
    # 64 slices of a Hann-windowed field: neighbours correlate, so about N/3 independent estimates
    standard_error = 9 / np.sqrt(power.size * 64 / 3)
    inner = power[np.hypot(*np.indices(power.shape) - np.array([16, 24])[:, None, None]) > 3]
    assert abs(inner.mean() - 9) < 4 * standard_error


@settings(max_examples=25, deadline=None)
@given(shape=SIDES, max_side=st.integers(4, 50))
def test_spectrum_of_every_shape_is_finite_and_symmetric(shape: Any, max_side: int) -> None:
    volume = np.random.default_rng(0).normal(size=shape)
    spectrum = xz_power_spectrum(volume, max_side=max_side)
    assert spectrum.shape == (min(shape[0], max_side), min(shape[2], max_side))
    assert spectrum.dtype == np.float32
    unshifted = np.fft.ifftshift(spectrum)
    mirrored = np.roll(unshifted[::-1, ::-1], (1, 1), (0, 1))
    strong = unshifted > unshifted.max() - 6  # below, rounding decides
    np.testing.assert_allclose(unshifted[strong], mirrored[strong], atol=1e-3)


def test_the_missing_wedge_shows_where_it_is() -> None:
    noise = np.random.default_rng(0).normal(size=(48, 40, 48))
    kz, kx = np.fft.fftfreq(48)[:, None, None], np.fft.fftfreq(48)[None, None, :]
    kept = np.abs(kz) <= np.tan(np.radians(60)) * np.abs(kx)
    spectrum = xz_power_spectrum(np.fft.ifftn(np.fft.fftn(noise) * kept).real)
    assert spectrum[24, 40] - spectrum[44, 24] > 2  # along kx minus along kz, in decades


@given(length=st.integers(1, 2000), count=st.integers(1, 60))
def test_positions_rise_and_stay_inside(length: int, count: int) -> None:
    places = evenly_spaced(length, count)
    assert len(places) == min(length, count)
    assert list(places) == sorted(set(places))
    assert places[0] >= 0
    assert places[-1] < length
