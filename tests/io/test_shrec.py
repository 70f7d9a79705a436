"""The layout of SHREC 2021: ours there and back, and folders like those of the real data set."""

import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core import InputError, Poses, Volume
from vitreous.io import SHREC21_CLASSES, ShrecTomogram, read_shrec21, write_shrec21

spec = importlib.util.spec_from_file_location("poses_strategy", Path(__file__).with_name("poses_strategy.py"))
strategy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(strategy)

CLASSES = {1: "pdb:1bxn", 2: "phantom:ribosome", 3: "5mrc", 4: "membrane", 5: "vesicle", 6: "gold"}
NEEDED = ("grandmodel", "class_mask", "occupancy_mask", "reconstruction")


def volumes(shape=(6, 8, 10), spacing=10.0, labels=9, seed=0):
    rng = np.random.default_rng(seed)
    density, tomogram = rng.normal(size=(2, *shape)).astype(np.float32)
    classes, instances = rng.integers(0, 7, shape), rng.integers(0, labels + 1, shape)
    made = (density, classes.astype(np.int16), instances.astype(np.int32), tomogram)
    return [Volume(data, spacing) for data in made]


def tomogram(poses=None, others=None, **more):
    none = Poses(np.empty((0, 3, 3)), np.empty((0, 3)), ())
    return ShrecTomogram(poses or none, others or none, CLASSES, *volumes(), **more)


def at(names, instances, seed=0):
    """Upright poses."""
    positions = np.random.default_rng(seed).uniform(0, 50, (len(names), 3))
    return Poses(np.tile(np.eye(3), (len(names), 1, 1)), positions, names, np.array(instances))


@settings(max_examples=25, deadline=None)
@given(strategy.poses(max_size=4), st.integers(0, 3))
def test_round_trip_is_exact(poses, beads):
    labels = np.random.default_rng(len(poses)).permutation(np.arange(1, len(poses) + beads + 1))
    poses = replace(poses, instances=labels[: len(poses)])
    others = at(("gold", "vesicle", "gold")[:beads], labels[len(poses) :])
    written = tomogram(poses, others, tilt_angles_deg=(-60.0, 0.25, 57.5))
    with tempfile.TemporaryDirectory() as folder:
        read = read_shrec21(write_shrec21(folder, written))
        for one, other in ((read.poses, poses), (read.others, others)):
            strategy.assert_same(one, other.select(np.argsort(other.instances)))
        assert read.class_names == CLASSES
        assert read.tilt_angles_deg == (-60.0, 0.25, 57.5)
        assert read.voxel_spacing_angstrom == (10.0, 10.0, 10.0)
        for name in ("grand_model", "class_mask", "occupancy_mask", "reconstruction"):
            np.testing.assert_array_equal(getattr(read, name).data, getattr(written, name).data)


def test_optional_volumes_and_lazy_reading(tmp_path):
    stack = Volume(np.ones((3, 8, 10), np.float32), 10.0)
    read = read_shrec21(write_shrec21(tmp_path / "model_0", tomogram(more={"projections": stack})))
    assert list(read.more) == ["projections"]
    assert isinstance(read.grand_model.data.base, np.memmap)


def test_lines_are_as_programs_for_the_data_set_read_them(tmp_path):
    quarter = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # zyx: +x comes to +y, by 90° about z
    poses = Poses(np.stack([quarter, np.eye(3)]), np.array([[14.0, 26.0, 38.0], [0, 0, 9]]), ("5mrc",) * 2)
    poses = replace(poses, instances=np.array([3, 2]))
    write_shrec21(tmp_path, tomogram(poses, at(("gold",), [1])))
    lines = [line.split(" ") for line in (tmp_path / "particle_locations.txt").read_text().splitlines()]
    assert [line[0] for line in lines] == ["fiducial", "5mrc", "5mrc"]  # line i is label i
    assert lines[0][4:] == ["NaN"] * 3
    assert [int(word) for word in lines[1][1:4]] == [1, 0, 0]  # x, y, z in whole voxels
    assert [int(word) for word in lines[2][1:4]] == [4, 3, 1]
    z1, x, z2 = (float(word) for word in lines[2][4:])
    assert x == 0
    assert (z1 + z2) % 360 == 90
    table = (tmp_path / "class_conversion_table.txt").read_text().splitlines()
    assert table[0] == "background 0"
    assert table[-1] == "fiducial 6"
    tilts = tmp_path / "alignment_simulated.txt"
    assert not tilts.exists()


def test_labels_without_a_pose_come_after_the_others(tmp_path):
    written = tomogram(at(("5mrc", "5mrc"), [2, 7]))
    read = read_shrec21(write_shrec21(tmp_path, written))
    old, new = np.asarray(written.occupancy_mask.data), np.asarray(read.occupancy_mask.data).astype(int)
    assert read.poses.instances.tolist() == [1, 2]
    np.testing.assert_array_equal(new == 1, old == 2)
    np.testing.assert_array_equal(new == 2, old == 7)
    pairs = {(int(a), int(b)) for a, b in zip(old.ravel(), new.ravel(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def about(axis, degrees):
    """Turning (x, y, z) columns from x to y about z, or from y to z about x."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]] if axis == "z" else [[1, 0, 0], [0, c, -s], [0, s, c]])


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3))
def test_angles_turn_a_particle_as_the_simulator_of_the_data_set_did(angles):
    # PyTom keeps volumes as (x, y, z) and looks up output voxels in the input by the matrix of the three
    # negated angles, about the fixed axes z, x, z in this order.
    z1, x, z2 = angles
    lookup = about("z", -z2) @ about("x", -x) @ about("z", -z1)
    with tempfile.TemporaryDirectory() as folder:
        real_like(Path(folder), f"5MRC 1 2 3 {z1!r} {x!r} {z2!r}\n")
        pose = read_shrec21(folder, voxel_spacing_angstrom=10).poses
    particle = np.zeros((21, 21, 21))
    for zyx, value in (((10, 10, 14), 1.0), ((10, 13, 10), 2.0), ((12, 10, 10), 4.0), ((11, 12, 13), 8.0)):
        particle[zyx] = value
    particle = ndi.gaussian_filter(particle, 1.0)
    centre = np.full(3, 10.0)
    theirs = ndi.affine_transform(particle.T, lookup, centre - lookup @ centre, order=1).T
    inverse = pose.rotations[0].T
    ours = ndi.affine_transform(particle, inverse, centre - inverse @ centre, order=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(pose.positions_angstrom, [[30, 20, 10]])


def test_written_angles_are_those_of_the_pose(tmp_path):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    poses = Poses(rotation[None], np.zeros((1, 3)), ("5mrc",))
    write_shrec21(tmp_path, tomogram(poses))
    z1, x, z2 = map(float, (tmp_path / "particle_locations.txt").read_text().split()[4:])
    turn = about("z", z1) @ about("x", x) @ about("z", z2)
    np.testing.assert_allclose(turn[::-1, ::-1], rotation, atol=1e-5)
    assert not np.allclose(turn[::-1, ::-1], rotation.T, atol=1e-2)


def real_like(folder, locations, spacing=1.0, **extra):
    """A folder as the data set has it: all volumes float32, 1 Å in the headers, no tables of ours."""
    from vitreous.io import write_volume

    folder.mkdir(exist_ok=True)
    made = dict(zip(NEEDED, volumes(spacing=spacing), strict=True)) | extra
    for stem, volume in made.items():
        write_volume(folder / f"{stem}.mrc", volume, overwrite=True)
    (folder / "particle_locations.txt").write_text(locations)
    return folder


REAL = (
    "vesicle 5 4 3 NaN NaN NaN\nfiducial 1 1 1 NaN NaN NaN\n1BXN 7 2 4 12.5 100.0 -3.25\n4cr2 0 0 5 0 0 0\n"
)


def test_a_folder_of_the_real_data_set(tmp_path):
    real_like(tmp_path, REAL, class_bbox=volumes()[1])
    header = "# AlignmentTransX (px)\n# AlignmentTransY (px)\n# TiltAngle (degrees)\n"
    (tmp_path / "alignment_simulated.txt").write_text(
        f"{header} 0.1 0.2 -60.0 0 1 a.mrc\n 0 0 60.0 0 1 b.mrc\n"
    )
    read = read_shrec21(tmp_path, voxel_spacing_angstrom=10)
    assert read.poses.names == ("1bxn", "4cr2")
    assert read.poses.instances.tolist() == [3, 4]
    np.testing.assert_allclose(read.poses.positions_angstrom, [[40, 20, 70], [50, 0, 0]])
    assert read.others.names == ("vesicle", "gold")
    assert read.others.instances.tolist() == [1, 2]
    assert read.class_names == SHREC21_CLASSES
    assert SHREC21_CLASSES[1] == "4v94"
    assert SHREC21_CLASSES[15] == "gold"
    assert read.tilt_angles_deg == (60.0, -60.0)
    assert list(read.more) == ["class_bbox"]
    assert read.more["class_bbox"].voxel_spacing_angstrom == (10.0, 10.0, 10.0)


def test_a_spacing_never_set_is_not_guessed(tmp_path):
    with pytest.raises(InputError, match="voxel spacing was never set; give --voxel-size 10"):
        read_shrec21(real_like(tmp_path, REAL))


@pytest.mark.parametrize("name", [*(f"{stem}.mrc" for stem in NEEDED), "particle_locations.txt"])
def test_needed_files(tmp_path, name):
    real_like(tmp_path, REAL)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        read_shrec21(tmp_path, voxel_spacing_angstrom=10)


@pytest.mark.parametrize(
    ("locations", "problem"),
    [
        ("1bxn 1 2 3 0 0\n", "line 1 is damaged"),
        ("4cr2 1 2 3 0 0 0\n1bxn 1 2 x 0 0 0\n", "line 2 is damaged"),
        ("1bxn 1 NaN 3 0 0 0\n", "line 1 is damaged"),
        ("9xyz 1 2 3 0 0 0\n", "line 1: 9xyz is no known class"),
    ],
)
def test_damaged_locations(tmp_path, locations, problem):
    with pytest.raises(InputError, match=problem):
        read_shrec21(real_like(tmp_path, locations, spacing=10.0))


def test_damaged_tables(tmp_path):
    write_shrec21(tmp_path, tomogram(at(("5mrc",), [1]), tilt_angles_deg=(1.0,)))
    for name in ("class_conversion_table.txt", "alignment_simulated.txt", "poses.tsv"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.rsplit(None, 4)[0] + " ?\n")
        with pytest.raises(InputError, match=rf"{name}: (line \d+|the column .*) is (damaged|missing)"):
            read_shrec21(tmp_path)
        (tmp_path / name).write_text(text)


def test_poses_of_another_folder_are_refused(tmp_path):
    write_shrec21(tmp_path / "a", tomogram(at(("5mrc",), [1])))
    write_shrec21(tmp_path / "b", tomogram(at(("5mrc",), [1], seed=1)))
    (tmp_path / "a" / "poses.tsv").write_bytes((tmp_path / "b" / "poses.tsv").read_bytes())
    with pytest.raises(InputError, match="does not belong to particle_locations"):
        read_shrec21(tmp_path / "a")


def test_masks_of_another_shape_are_refused(tmp_path):
    real_like(tmp_path, REAL, spacing=10.0, class_mask=volumes(shape=(4, 8, 10))[1])
    with pytest.raises(InputError, match="is not that of the grand model"):
        read_shrec21(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_shrec21(tmp_path / "model_0")


def test_overwriting_only_when_asked(tmp_path):
    write_shrec21(tmp_path, tomogram(at(("5mrc",), [1])))
    with pytest.raises(InputError, match="exists"):
        write_shrec21(tmp_path, tomogram(at(("5mrc",), [1])))
    write_shrec21(tmp_path, tomogram(at(("5mrc", "5mrc"), [1, 2])), overwrite=True)
    assert len(read_shrec21(tmp_path).poses) == 2


@pytest.mark.parametrize(
    ("poses", "others"),
    [
        (at(("5mrc", "5mrc"), [1, 1]), None),
        (at(("5mrc",), [1]), at(("gold",), [1])),
        (at(("9xyz",), [1]), None),
    ],
)
def test_what_cannot_be_written(tmp_path, poses, others):
    with pytest.raises(ValueError, match=r"label of its own|known classes"):
        write_shrec21(tmp_path / "a", tomogram(poses, others))
    assert not (tmp_path / "a").exists()
