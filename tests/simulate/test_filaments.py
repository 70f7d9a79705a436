"""Filaments have the helix, the handedness, the width and the stiffness they claim, and stay in the box."""

import numpy as np
import pytest
import scipy.ndimage as ndi

from vitreous.simulate.canvas import Canvas
from vitreous.simulate.filaments import _cells_touched, place_filament, render_filament
from vitreous.simulate.helices import ACTIN, MICROTUBULE, STEP_ANGSTROM, Axis, bead_positions

SPACING = 5.0


def straight(direction=(1.0, 0, 0), half_length=400.0):
    return Axis.random(half_length, 1e9, np.array(direction), np.random.default_rng(0))


def upright(kind, shape):
    """A straight filament along +z through the middle of a box."""
    middle = (np.array(shape) - 1) / 2
    axis = straight(half_length=shape[0] * SPACING)
    piece, corner = render_filament(kind, axis, middle, shape, SPACING)
    density = np.zeros(shape, np.float32)
    density[tuple(slice(c, c + n) for c, n in zip(corner, piece.density.shape, strict=True))] = piece.density
    return density


def screwed(density, twist_deg, rise_angstrom):
    """Turned about +z by a right-handed angle (x towards y), then moved up along z."""
    cos, sin = np.cos(np.deg2rad(twist_deg)), np.sin(np.deg2rad(twist_deg))
    turn = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])  # (z, y, x): x = 1 goes to y = sin
    centre = (np.array(density.shape) - 1) / 2
    offset = centre - turn.T @ (centre + np.array([rise_angstrom / SPACING, 0, 0]))
    return ndi.affine_transform(density, turn.T, offset, order=3)


def symmetry(density, twist_deg, rise_angstrom):
    middle = slice(18, -18)
    return np.corrcoef(density[middle].ravel(), screwed(density, twist_deg, rise_angstrom)[middle].ravel())[
        0, 1
    ]


def test_the_screw_of_the_test_is_right_handed():
    spot = np.zeros((9, 9, 9), np.float32)
    spot[4, 4, 6] = 1  # on +x
    assert np.unravel_index(screwed(spot, 90, SPACING).argmax(), spot.shape) == (5, 6, 4)  # on +y, one up


@pytest.fixture(scope="module")
def actin():
    return upright(ACTIN, (72, 27, 27))


def test_actin_has_its_twist_and_rise_and_no_other(actin):
    twists, rises = np.arange(-176.6, -150, 5), np.array([22.5, 27.5, 32.5])
    scores = np.array([[symmetry(actin, twist, rise) for rise in rises] for twist in twists])
    best = np.unravel_index(scores.argmax(), scores.shape)
    assert (twists[best[0]], rises[best[1]]) == pytest.approx((-166.6, 27.5))
    assert scores.max() > 0.99


def test_actin_is_left_handed_from_subunit_to_subunit_and_right_handed_along_its_strands(actin):
    assert symmetry(actin, -166.6, 27.5) > symmetry(actin, 166.6, 27.5) + 0.1
    assert symmetry(actin, 26.8, 55.0) > symmetry(actin, -26.8, 55.0) + 0.1
    mirrored = actin[:, :, ::-1]
    assert symmetry(mirrored, 26.8, 55.0) < symmetry(mirrored, -26.8, 55.0) - 0.1


def test_actin_has_a_direction(actin):
    assert np.abs(actin - actin[::-1, ::-1]).max() > 0.3 * actin.max()  # turned upside down about x


def test_actin_is_about_seven_nanometres_wide_with_the_mass_of_its_subunits(actin):
    inside = (actin[20:-20] > 0.25 * actin.max()).any(axis=0)
    assert 60 <= 2 * np.sqrt(inside.sum() / np.pi) * SPACING <= 100
    per_angstrom = actin[20:-19].sum() * SPACING**3 / (33 * SPACING)  # six subunits
    assert per_angstrom == pytest.approx(42_000 * 4.4 / 27.5, rel=0.03)
    assert 2 < actin.max() < 5


@pytest.fixture(scope="module")
def microtubule():
    return upright(MICROTUBULE, (72, 67, 67))


def test_a_microtubule_is_a_tube_of_thirteen_protofilaments(microtubule):
    section = microtubule[14:-14].mean(axis=0)
    angles = np.arange(0, 360, 1.0)
    ring = ndi.map_coordinates(
        section,
        33 + 109 / SPACING * np.stack([np.sin(np.deg2rad(angles)), np.cos(np.deg2rad(angles))]),
        order=3,
    )
    power = np.abs(np.fft.rfft(ring - ring.mean()))
    assert power[:40].argmax() == 13
    y, x = np.ogrid[-33:34, -33:34]
    away = np.hypot(y, x) * SPACING
    assert section[away < 60].max() < 0.02 * section.max()
    outer = away[section > 0.25 * section.max()].max()
    assert 115 <= outer <= 140
    assert 1.5 < microtubule.max() < 5


def test_a_microtubule_repeats_every_monomer_and_a_little_differently_every_dimer(microtubule):
    assert symmetry(microtubule, 0, 41.0) > 0.97
    assert (
        symmetry(microtubule, 0, 82.0)
        > symmetry(microtubule, 0, 41.0)
        > symmetry(microtubule, 0, 20.5) + 0.05
    )
    # Three-start helix, left-handed: a protofilament further, down by 9.46 Å is another lattice.
    forward = symmetry(microtubule, -360 / 13, 3 * 41 / 13)
    assert forward > symmetry(microtubule, 360 / 13, 3 * 41 / 13) + 0.01
    assert forward > 0.95


def test_beads_keep_their_distance_from_a_curved_axis():
    axis = Axis.random(2000.0, 1.0, np.array([0.2, 1.0, -0.5]), np.random.default_rng(3))
    positions, masses, _ = bead_positions(MICROTUBULE, axis)
    fine = np.arange(axis.arc_angstrom[0], axis.arc_angstrom[-1], 2.0)
    line = axis.at(fine, np.zeros_like(fine), np.zeros_like(fine))
    inner = np.abs(positions - axis.points_angstrom[0]).max(axis=1) > 300
    some = positions[inner & (np.linalg.norm(positions - axis.points_angstrom[-1], axis=1) > 300)][::37]
    nearest = np.linalg.norm(some[:, None] - line, axis=-1).min(axis=1)
    assert np.abs(nearest - 109).max() < 14
    assert masses.sum() == pytest.approx(2 * 2000 / 41 * 13 * 50_000, rel=0.03)


def test_stiffness_is_the_persistence_length():
    rng = np.random.default_rng(0)
    cosines = []
    for _ in range(250):
        axis = Axis.random(2000.0, 1.0, np.array([0.0, 0, 1]), rng)
        cosines.append(axis.tangents[0] @ axis.tangents[-1])
        np.testing.assert_allclose((axis.tangents * axis.normals).sum(axis=1), 0, atol=1e-9)
        np.testing.assert_allclose(
            np.linalg.norm(np.diff(axis.points_angstrom, axis=0), axis=1), STEP_ANGSTROM
        )
    expected, error = np.exp(-4000 / 1e4), np.std(cosines) / np.sqrt(250)
    assert abs(np.mean(cosines) - expected) < 4 * error + 0.01
    assert abs(np.mean(cosines) - np.exp(-2 * 4000 / 1e4)) > 4 * error  # the two-dimensional law


@pytest.mark.parametrize("kind", [ACTIN, MICROTUBULE])
def test_a_filament_runs_through_the_box_and_meets_nothing(kind):
    rng = np.random.default_rng(2)
    canvas = Canvas.empty((90, 80, 91))
    canvas.occupied[60:70] = True  # a wall that it must not cross
    before = canvas.occupied.copy()
    assert place_filament(canvas, kind, 1, rng, voxel_spacing_angstrom=10.0)
    assert not (before & (canvas.instance_mask > 0)).any()
    places = np.argwhere(canvas.instance_mask == 1)
    assert np.linalg.norm(places.max(axis=0) - places.min(axis=0)) > 35
    edge = (places == 0) | (places == np.array(canvas.shape) - 1)
    assert edge.any()  # cut off at the box, not ended inside it
    shape = (30, 30, 30)
    full = Canvas(np.zeros(shape, np.float32), np.zeros(shape, np.int32), np.ones(shape, bool))
    assert not place_filament(full, kind, 1, rng, voxel_spacing_angstrom=10.0)


def test_the_lumen_excludes_others_but_belongs_to_nobody():
    axis = straight(half_length=400.0)
    piece, corner = render_filament(MICROTUBULE, axis, np.full(3, 16.0), (33, 33, 33), 10.0)
    y, x = np.ogrid[: piece.solid.shape[1], : piece.solid.shape[2]]
    inside = np.hypot(y + corner[1] - 16, x + corner[2] - 16) <= 7.4
    assert piece.solid[4:-4, inside].all()
    assert not piece.label[4:-4, np.hypot(y + corner[1] - 16, x + corner[2] - 16) <= 5].any()


@pytest.mark.parametrize("cell", [1, 3, 4])
def test_every_voxel_near_a_line_lies_in_a_touched_cell(cell):
    rng = np.random.default_rng(cell)
    line, radius, side = rng.uniform(-10, 10, size=(30, 3)), 2.6, 8
    touched = _cells_touched(line, radius, cell, (side,) * 3)
    voxels = np.argwhere(np.ones((41,) * 3)) - 20
    near = voxels[(np.linalg.norm(voxels[:, None] - line, axis=-1) <= radius).any(axis=1)]
    cells = near // cell + side - 1
    cells = cells[((cells >= 0) & (cells < 2 * side - 1)).all(axis=1)]
    assert len(cells) > 100
    assert touched[tuple(cells.T)].all()
    assert touched.mean() < 0.9 or cell > 1
