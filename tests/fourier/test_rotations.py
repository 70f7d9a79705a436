"""Grids of rotations: as even and as dense as promised; groups; angles."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from vitreous.core import InputError
from vitreous.fourier.rotations import (
    angles_between,
    nearby_rotations,
    random_rotations,
    rotation_grid,
    symmetry_group,
)


def nearest_deg(grid, wanted, symmetry="C1"):
    group = symmetry_group(symmetry)
    relative = torch.einsum("nji,mjk->nmik", wanted, grid)
    best = torch.einsum("nmik,gki->nmg", relative, group).amax((1, 2))
    return torch.rad2deg(torch.arccos(((best - 1) / 2).clamp(-1, 1)))


@pytest.mark.parametrize("symmetry", ["C1", "C3", "D2", "T"])
def test_every_orientation_has_a_neighbour_in_the_grid(symmetry):
    step = 20.0
    grid = rotation_grid(step, symmetry=symmetry)
    expected = 8 * math.pi**2 / math.radians(step) ** 3 / len(symmetry_group(symmetry))
    assert len(grid) == pytest.approx(expected, rel=0.1)
    away = nearest_deg(grid, random_rotations(300, torch.Generator().manual_seed(0)), symmetry)
    # A cubic lattice of this step has its holes √3/2 steps from its points.
    assert away.max() < 1.1 * step
    assert away.median() < 0.7 * step


def test_a_grid_of_euler_angles_of_as_many_rotations_is_less_even():
    grid = rotation_grid(20.0)
    count = round((2 * len(grid)) ** (1 / 3))
    angles = torch.cartesian_prod(
        *(
            torch.linspace(0, end, n + 1)[:-1].double()
            for end, n in ((360, count), (180, count // 2), (360, count))
        )
    )
    euler = torch.from_numpy(Rotation.from_euler("ZYZ", angles.numpy(), degrees=True).as_matrix())
    wanted = random_rotations(300, torch.Generator().manual_seed(0))
    assert nearest_deg(euler, wanted).quantile(0.9) > 1.1 * nearest_deg(grid, wanted).quantile(0.9)


def test_a_cone_keeps_its_share():
    grid = rotation_grid(12.0)
    kept = rotation_grid(12.0, cone_deg=30)
    assert len(kept) / len(grid) == pytest.approx((1 - math.cos(math.radians(30))) / 2, rel=0.1)


def test_rotations_nearby_are_within_reach_and_leave_no_holes():
    turns = nearby_rotations(5.0, 15.0)
    identity = torch.eye(3, dtype=torch.float64)
    assert torch.equal(turns[0], identity)
    assert angles_between(identity.expand_as(turns), turns).max() <= 15 + 1e-6
    axis = torch.nn.functional.normalize(
        torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), dim=1
    )
    inner = torch.from_numpy(Rotation.from_rotvec((axis * math.radians(8)).double().numpy()).as_matrix())
    assert nearest_deg(turns, inner).max() < 5 * 1.2  # holes of that lattice are √5/2 steps from its points


@pytest.mark.parametrize("name", ["C5", "D3", "T", "O", "I"])
def test_a_group_is_closed(name):
    group = symmetry_group(name)
    products = torch.einsum("aij,bjk->abik", group, group).reshape(-1, 1, 9)
    distance = (products - group.reshape(1, -1, 9)).abs().amax(-1).amin(1)
    assert distance.max() < 1e-9


def test_the_main_axis_is_z():
    group = symmetry_group("C4")
    along_z = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    assert torch.allclose(group @ along_z, along_z.expand(4, 3))


def test_angles_of_a_turn_about_z():
    turn = torch.tensor([[1.0, 0, 0], [0, math.cos(0.5), -math.sin(0.5)], [0, math.sin(0.5), math.cos(0.5)]])
    angle = angles_between(torch.eye(3)[None], turn[None])
    assert float(angle) == pytest.approx(math.degrees(0.5), abs=1e-4)
    assert float(angles_between(torch.eye(3)[None], turn[None], "C12")) == pytest.approx(
        30 - math.degrees(0.5), abs=1e-4
    )


def test_an_unknown_group_is_refused():
    with pytest.raises(InputError, match="--symmetry Q4 is unknown"):
        symmetry_group("Q4")
