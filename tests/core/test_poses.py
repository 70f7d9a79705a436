"""Poses keep their conventions and refuse what is no pose."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vitreous.core import Poses, Template


def some_poses(count=4):
    rotations = Rotation.random(count, rng=np.random.default_rng(0)).as_matrix()
    return Poses(rotations, np.arange(3.0 * count).reshape(count, 3), tuple("abcd"[:count]))


def test_selection_keeps_instances_with_their_poses():
    poses = some_poses()
    chosen = poses.select(np.array([True, False, True, False]))
    assert chosen.names == ("a", "c")
    assert chosen.instances.tolist() == [1, 3]
    np.testing.assert_array_equal(chosen.rotations, poses.rotations[[0, 2]])


def test_no_poses_are_poses():
    assert len(some_poses().select(np.zeros(4, bool))) == 0


@pytest.mark.parametrize("matrix", [-np.eye(3), 2 * np.eye(3), np.diag([1.0, 1.0, -1.0])])
def test_mirrors_and_scalings_are_refused(matrix):
    with pytest.raises(ValueError, match="proper rotation"):
        Poses(matrix[None], np.zeros((1, 3)), ("a",))


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="positions_angstrom"):
        Poses(np.eye(3)[None], np.zeros((2, 3)), ("a",))


@pytest.mark.parametrize("shape", [(4, 4, 4), (5, 5, 3), (5, 5)])
def test_templates_are_odd_cubes(shape):
    with pytest.raises(ValueError, match="odd side"):
        Template("a", np.zeros(shape, np.float32), 10.0)
