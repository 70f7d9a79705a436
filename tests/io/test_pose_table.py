"""Our own table of poses: nothing is rounded."""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.core import InputError, Poses
from vitreous.io import read_particles, read_pose_table, write_pose_table

spec = importlib.util.spec_from_file_location("poses_strategy", Path(__file__).with_name("poses_strategy.py"))
strategy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(strategy)


@given(strategy.poses(names=("0012", "a, b", 'say "x"', "tab\tbed", "Å")), st.sampled_from([".csv", ".tsv"]))
def test_bit_by_bit(poses, suffix):
    with tempfile.TemporaryDirectory() as folder:
        strategy.assert_same(read_pose_table(write_pose_table(Path(folder) / f"a{suffix}", poses)), poses)


def test_what_is_in_it(tmp_path):
    quarter = np.array([[[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]])
    poses = Poses(quarter, np.array([[1.5, 2.0, 3.0]]), ("pdb:1bxn",), np.array([7]))
    lines = write_pose_table(tmp_path / "a.csv", poses).read_text().splitlines()
    assert lines[0] == (
        "name,instance,z_angstrom,y_angstrom,x_angstrom,r_zz,r_zy,r_zx,r_yz,r_yy,r_yx,r_xz,r_xy,r_xx"
    )
    assert lines[1] == "pdb:1bxn,7,1.5,2.0,3.0,0.0,0.0,1.0,0.0,1.0,0.0,-1.0,0.0,0.0"


def test_scores_are_kept(tmp_path):
    poses, scores = Poses(np.eye(3)[None].repeat(2, 0), np.ones((2, 3)), ("a", "b")), np.array([0.1, 1 / 3])
    file = write_pose_table(tmp_path / "a.csv", poses, scores=scores)
    np.testing.assert_array_equal(read_particles(file).scores[""], scores)
    strategy.assert_same(read_pose_table(file), poses)
    file.write_text(file.read_text().replace("0.1\n", "?\n"))
    assert read_particles(file).scores == {}  # scores that are none are left out, the particles are not


def test_further_columns_are_skipped(tmp_path):
    file = write_pose_table(tmp_path / "a.csv", Poses(np.eye(3)[None], np.ones((1, 3)), ("a",)))
    file.write_text("".join(f"x,{line}\n" for line in file.read_text().splitlines()))
    assert read_pose_table(file).names == ("a",)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text.replace("r_zy", "rzy"), "the column r_zy is missing"),
        (lambda text: "", "the column z_angstrom is missing"),
        (lambda text: text[:-8], "line 2 is damaged"),
        (lambda text: text.replace("2.5", "nan"), "line 2 is damaged"),
        (lambda text: text.replace("2.5", "east"), "line 2 is damaged"),
        (lambda text: text.replace("0.0,1.0", "0.5,1.0"), "proper rotation"),
    ],
)
def test_damage_is_named(tmp_path, change, problem):
    file = write_pose_table(tmp_path / "a.csv", Poses(np.eye(3)[None], np.full((1, 3), 2.5), ("a",)))
    file.write_text(change(file.read_text()))
    with pytest.raises(InputError, match=problem):
        read_pose_table(file)


def test_positions_are_enough(tmp_path):
    file = tmp_path / "positions.csv"
    file.write_text("x_angstrom,y_angstrom,z_angstrom\n1,2,3\n4,5,6.5\n", encoding="utf-8")
    poses = read_pose_table(file)
    assert poses.positions_angstrom.tolist() == [[3, 2, 1], [6.5, 5, 4]]
    assert (poses.names, poses.instances.tolist()) == (("particle", "particle"), [1, 2])
    assert np.array_equal(poses.rotations, np.tile(np.eye(3), (2, 1, 1)))


def test_missing_and_binary(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_pose_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        read_pose_table(tmp_path / "a.csv")
