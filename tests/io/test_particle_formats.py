"""Particles of Dynamo, copick and RELION 4: known angles, a turned density, there and back, damaged files."""

import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vitreous.core import InputError, Poses, Volume
from vitreous.io import (
    open_volume,
    particle_format,
    read_copick_picks,
    read_dynamo_table,
    read_particles,
    read_star,
    read_tomogram_sizes,
    write_copick_picks,
    write_copick_segmentation,
    write_dynamo_table,
    write_particles,
)
from vitreous.io.dynamo import dynamo_angles, from_dynamo_angles
from vitreous.io.euler import from_zyz

spec = importlib.util.spec_from_file_location("poses_strategy", Path(__file__).with_name("poses_strategy.py"))
strategy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(strategy)
SHAPE, SPACING = strategy.SHAPE, strategy.SPACING


def of_columns(matrix_xyz):
    """A matrix for (z, y, x) columns."""
    return np.asarray(matrix_xyz)[::-1, ::-1]


# Matrices that `dynamo_euler2matrix` of Dynamo gives, as tests of other programs have them to four digits.
@pytest.mark.parametrize(
    ("angles", "matrix"),
    [
        ((30, 60, 75), [[-0.0173, -0.5477, 0.8365], [0.9012, -0.3709, -0.2241], [0.4330, 0.7500, 0.5000]]),
        (
            (-155.55, 63.924, 197.81),
            [[0.8110, -0.5165, -0.2747], [0.4516, 0.2544, 0.8552], [-0.3718, -0.8177, 0.4396]],
        ),
    ],
)
def test_rotations_are_those_of_dynamo(angles, matrix):
    ours = from_dynamo_angles(np.array([angles]))[0]
    np.testing.assert_allclose(ours, of_columns(np.transpose(matrix)), atol=1e-4)
    assert not np.allclose(ours, of_columns(matrix), atol=0.1)


def test_the_same_particle_in_dynamo_and_relion():
    """A pair that gave identical reconstructions in both programs (dynamo2m's tests)."""
    dynamo = from_dynamo_angles(np.array([[-47.2730, 1.1777, -132.3000]]))
    relion = from_zyz(np.array([[137.7000, 1.1777, 42.7270]]))
    np.testing.assert_allclose(dynamo, relion, atol=1e-5)


def test_a_density_turned_as_dynamo_defines_it():
    """What Dynamo's matrix M takes to the reference is, at r, the reference at M r."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), -1).astype(float)
    ball = np.exp(-np.sum(grid**2, axis=-1) / 40)
    density = ndi.gaussian_filter(rng.normal(size=ball.shape), 2) * ball  # (z, y, x), without symmetry
    angles = (40.0, 65.0, -110.0)
    tdrot, tilt, narot = angles
    matrix = Rotation.from_euler("zxz", [tdrot, tilt, narot], degrees=True).as_matrix()  # extrinsic
    centre = np.full(3, 12.0)
    by_xyz = density.transpose(2, 1, 0)
    turned = ndi.affine_transform(by_xyz, matrix, centre - matrix @ centre, order=3).transpose(2, 1, 0)

    def by_pose(rotation):
        return ndi.affine_transform(density, rotation.T, centre - rotation.T @ centre, order=3)

    ours = from_dynamo_angles(np.array([angles]))[0]
    assert np.corrcoef(by_pose(ours).ravel(), turned.ravel())[0, 1] > 0.9999
    assert np.corrcoef(by_pose(ours.T).ravel(), turned.ravel())[0, 1] < 0.9


@given(strategy.poses(), st.sampled_from([*"abc"]))
@settings(max_examples=40, deadline=None)
def test_round_trips(poses, which):
    kind, file = {"a": ("dynamo", "x.tbl"), "b": ("relion4", "x.star"), "c": ("poses", "x.csv")}[which]
    scores = np.linspace(1, 0, len(poses))
    with tempfile.TemporaryDirectory() as folder:
        path = write_particles(
            Path(folder) / file,
            poses,
            tomogram_name="12",
            shape=SHAPE,
            voxel_spacing_angstrom=SPACING,
            scores=scores,
            kind=kind,
        )
        read = read_particles(path)
    if not len(poses) and kind != "poses":
        assert read.poses == {}
        return
    (found,) = read.poses.values()
    if kind == "dynamo":
        numbers = {name: f"class-{n}" for n, name in enumerate(dict.fromkeys(poses.names), 1)}
        expected = tuple(numbers[name] for name in poses.names)
        poses = Poses(poses.rotations, poses.positions_angstrom, expected, poses.instances)
    strategy.assert_same(found, poses, rotation=1e-6, position_angstrom=1e-3)
    if kind != "poses":
        assert list(read.poses) == ["12"]
        np.testing.assert_allclose(read.scores["12"], scores, atol=1e-6)


@given(strategy.poses(names=("ribosome",)))
@settings(max_examples=30, deadline=None)
def test_round_trip_of_copick(poses):
    scores = np.linspace(1, 0, len(poses))
    with tempfile.TemporaryDirectory() as folder:
        path = write_copick_picks(
            Path(folder) / "ada_7_ribosome.json",
            poses,
            run_name="TS_01",
            voxel_spacing_angstrom=SPACING,
            scores=scores,
        )
        facts = json.loads(path.read_text())
        read = read_copick_picks(path)
    assert (facts["user_id"], facts["session_id"], facts["pickable_object_name"]) == ("ada", "7", "ribosome")
    assert read.run_name == "TS_01"
    strategy.assert_same(read.poses, poses, rotation=1e-12, position_angstrom=1e-9)
    np.testing.assert_array_equal(read.scores, scores)


def test_copick_has_xyz_in_angstrom(tmp_path):
    turn = from_zyz(np.array([[90.0, 0, 0]]))
    poses = Poses(turn, np.array([[10.0, 20.0, 30.0]]), ("phantom:26s",))
    file = write_copick_picks(tmp_path / "a.json", poses, run_name="r", voxel_spacing_angstrom=10.0)
    facts = json.loads(file.read_text())
    (point,) = facts["points"]
    assert point["location"] == {"x": 30.0, "y": 20.0, "z": 10.0}
    # rot = 90° turns the axes by +90° about z and so the particle by -90°: x comes to -y.
    np.testing.assert_allclose(
        (np.array(point["transformation_"]) @ [1, 0, 0, 1])[:3], [0, -1, 0], atol=1e-12
    )
    assert facts["trust_orientation"] is True
    assert facts["pickable_object_name"] == "phantom-26s"
    point["transformation_"][0][3] = 5.0  # a shift of the object belongs to its place
    file.write_text(json.dumps({**facts, "points": [point]}))
    np.testing.assert_allclose(read_copick_picks(file).poses.positions_angstrom, [[10, 20, 35]])


def test_dynamo_counts_voxels_from_one_and_applies_shifts_once(tmp_path):
    poses = Poses(np.eye(3)[None], np.zeros((1, 3)), ("a",), np.array([7]))
    file = write_dynamo_table(tmp_path / "a.tbl", poses, voxel_spacing_angstrom=8.0, tomogram=3)
    table = read_dynamo_table(file)
    np.testing.assert_array_equal(table.rows[0, 23:26], 1.0)
    assert (table.rows[0, 0], table.tomograms[0], table.rows[0, 35]) == (7, 3, 8.0)
    row = table.rows[0].copy()
    row[3:6] = (1, 2, 3)
    (tmp_path / "b.tbl").write_text(" ".join(map(str, row)))
    np.testing.assert_allclose(
        read_dynamo_table(tmp_path / "b.tbl").poses.positions_angstrom, [[24.0, 16.0, 8.0]]
    )


def test_a_short_table_needs_the_voxel_spacing(tmp_path):
    file = tmp_path / "a.tbl"
    file.write_text("# ours\n" + " ".join(["1"] * 26) + "\n\n")
    with pytest.raises(InputError, match="--voxel-size"):
        read_dynamo_table(file)
    assert len(read_dynamo_table(file, voxel_spacing_angstrom=5.0).poses) == 1


def with_words(path, words):
    """A table of one particle with these words in some of its columns, which count from 1."""
    row = ["1"] * 35 + ["5"] + ["1"] * 5
    for column, word in words.items():
        row[column - 1] = word
    path.write_text(" ".join(row))
    return path


@pytest.mark.parametrize(
    "word", ["0+1.5i", "-1.25e-05-3i", "2.5i", "1E+03+0.5E-2i", "NaN+0i", "0+NaNi", "Inf-Infi"]
)
def test_complex_numbers_of_matlab_are_nothing_measured(tmp_path, word):
    table = read_dynamo_table(with_words(tmp_path / "a.tbl", {10: word, 11: word}))
    assert (table.scores[0], table.rows[0, 10]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("inf", "not finite"),
        ("-Infinity", "not finite"),
        ("ribosome1", "other than numbers"),
        ("i", "other than numbers"),
        ("i1", "other than numbers"),
        ("1+2", "other than numbers"),
        ("1+2+3i", "other than numbers"),
    ],
)
@pytest.mark.parametrize("column", [4, 7, 24, 26])
def test_other_words_are_no_coordinates(tmp_path, word, told, column):
    with pytest.raises(InputError, match=told):
        read_dynamo_table(with_words(tmp_path / "a.tbl", {column: word}))


def test_a_pixel_of_exactly_one_is_not_known(tmp_path):
    with pytest.raises(InputError, match=r"does not say.*--voxel-size"):
        read_dynamo_table(with_words(tmp_path / "i.tbl", {36: "Inf"}))
    unset = with_words(tmp_path / "a.tbl", {24: "11", 36: "1"})
    for read in (read_dynamo_table, read_particles):
        with pytest.raises(InputError, match=r"exactly 1 Å.*--voxel-size"):
            read(unset)
    for file, spacing in ((unset, 8.0), (with_words(tmp_path / "b.tbl", {24: "11"}), 5.0)):
        by_file = read_particles(file, tomogram_spacing_angstrom=8.0)
        (poses,) = by_file.poses.values()
        np.testing.assert_allclose(poses.positions_angstrom, [[spacing, spacing, 11 * spacing]])
        assert by_file.notes == (
            ("the table does not say how large its voxels are; those of the tomogram, 8 Å, were taken",)
            if file == unset
            else ()
        )
        (poses,) = read_particles(file, voxel_spacing_angstrom=3.0).poses.values()
        np.testing.assert_allclose(poses.positions_angstrom, [[3, 3, 33]])
        (poses,) = read_particles(
            file, voxel_spacing_angstrom=3.0, tomogram_spacing_angstrom=8.0
        ).poses.values()
        np.testing.assert_allclose(poses.positions_angstrom, [[3, 3, 33]])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.tbl", "1 2 3", "has 3 columns"),
        ("a.tbl", "word " * 30, "other than numbers"),
        ("a.tbl", " ".join(["nan"] * 41), "not finite"),
        ("a.json", "[1]", "no picks of copick"),
        ("a.json", "{", "no JSON"),
        ("a.json", '{"pickable_object_name": "a", "unit": "pixel"}', "counts in pixel"),
        ("a.json", '{"pickable_object_name": "a", "points": [{"location": {"x": 1}}]}', "damaged"),
        ("a.json", '{"pickable_object_name": "a", "points": [3]}', "damaged"),
        ("a.txt", "", "no type of particle file"),
    ],
)
def test_what_is_damaged_is_said(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_particles(tmp_path / name)
    with pytest.raises(InputError):
        read_particles(tmp_path / f"missing{name[1:]}")


def test_formats_go_with_suffixes(tmp_path):
    assert particle_format("a.STAR") == "relion5"
    for path, kind in (("a.star", "dynamo"), ("a.tbl", "relion4"), ("a.star", "eman"), ("a", None)):
        with pytest.raises(InputError):
            particle_format(path, kind)
    two = Poses(np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 3)), ("a", "b"))
    with pytest.raises(InputError, match="one kind"):
        write_copick_picks(tmp_path / "a.json", two, run_name="r", voxel_spacing_angstrom=1.0)


def test_relion_4_counts_pixels(tmp_path):
    poses = Poses(np.eye(3)[None], np.array([[10.0, 20.0, 30.0]]), ("a",))
    file = write_particles(
        tmp_path / "a.star",
        poses,
        tomogram_name="t",
        shape=SHAPE,
        voxel_spacing_angstrom=5.0,
        kind="relion4",
    )
    table = read_star(file)["particles"]
    np.testing.assert_allclose(table.numbers(*(f"rlnCoordinate{a}" for a in "XYZ")), [[6, 4, 2]])
    assert table.text("rlnTomoManifoldIndex") == ("1",)


@given(
    strategy.poses(),
    st.sampled_from(["relion5", "relion4"]),
    st.floats(0.5, 8),
    st.one_of(st.integers(1, 16), st.floats(1, 16)),
)
@settings(max_examples=60, deadline=None)
def test_particles_of_a_binned_tomogram_come_back(poses, kind, pixel, binning):
    spacing = pixel * binning
    poses = Poses(poses.rotations, poses.positions_angstrom * spacing / SPACING, poses.names, poses.instances)
    with tempfile.TemporaryDirectory() as folder:
        path = write_particles(
            Path(folder) / "x.star",
            poses,
            tomogram_name="t",
            shape=SHAPE,
            voxel_spacing_angstrom=spacing,
            tilt_series_pixel_angstrom=pixel,
            kind=kind,
        )
        read, sizes = read_particles(path), read_tomogram_sizes(path)
        given_size = read_particles(path, sizes_angstrom={"t": tuple(side * spacing for side in SHAPE)})
        tables = read_star(path)
    assert sizes["t"] == pytest.approx(tuple(side * spacing for side in SHAPE), rel=1e-5)
    np.testing.assert_allclose(tables["optics"].numbers("rlnTomoTiltSeriesPixelSize"), pixel, rtol=1e-5)
    for found in (read, given_size):
        if len(poses):
            strategy.assert_same(found.poses["t"], poses, rotation=1e-6, position_angstrom=spacing / 50)


@pytest.mark.parametrize("kind", ["relion5", "relion4"])
def test_relion_finds_particles_of_a_binned_tomogram(tmp_path, kind):
    """Where RELION looks for a particle, in pixels of the tilt series from the first one's centre."""
    poses = Poses(np.eye(3)[None], np.array([[216.0, 108.0, 540.0]]), ("a",))
    file = write_particles(
        tmp_path / "a.star",
        poses,
        tomogram_name="t",
        shape=(60, 100, 120),
        voxel_spacing_angstrom=10.8,
        tilt_series_pixel_angstrom=1.35,
        kind=kind,
    )
    tables = read_star(file)
    pixel, table = tables["optics"].numbers("rlnTomoTiltSeriesPixelSize"), tables["particles"]
    assert pixel == 1.35
    assert [tables["tomograms"].text(f"rlnTomoSize{axis}") for axis in "XYZ"] == [
        ("960",),
        ("800",),
        ("480",),
    ]
    if kind == "relion4":
        seen = table.numbers(*(f"rlnCoordinate{a}" for a in "XYZ"))
    else:
        seen = table.numbers(*(f"rlnCenteredCoordinate{a}Angst" for a in "XYZ")) / pixel + (480, 400, 240)
    np.testing.assert_allclose(seen, [[400, 80, 160]], atol=1e-6)


def test_segmentations_lie_where_copick_looks(tmp_path):
    labels = np.zeros((6, 8, 10), np.int8)
    labels[1:3] = 5
    path = write_copick_segmentation(tmp_path, Volume(labels, 13.48), run_name="TS_1", name="all of it")
    expected = "ExperimentRuns/TS_1/Segmentations/13.480_vitreous_0_all-of-it-multilabel.zarr"
    assert path == tmp_path / expected
    read = open_volume(path)
    assert read.data.dtype == np.uint8
    np.testing.assert_array_equal(read.data, labels)
    assert read.mean_spacing_angstrom == pytest.approx(13.48)
    with pytest.raises(InputError, match="voxel spacing"):
        write_copick_segmentation(tmp_path, Volume(labels), run_name="TS_1", name="a")
    with pytest.raises(InputError, match="exists"):
        write_copick_segmentation(tmp_path, Volume(labels, 13.48), run_name="TS_1", name="all of it")


@given(strategy.poses())
@settings(max_examples=30, deadline=None)
def test_angles_come_back(poses):
    if len(poses):
        np.testing.assert_allclose(
            from_dynamo_angles(dynamo_angles(poses.rotations)), poses.rotations, atol=1e-6
        )
