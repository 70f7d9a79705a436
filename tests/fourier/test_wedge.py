"""The measured region, checked against the slices that projections really measure."""

import numpy as np
import pytest
import torch

from vitreous.fourier import estimated_tilt_range, measured_region, measured_weight, patch_spectra
from vitreous.simulate import TiltGeometry, wedge_filtered, weighted_back_projection, white_noise


def spread_of(tilt, side=64):
    """Power (kz, kx) of a random volume after projection and back-projection at one tilt."""
    volume = np.random.default_rng(0).standard_normal((side, 6, side), dtype=np.float32)
    geometry = TiltGeometry(side, side, [tilt])
    power = np.abs(np.fft.fftn(geometry.back_project(geometry.project(volume)))) ** 2
    frequency = np.fft.fftfreq(side)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    return power.sum(1) * ((radius > 0.08) & (radius < 0.4))


@pytest.mark.parametrize("tilt", [-55.0, -20.0, 10.0, 35.0, 60.0])
def test_a_tilt_measures_the_slice_that_the_region_says(tilt):
    """Central-slice theorem, with the sign of `TiltGeometry`: kz = kx·tan(t)."""
    power = spread_of(tilt)
    kz, kx = np.meshgrid(*(np.fft.fftfreq(64),) * 2, indexing="ij")
    angle = np.deg2rad(tilt)
    for sign, least, most in ((1, 0.8, 1.0), (-1, 0.0, 0.1)):
        near = np.abs(kz * np.cos(angle) - sign * kx * np.sin(angle)) < 1 / 64
        share = power[near].sum() / power.sum()
        assert least <= share <= most

    def inside(lowest, highest):
        mask = measured_region((64, 6, 64), (lowest, highest)).numpy()[:, 0]
        return power[mask].sum() / power.sum()

    assert inside(tilt - 8, tilt + 8) > 0.8
    assert inside(-tilt - 8, -tilt + 8) < (0.2 if abs(tilt) > 15 else 0.6)
    assert inside(tilt + 10, tilt + 40) < 0.1


def test_an_asymmetric_series_fills_its_own_region_not_the_mirrored_one():
    side, tilts = 64, range(-30, 61, 3)
    geometry = TiltGeometry(side, side, tilts)
    noise = np.random.default_rng(0).standard_normal((len(tilts), 6, side), dtype=np.float32)
    power = np.abs(np.fft.fftn(geometry.reconstruct(noise))) ** 2
    kz, kx = np.meshgrid(*(np.fft.fftfreq(side),) * 2, indexing="ij")
    band = (np.hypot(kz, kx) > 0.1) & (np.hypot(kz, kx) < 0.4)
    right, wrong = (
        power.sum(1)[band & measured_region((side, 6, side), r).numpy()[:, 0]].sum()
        for r in ((-30, 60), (-60, 30))
    )
    total = power.sum(1)[band].sum()
    assert right / total > 0.95
    assert wrong / total < 0.75


@pytest.mark.parametrize("limits", [(-60, 60), (-40, 62), (-65, -5)])
@pytest.mark.parametrize("shape", [(16, 12, 20), (15, 8, 17), (16, 9, 15)])
def test_the_region_of_a_real_volume_is_its_own_point_mirror(shape, limits):
    mask = measured_region(shape, limits)
    assert mask.shape == shape
    assert torch.equal(mask, mask.flip(0, 1, 2).roll((1, 1, 1), (0, 1, 2)))
    half = measured_region(shape, limits, half=True)
    assert torch.equal(half, mask[..., : shape[2] // 2 + 1])


def test_share_of_fourier_space():
    """In a cube the missing wedge of ±60° has the share tan(30°)/2 of the square (kz, kx)."""
    share = 1 - measured_region((128, 4, 128), (-60, 60)).float().mean().item()
    assert share == pytest.approx(np.tan(np.deg2rad(30)) / 2, abs=0.01)
    assert measured_region((32, 8, 32), (-90, 90)).all()
    assert measured_region((32, 8, 32), (60, -60)).equal(measured_region((32, 8, 32), (-60, 60)))


def test_the_tilt_axis_and_the_untilted_plane_are_always_measured():
    mask = measured_region((32, 16, 32), (-10, 10))
    assert mask[0].all()  # kz = 0
    missing = mask[:, :, 0].clone()
    assert missing[0].all()  # the tilt axis
    assert not missing[1:].any()  # kx = 0 elsewhere


# --- the tilt range seen in noise -----------------------------------------------------------------

RANGES = [(-60.0, 60.0), (-50.0, 50.0), (-40.0, 60.0), (-66.0, 30.0), (-75.0, 75.0), (10.0, 80.0)]


def spectrum_of(noise):
    """Mean windowed periodogram of half-overlapping patches of 32³."""
    starts = [range(0, side - 31, 16) for side in noise.shape]
    cuts = (
        np.ascontiguousarray(noise[z : z + 32, y : y + 32, x : x + 32])
        for z in starts[0]
        for y in starts[1]
        for x in starts[2]
    )
    return patch_spectra(torch.from_numpy(cut) for cut in cuts).mean(0)


@pytest.mark.parametrize("tilts", RANGES)
def test_the_tilt_range_of_masked_noise_is_found_within_a_degree(tilts):
    noise = wedge_filtered(white_noise((96, 64, 96), np.random.default_rng(0)), tilts)
    spectrum = spectrum_of(noise)
    assert estimated_tilt_range(spectrum) == pytest.approx(tilts, abs=1)
    assert estimated_tilt_range(spectrum.transpose(1, 2), tilt_axis=2) == pytest.approx(tilts, abs=1)
    assert estimated_tilt_range(spectrum.flip(0).roll(1, 0)) == pytest.approx((-tilts[1], -tilts[0]), abs=1)


@pytest.mark.parametrize("tilts", [(-60, 60), (-40, 60)])
def test_the_tilt_range_of_back_projected_noise_is_found_within_three_degrees(tilts):
    angles = np.arange(tilts[0], tilts[1] + 1, 3.0)
    noise = weighted_back_projection(white_noise((len(angles), 64, 96), np.random.default_rng(0)), angles, 96)
    assert estimated_tilt_range(spectrum_of(noise)) == pytest.approx(tilts, abs=3)


def test_neither_white_noise_nor_the_wrong_tilt_axis_has_a_tilt_range():
    white = white_noise((96, 64, 96), np.random.default_rng(0))
    assert estimated_tilt_range(spectrum_of(white)) is None
    masked = spectrum_of(wedge_filtered(white, (-60, 60)))
    assert estimated_tilt_range(masked, tilt_axis=2) is None
    assert estimated_tilt_range(torch.zeros(32, 32, 32)) is None
    lying = masked.transpose(0, 2)  # the untilted direction would be missing: no tilt series has that gap
    assert estimated_tilt_range(lying) is None


# --- of rotated patches, and with a soft edge ------------------------------------------------------


@pytest.mark.parametrize("tilts", [(-60, 60), (-40, 62)])
def test_an_exchange_of_axes_is_a_rotation(tilts):
    swap = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]])  # y and x
    turned = measured_region((16, 16, 16), tilts, rotation=swap)
    assert torch.equal(turned, measured_region((16, 16, 16), tilts).transpose(1, 2))
    assert torch.equal(turned, measured_region((16, 16, 16), tilts, tilt_axis=2))
    upright = torch.eye(3)
    assert torch.equal(
        measured_region((16, 16, 16), tilts, rotation=upright), measured_region((16, 16, 16), tilts)
    )


@pytest.mark.parametrize("shape", [(16, 12, 20), (15, 8, 17)])
@pytest.mark.parametrize("tilt_axis", [1, 2])
def test_the_soft_edge_lies_in_the_missing_region(shape, tilt_axis):
    weight = measured_weight(shape, (-50, 60), edge_deg=8, tilt_axis=tilt_axis)
    measured = measured_region(shape, (-50, 60), half=True, tilt_axis=tilt_axis)
    assert torch.equal(weight == 1, measured)
    assert ((weight >= 0) & (weight <= 1)).all()
    assert (weight == 0).any()
    wide = measured_region(shape, (-59, 69), half=True, tilt_axis=tilt_axis)
    assert (weight[~wide] == 0).all()
