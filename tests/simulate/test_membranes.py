"""Bilayers have the right profile, are closed, smooth and where they say they are."""

import numpy as np
import pytest
import scipy.ndimage as ndi

from vitreous.simulate.canvas import Canvas
from vitreous.simulate.membranes import (
    HEAD_DISTANCE_ANGSTROM,
    Bilayer,
    Sheet,
    free_height,
    lay_sheet,
    make_vesicle,
)


def peaks(values):
    return np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])) + 1


@pytest.mark.parametrize("spacing", [2.0, 5.0, 10.0, 13.5])
def test_two_peaks_with_a_trough_between_them(spacing):
    distance = np.arange(-60, 60, 0.1, dtype=np.float32)
    profile = Bilayer(spacing).density(distance)
    tops = peaks(profile)
    first, second = distance[tops[profile[tops] > 0.5 * profile.max()]]
    assert abs(second - first - HEAD_DISTANCE_ANGSTROM) < spacing
    assert 33 < second - first < 42
    middle, peak = profile[np.abs(distance).argmin()], profile.max()
    assert 0 < middle < 0.6 * peak
    assert 1.5 < peak < 3.2
    assert profile.min() == 0
    integral = profile.sum() * 0.1  # V Å: blurring over a voxel moves matter but does not make any
    assert integral == pytest.approx(Bilayer(1.0).density(distance).sum() * 0.1, rel=0.01)


def flat_sheet():
    return Sheet(np.array([1.0, 0, 0]), np.eye(3)[1:], np.zeros((1, 2)), np.zeros(1), np.zeros(1))


def test_a_flat_sheet_shows_its_profile_along_its_normal():
    canvas, bilayer = Canvas.empty((40, 12, 12)), Bilayer(5.0)
    lay_sheet(canvas, flat_sheet(), 3.0, bilayer, canvas.begin(1))
    first, second = peaks(canvas.density[:, 6, 6])
    assert abs((second - first) * 5.0 - HEAD_DISTANCE_ANGSTROM) <= 5.0
    assert abs((first + second) / 2 - 23) <= 0.5  # the middle of 40 planes is 20, and 3 voxels above it
    inside = canvas.instance_mask[:, 6, 6] == 1
    assert ndi.label(inside)[1] == 1  # chains belong to the membrane
    assert 38 <= inside.sum() * 5.0 <= 55


def test_a_steep_sheet_is_as_thick_as_a_flat_one():
    bilayer = Bilayer(10.0)
    volumes = []
    for slope in (0.0, 0.9):
        # So long a wave that it is a plane, inclined by 45 degrees or none.
        wave = np.array([[1e-4, 0.0]])
        sheet = Sheet(
            np.array([1.0, 0, 0]), np.eye(3)[1:], wave, np.array([slope / 1e-4]), np.array([-np.pi / 2])
        )
        canvas = Canvas.empty((80, 61, 20))
        lay_sheet(canvas, sheet, 0.0, bilayer, canvas.begin(1))
        volumes.append((canvas.instance_mask == 1).sum() / (61 * 20 * np.sqrt(1 + slope**2)))
    assert np.array(volumes) * 10 == pytest.approx(2 * bilayer.half_label_angstrom, rel=0.1)
    assert volumes[1] == pytest.approx(volumes[0], rel=0.1)


def test_a_free_height_meets_nothing_and_none_is_only_said_of_a_full_box():
    rng = np.random.default_rng(0)
    half = 4.0
    for _ in range(10):
        sheet = Sheet.random((40, 40, 40), 0.3, rng)
        occupied = np.zeros((40, 40, 40), bool)
        z, y, x = rng.integers(0, 30, size=3)
        occupied[z : z + 10, y : y + 10, x : x + 10] = True
        height = free_height(sheet, occupied, half, rng)
        assert height is not None
        for plane in range(40):
            above, steepness = sheet.heights((40, 40, 40), plane)
            met = np.abs(above - height) <= half * steepness
            assert not (met & occupied[plane]).any()
    assert free_height(sheet, np.ones((40, 40, 40), bool), half, rng) is None


def test_the_slope_asked_for():
    rng = np.random.default_rng(1)
    mean_squares = []
    for _ in range(40):
        sheet = Sheet.random((64, 64, 64), 0.3, rng)
        mean_squares += [(sheet.heights((64, 64, 64), plane)[1] ** 2 - 1).mean() for plane in (0, 32)]
    assert np.sqrt(np.mean(mean_squares)) == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize("deformation", [0.0, 0.06, 0.12])
def test_a_vesicle_is_closed_and_of_its_radius(deformation):
    bilayer = Bilayer(10.0)
    piece = make_vesicle(bilayer, 250.0, deformation, np.random.default_rng(4))
    assert all(side % 2 for side in piece.density.shape)
    regions, count = ndi.label(~np.pad(piece.label, 1))
    assert count == 2  # outside and inside, not connected
    inside = regions == regions[tuple(n // 2 for n in regions.shape)]
    enclosed = inside.sum() + 0.5 * piece.label.sum()
    assert (enclosed * 3 / (4 * np.pi)) ** (1 / 3) * 10 == pytest.approx(250.0, rel=0.02 + deformation / 2)
    assert ndi.label(piece.label)[1] == 1
    assert piece.density[piece.label].min() > 0.1
    thickness = 10 * piece.label.sum() / (4 * np.pi * 25**2)
    assert thickness == pytest.approx(2 * bilayer.half_label_angstrom, rel=0.06 + deformation)


def test_deformation_changes_the_outline_by_its_size():
    bilayer = Bilayer(10.0)
    spreads = []
    for seed in range(12):
        piece = make_vesicle(bilayer, 250.0, 0.08, np.random.default_rng(seed))
        places = np.argwhere(piece.label) - np.array(piece.label.shape) // 2
        away = np.linalg.norm(places, axis=1) * 10
        spreads.append(away.std() / 250)
    wall = bilayer.half_label_angstrom / np.sqrt(3) / 250
    assert np.sqrt(np.mean(np.square(spreads)) - wall**2) == pytest.approx(0.08, rel=0.35)
