"""Poses in RELION's files: rotations worked out by hand, there and back, and the pixels of coordinates."""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from vitreous.core import InputError, Poses
from vitreous.io import (
    StarTable,
    read_relion_particles,
    read_star,
    read_tomogram_sizes,
    write_relion5_particles,
    write_relion5_tomograms,
    write_star,
)

spec = importlib.util.spec_from_file_location("poses_strategy", Path(__file__).with_name("poses_strategy.py"))
strategy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(strategy)
SHAPE, SPACING = strategy.SHAPE, strategy.SPACING
SIZE = tuple(side * SPACING for side in SHAPE)

C, S = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
X, Y, Z = np.eye(3)


def relion_matrix(rot, tilt, psi):
    """A(psi, tilt, rot) of RELION's `Euler_angles2matrix`, element by element, on (x, y, z) columns."""
    a, b, g = np.deg2rad([rot, tilt, psi])
    ca, cb, cg, sa, sb, sg = np.cos(a), np.cos(b), np.cos(g), np.sin(a), np.sin(b), np.sin(g)
    return np.array(
        [
            [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
            [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
            [sb * ca, sb * sa, cb],
        ]
    )


def particles(path, columns, optics=None):
    tables = {"particles": StarTable({k: tuple(map(str, v)) for k, v in columns.items()})}
    if optics:
        tables = {"optics": StarTable({k: tuple(map(str, v)) for k, v in optics.items()}), **tables}
    return write_star(path, tables)


def turned(path, angles, point_xyz, **more):
    """Where a file with these angles puts a point of the particle, in (x, y, z)."""
    columns = {"rlnTomoName": ["1"], **{f"rlnCoordinate{axis}": [0] for axis in "XYZ"}, **more}
    columns |= {f"rlnAngle{name}": [a] for name, a in zip(("Rot", "Tilt", "Psi"), angles, strict=True)}
    file = particles(path / f"{len(list(path.iterdir()))}.star", columns)
    poses = read_relion_particles(file, coordinate_pixel_angstrom=1.0).poses["1"]
    return (poses.rotations[0] @ np.asarray(point_xyz)[::-1])[::-1]


# Rotations of RELION are of coordinates: rot = 30° expresses a point in axes turned by +30° about z, so
# that the point itself turns by -30°. Applied to the reference in the order rot, tilt, psi.
@pytest.mark.parametrize(
    ("angles", "point", "where"),
    [
        ((30, 0, 0), X, (C, -S, 0)),
        ((0, 0, 30), X, (C, -S, 0)),
        ((0, 30, 0), X, (C, 0, S)),
        ((0, 30, 0), Z, (-S, 0, C)),
        ((90, 90, 0), X, -Y),  # rot takes x to -y, which tilt leaves
        ((0, 90, 90), X, Z),  # tilt takes x to z, which psi leaves
        (
            (90, 90, 0),
            Y,
            Z,
        ),  # the direction that is seen along z is (sin tilt cos rot, sin tilt sin rot, cos tilt)
    ],
)
def test_rotations_worked_out_by_hand(tmp_path, angles, point, where):
    np.testing.assert_allclose(turned(tmp_path, angles, point), where, atol=1e-12)


def test_rotations_are_those_of_relion(tmp_path):
    rng = np.random.default_rng(1)
    for angles in rng.uniform(-180, 180, (5, 3)):
        expected = relion_matrix(*angles)
        got = np.stack([turned(tmp_path, angles, axis) for axis in np.eye(3)], axis=1)
        np.testing.assert_allclose(got, expected, atol=1e-9)
        assert not np.allclose(got, expected.T, atol=1e-3)


def test_subtomogram_angles_come_after_the_particles_own(tmp_path):
    more = {"rlnTomoSubtomogramRot": [0], "rlnTomoSubtomogramTilt": [90], "rlnTomoSubtomogramPsi": [0]}
    more |= {"rlnOriginXAngst": [5], "rlnOriginYAngst": [0], "rlnOriginZAngst": [0]}
    # psi = 90° takes x to -y, which the subtomogram's tilt leaves; y to x and then to z.
    np.testing.assert_allclose(turned(tmp_path, (0, 0, 90), X, **more), -Y, atol=1e-12)
    np.testing.assert_allclose(turned(tmp_path, (0, 0, 90), Y, **more), Z, atol=1e-12)
    # The offset is in the subtomogram's axes: 5 Å along its x is 5 Å along z of the tomogram.
    poses = read_relion_particles(max(tmp_path.iterdir()), coordinate_pixel_angstrom=1.0).poses["1"]
    np.testing.assert_allclose(poses.positions_angstrom, [[-5, 0, 0]], atol=1e-12)


@given(strategy.poses())
def test_round_trip(poses):
    with tempfile.TemporaryDirectory() as folder:
        file = write_relion5_particles(
            Path(folder) / "a.star", poses, tomogram_name="0012", shape=SHAPE, voxel_spacing_angstrom=SPACING
        )
        read = read_relion_particles(file, sizes_angstrom={"0012": SIZE})
        if not len(poses):
            assert read.poses == {}
            return
        assert list(read.poses) == ["0012"]
        strategy.assert_same(read.poses["0012"], poses, rotation=1e-6, position_angstrom=1e-3)


def test_coordinates_count_from_the_centre(tmp_path):
    poses = Poses(np.eye(3)[None], np.array([[10.0, 20.0, 30.0]]), ("a",))
    file = write_relion5_particles(
        tmp_path / "a.star", poses, tomogram_name="t", shape=(8, 10, 12), voxel_spacing_angstrom=10.0
    )
    table = read_star(file)["particles"]
    np.testing.assert_allclose(
        table.numbers(*(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")), [[30 - 60, 20 - 50, 10 - 40]]
    )
    assert table.text("rlnTomoParticleName") == ("t/1",)
    assert read_star(file)["optics"].numbers("rlnTomoTiltSeriesPixelSize") == 10.0


def test_classes_and_unknown_columns_are_kept(tmp_path):
    poses = Poses(np.tile(np.eye(3), (3, 1, 1)), np.zeros((3, 3)), ("b", "a", "b"), np.array([4, 5, 9]))
    file = write_relion5_particles(
        tmp_path / "a.star", poses, tomogram_name="t", shape=SHAPE, voxel_spacing_angstrom=SPACING
    )
    assert read_star(file)["particles"].text("rlnClassNumber") == ("1", "2", "1")
    tables = dict(read_star(file))
    tables["particles"] = StarTable({**tables["particles"].columns, "theirs": ("1,5", "", "007")})
    read = read_relion_particles(write_star(tmp_path / "b.star", tables), sizes_angstrom={"t": SIZE})
    again = read_star(write_star(tmp_path / "c.star", read.tables))
    assert again["particles"].text("theirs") == ("1,5", "", "007")
    assert list(again["particles"].columns) == list(tables["particles"].columns)


def test_particles_are_told_apart_by_tomogram(tmp_path):
    columns = {"rlnTomoName": ["2", "1", "2"], **{f"rlnCoordinate{axis}": [1, 2, 3] for axis in "XYZ"}}
    read = read_relion_particles(particles(tmp_path / "a.star", columns), coordinate_pixel_angstrom=2.0)
    assert list(read.poses) == ["2", "1"]
    np.testing.assert_array_equal(read.rows["2"], [0, 2])
    np.testing.assert_allclose(read.poses["2"].positions_angstrom, [[2, 2, 2], [6, 6, 6]])
    assert read.poses["2"].instances.tolist() == [1, 2]
    assert "the file has no angles; particles are taken as not rotated" in read.notes


@pytest.mark.parametrize(
    ("span", "pixel"),
    [
        ((350, 700, 90), 8.0),  # as extracted: in pixels of the tilt series all would lie in a corner
        ((1900, 3100, 380), 2.0),  # would not fit as extracted
    ],
)
def test_the_pixel_of_coordinates_is_found(tmp_path, span, pixel):
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, 1, (30, 3)) * span
    columns = {"rlnTomoName": ["1"] * 30, **{f"rlnCoordinate{a}": xyz[:, i] for i, a in enumerate("XYZ")}}
    optics = {"rlnTomoTiltSeriesPixelSize": [2.0], "rlnImagePixelSize": [8.0]}
    file = particles(tmp_path / "a.star", columns, optics)
    size = (800.0, 6400.0, 4000.0)
    read = read_relion_particles(file, sizes_angstrom={"1": size})
    np.testing.assert_allclose(read.poses["1"].positions_angstrom, xyz[:, ::-1] * pixel)
    assert f"coordinates taken to be in pixels of {pixel:.0f} Å" in read.notes
    with pytest.raises(InputError, match="coordinates could be in pixels of 2 or 8 Å"):
        read_relion_particles(file)
    given_pixel = read_relion_particles(file, coordinate_pixel_angstrom=3.0)
    np.testing.assert_allclose(given_pixel.poses["1"].positions_angstrom, xyz[:, ::-1] * 3)


AXES = [f"rlnCoordinate{axis}" for axis in "XYZ"]
EDGE = {"1": (1000.0, 1000.0, 1000.0), "2": (1000.0, 1000.0, 1000.0)}


def in_groups(path, xyz, groups, **optics):
    """A file whose particles, all in tomogram 1, belong to optics groups 1, 2 …"""
    columns = {"rlnTomoName": ["1"] * len(xyz), "rlnOpticsGroup": groups}
    columns |= dict(zip(AXES, np.transpose(xyz), strict=True))
    count = len(next(iter(optics.values())))
    return particles(path, columns, {"rlnOpticsGroup": range(1, count + 1), **optics})


def test_each_particle_is_read_at_the_pixel_of_its_own_group(tmp_path):
    xyz = np.array([[100, 200, 50], [300, 100, 40], [90, 80, 70]])
    file = in_groups(tmp_path / "a.star", xyz, [2, 1, 2], rlnTomoTiltSeriesPixelSize=[1.5, 3.0])
    for sizes in (None, EDGE):
        read = read_relion_particles(file, sizes_angstrom=sizes)
        pixels = np.array([[3.0], [1.5], [3.0]])
        np.testing.assert_allclose(read.poses["1"].positions_angstrom, xyz[:, ::-1] * pixels)
        assert "coordinates taken to be in pixels of 1.5 and 3 Å" in read.notes
    given = read_relion_particles(file, coordinate_pixel_angstrom=2.0)
    np.testing.assert_allclose(given.poses["1"].positions_angstrom, xyz[:, ::-1] * 2.0)
    stranger = in_groups(tmp_path / "b.star", xyz, [2, 1, 9], rlnTomoTiltSeriesPixelSize=[1.5, 3.0])
    with pytest.raises(InputError, match="does not say in which pixels"):
        read_relion_particles(stranger)


def test_the_pixel_of_images_is_taken_only_if_the_tilt_series_does_not_fit(tmp_path):
    optics = {"rlnTomoTiltSeriesPixelSize": [2.0, 4.0], "rlnImagePixelSize": [8.0, 8.0]}
    far = in_groups(tmp_path / "a.star", [[300, 200, 240], [200, 100, 50]], [1, 2], **optics)
    read = read_relion_particles(far, sizes_angstrom=EDGE)
    np.testing.assert_allclose(read.poses["1"].positions_angstrom, [[480, 400, 600], [200, 400, 800]])
    halved = {"rlnTomoTiltSeriesPixelSize": [8.0, 8.0], "rlnImagePixelSize": [2.0, 4.0]}
    read = read_relion_particles(
        in_groups(tmp_path / "b.star", [[300, 200, 240], [200, 100, 50]], [1, 2], **halved),
        sizes_angstrom=EDGE,
    )
    np.testing.assert_allclose(read.poses["1"].positions_angstrom, [[480, 400, 600], [200, 400, 800]])


@pytest.mark.parametrize(
    "xyz",
    [
        [[240, 200, 100]],  # one particle would span half of each side if it were measured from the corner
        np.random.default_rng(0).uniform(10, 245, (40, 3)),  # a vesicle in one corner, or everywhere
    ],
)
def test_where_both_pixels_fit_neither_is_guessed(tmp_path, xyz):
    optics = {"rlnTomoTiltSeriesPixelSize": [2.0], "rlnImagePixelSize": [4.0]}
    file = in_groups(tmp_path / "a.star", xyz, [1] * len(xyz), **optics)
    with pytest.raises(InputError, match="could be in pixels of 2 or 4 Å") as refusal:
        read_relion_particles(file, sizes_angstrom=EDGE)
    assert "--coordinate-pixel" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    without = dict(read_star(file))
    kept = {k: v for k, v in without["optics"].columns.items() if k != "rlnImagePixelSize"}
    mended = write_star(tmp_path / "b.star", {**without, "optics": StarTable(kept)})
    read = read_relion_particles(mended, sizes_angstrom=EDGE)
    np.testing.assert_allclose(read.poses["1"].positions_angstrom, np.asarray(xyz)[:, ::-1] * 2)
    same = {"rlnTomoTiltSeriesPixelSize": [2.0], "rlnImagePixelSize": [2.0]}
    alike = read_relion_particles(in_groups(tmp_path / "c.star", xyz, [1] * len(xyz), **same))
    np.testing.assert_allclose(alike.poses["1"].positions_angstrom, read.poses["1"].positions_angstrom)


def test_a_tomogram_may_say_the_pixel_of_its_particles(tmp_path):
    names = StarTable({"rlnTomoName": ("2", "1"), "rlnTomoTiltSeriesPixelSize": ("3.0", "2.0")})
    table = StarTable({"rlnTomoName": ("1", "2"), **dict.fromkeys(AXES, ("10", "10"))})
    file = write_star(tmp_path / "a.star", {"particles": table, "global": names})
    poses = read_relion_particles(file).poses
    assert (poses["1"].positions_angstrom.max(), poses["2"].positions_angstrom.max()) == (20.0, 30.0)


def test_few_particles_in_a_corner_are_ambiguous(tmp_path):
    columns = {"rlnTomoName": ["1"], **{f"rlnCoordinate{axis}": [20] for axis in "XYZ"}}
    optics = {"rlnTomoTiltSeriesPixelSize": [2.0], "rlnImagePixelSize": [8.0]}
    file = particles(tmp_path / "a.star", columns, optics)
    with pytest.raises(InputError, match="could be in pixels of 2 or 8 Å"):
        read_relion_particles(file, sizes_angstrom={"1": (800.0, 6400.0, 4000.0)})
    with pytest.raises(InputError, match="with pixels of 2 or 8 Å particles lie outside"):
        read_relion_particles(file, sizes_angstrom={"1": (30.0, 6400.0, 4000.0)})


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"x": [1]}, "holds no table of particles"),
        ({f"rlnCoordinate{axis}": [1] for axis in "XYZ"}, "the column rlnTomoName is missing"),
        ({"rlnTomoName": ["1"], "rlnCoordinateX": [1]}, "the column rlnCoordinateY is missing"),
        ({"rlnTomoName": ["1"], **{f"rlnCoordinate{a}": [1] for a in "XYZ"}}, "in which pixels"),
        (
            {"rlnTomoName": ["1"], **{f"rlnCoordinate{a}": [1] for a in "XYZ"}, "rlnAngleRot": [1]},
            "the column rlnAngleTilt is missing",
        ),
        (
            {"rlnTomoName": ["1"], **{f"rlnCenteredCoordinate{a}Angst": [1] for a in "XYZ"}},
            "whose size is not",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path, columns, problem):
    name = "other" if "x" in columns else "particles"
    table = StarTable({k: tuple(map(str, v)) for k, v in columns.items()})
    file = write_star(tmp_path / "a.star", {name: table})
    with pytest.raises(InputError, match=problem):
        read_relion_particles(file)


def test_sizes_of_tomograms(tmp_path):
    columns = {"rlnTomoName": ["007"], "rlnTomoTiltSeriesPixelSize": [2.0]}
    columns |= {f"rlnTomoSize{axis}": [side] for axis, side in zip("XYZ", (400, 300, 100), strict=True)}
    table = StarTable({k: tuple(map(str, v)) for k, v in columns.items()})
    file = write_star(tmp_path / "tomograms.star", {"global": table})
    assert read_tomogram_sizes(file) == {"007": (200.0, 600.0, 800.0)}
    with pytest.raises(InputError, match="holds no table of tomograms"):
        read_tomogram_sizes(particles(tmp_path / "a.star", {"rlnTomoName": ["1"]}))


def test_a_real_export_of_warp(shared_data):
    folder = shared_data / "real" / "ribosome_tilts"
    stem = "warptools_test_4-tomos_10-ptcls_box-32_angpix-12"
    sizes = read_tomogram_sizes(folder / f"{stem}_tomograms.star")
    read = read_relion_particles(folder / f"{stem}.star", sizes_angstrom=sizes)
    assert {name: len(poses) for name, poses in read.poses.items()} == {
        "Unt_050.tomostar": 10,
        "Unt_076.tomostar": 10,
    }
    assert read.notes == ("coordinates taken to be in pixels of 12 Å",)
    first = read.poses["Unt_050.tomostar"]
    np.testing.assert_allclose(first.positions_angstrom[0], np.array([27.755, 86.278, 508.142]) * 12)
    assert "rlnTomoVisibleFrames" in read.tables["particles"]


def test_particles_and_tomograms_are_read_back_together(tmp_path):
    poses = Poses(np.eye(3)[None], np.array([[10.0, 250.0, 330.0]]), ("phantom:tric",))
    shape = (40, 60, 80)
    write_relion5_particles(
        tmp_path / "p.star", poses, tomogram_name="07", shape=shape, voxel_spacing_angstrom=SPACING
    )
    sizes = read_tomogram_sizes(
        write_relion5_tomograms(tmp_path / "t.star", {"07": shape}, voxel_spacing_angstrom=SPACING)
    )
    assert sizes == {"07": pytest.approx(tuple(side * SPACING for side in shape))}
    found = read_relion_particles(tmp_path / "p.star", sizes_angstrom=sizes).poses["07"]
    np.testing.assert_allclose(found.positions_angstrom, poses.positions_angstrom, atol=1e-3)


def test_scores_and_the_size_of_the_tomogram_travel_with_the_particles(tmp_path):
    positions = np.array([[10.0, 20.0, 30.0], [300.0, 200.0, 100.0]])
    poses = Poses(np.tile(np.eye(3), (2, 1, 1)), positions, ("a", "b"))
    scores = np.array([7.25, -1.5])
    file = write_relion5_particles(
        tmp_path / "p.star",
        poses,
        tomogram_name="007",
        shape=SHAPE,
        voxel_spacing_angstrom=SPACING,
        scores=scores,
    )
    found = read_relion_particles(file)  # no size is given: the file holds it
    np.testing.assert_allclose(found.poses["007"].positions_angstrom, positions, atol=1e-6)
    np.testing.assert_allclose(found.scores["007"], scores)
    assert read_tomogram_sizes(file) == {"007": pytest.approx(SIZE)}
    elsewhere = read_relion_particles(file, sizes_angstrom={"007": tuple(2 * s for s in SIZE)})
    shift = elsewhere.poses["007"].positions_angstrom - positions
    np.testing.assert_allclose(shift, np.tile(np.array(SIZE) / 2, (2, 1)), atol=1e-6)
