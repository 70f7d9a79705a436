"""Rotations to search: near-uniform grids, neighbourhoods, point groups and angles between rotations.

All rotations are (n, 3, 3) float64 tensors that act on (z, y, x) columns.
"""

from __future__ import annotations

import math
import re

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from vitreous.core import InputError

PHI, PSI = math.sqrt(2), 1.533751168755204288118041  # the spirals' two steps, of [alexa]
GROUP_NAME = re.compile(r"(C|D)[1-9]\d?|T|O|I")


def rotation_grid(step_deg: float, *, symmetry: str = "C1", cone_deg: float | None = None) -> Tensor:
    """Rotations spread evenly over all orientations: super-Fibonacci spirals of unit quaternions [alexa].

    Parameters
    ----------
    step_deg
        Edge of the cube of rotation angles that each rotation stands for: 8π² over the cube of it, in
        radians, are needed. The nearest of the grid is typically two thirds of it away.
    symmetry
        Point group of what is turned; only one of its equivalent rotations is kept.
    cone_deg
        Keep rotations that tip the z axis by no more than this; all if None.

    Returns
    -------
    (n, 3, 3).

    Examples
    --------
    >>> len(rotation_grid(20)), len(rotation_grid(20, symmetry="D7"))
    (1856, 131)
    """
    if not 0 < step_deg <= 180:
        raise ValueError(f"a step of {step_deg}° makes no grid")
    count = max(1, round(8 * math.pi**2 / math.radians(step_deg) ** 3))
    s = np.arange(count) + 0.5
    low, high = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * math.pi * s / PHI, 2 * math.pi * s / PSI
    quaternions = np.stack(
        [low * np.sin(alpha), low * np.cos(alpha), high * np.sin(beta), high * np.cos(beta)], 1
    )
    turns = torch.from_numpy(Rotation.from_quat(quaternions).as_matrix())
    group = symmetry_group(symmetry)
    if len(group) > 1:  # of equivalent rotations the one of the smallest angle, which has the largest trace
        traces = torch.einsum("nij,gji->ng", turns, group)
        own = turns.diagonal(dim1=1, dim2=2).sum(1)
        turns = turns[own >= traces.max(1).values - 1e-9]
    if cone_deg is not None:
        turns = turns[turns[:, 0, 0] >= math.cos(math.radians(cone_deg)) - 1e-9]
    return turns


def nearby_rotations(step_deg: float, reach_deg: float) -> Tensor:
    """Small rotations to put before or after a known one: a lattice of rotation vectors within a ball.

    The lattice is body-centred cubic, the sparsest that leaves no gaps; its cubes have twice the step
    as edge. The first rotation is none.

    Parameters
    ----------
    step_deg
        Half the edge of the lattice's cubes.
    reach_deg
        The largest angle.

    Examples
    --------
    >>> len(nearby_rotations(5, 10))  # none, eight corners, six faces
    15
    """
    reach = int(reach_deg / step_deg) + 1
    steps = np.arange(-reach, reach + 1)
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    points = points[(points % 2 == points[:, :1] % 2).all(1)]
    lengths = np.linalg.norm(points, axis=1)
    points = points[np.argsort(lengths, kind="stable")]
    points = points[np.linalg.norm(points, axis=1) * step_deg <= reach_deg + 1e-9]
    return torch.from_numpy(Rotation.from_rotvec(np.radians(points * step_deg)).as_matrix())


def random_rotations(count: int, generator: torch.Generator) -> Tensor:
    """(count, 3, 3), uniform over all rotations."""
    quaternions = torch.randn((count, 4), generator=generator, dtype=torch.float64)
    return torch.from_numpy(Rotation.from_quat(quaternions.numpy()).as_matrix())


def symmetry_group(name: str) -> Tensor:
    """The rotations of a point group: C1, C2 …, D2 …, T, O or I; the main axis is z, a second one x.

    Examples
    --------
    >>> [len(symmetry_group(name)) for name in ("C1", "C7", "D7", "O", "I")]
    [1, 7, 14, 24, 60]

    Raises
    ------
    InputError
        For another name.
    """
    upper = name.upper()
    if not GROUP_NAME.fullmatch(upper):
        raise InputError(f"--symmetry {name} is unknown", remedy="use C1, C2 …, D2 …, T, O or I")
    matrices = Rotation.create_group(upper).as_matrix()
    return torch.from_numpy(np.ascontiguousarray(matrices[:, ::-1, ::-1]))


def angles_between(first: Tensor, second: Tensor, symmetry: str = "C1") -> Tensor:
    """Angle in degrees between rotations, pair by pair; the smallest over a point group.

    Parameters
    ----------
    first, second
        (n, 3, 3), particle → tomogram.
    symmetry
        Of the particle.

    Examples
    --------
    >>> turn = symmetry_group("C4")[1:2]
    >>> angles_between(turn, torch.eye(3, dtype=torch.float64)[None], "C4").round(decimals=3)
    tensor([0.], dtype=torch.float64)
    """
    relative = first.double().transpose(1, 2) @ second.double()
    traces = torch.einsum("nij,gji->ng", relative, symmetry_group(symmetry)).max(1).values
    return torch.rad2deg(torch.arccos(((traces - 1) / 2).clamp(-1, 1)))
