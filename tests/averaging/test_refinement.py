"""Rounds of refinement keep to what a user allowed."""

import pytest
import torch
from particles import blobs, seen, wedge

from vitreous.averaging import Alignment, AverageConfig, BoxedParticles, refine_halves, starting_halves
from vitreous.fourier.rotations import random_rotations

SIDE, COUNT, SPACING, REACH = 32, 8, 10.0, 40.0  # voxels, particles, Å, Å
AWAY = torch.tensor([0.0, 3.7, 3.7]).double()  # voxels: 52 Å, farther than is allowed
OFF = torch.tensor([0.3, -0.4, 0.2]).double()  # voxels: picks lie between voxels


def drawn_away(config, done=None):
    """Rounds of particles that lie farther from their picks than they may be looked for."""
    turns = random_rotations(COUNT, torch.Generator().manual_seed(6))
    transfer = wedge(side=SIDE)
    boxes = torch.stack([seen(blobs(turn, AWAY, side=SIDE), transfer) for turn in turns])
    particles = BoxedParticles(boxes, transfer, SPACING)
    start = Alignment(turns, OFF.repeat(COUNT, 1), torch.zeros(COUNT).double())
    references = blobs(side=SIDE).expand(2, -1, -1, -1)
    return list(refine_halves(particles, starting_halves(COUNT), references, start, config, done=done))


@pytest.mark.parametrize("reach_deg", [None, 20.0])
def test_no_round_takes_a_particle_farther_from_its_pick_than_asked(reach_deg):
    config = AverageConfig(rounds=4, angular_step_deg=30, shift_angstrom=REACH, reach_deg=reach_deg)
    rounds = drawn_away(config)
    for one in rounds:
        away = (one.poses.shifts_voxel - OFF).norm(dim=1) * SPACING
        assert away.max() <= REACH + 0.01
    assert away.median() > 0.9 * REACH  # they are drawn that way, as far as it goes
    (again,) = drawn_away(config, done=rounds[-2])
    assert torch.equal(again.poses.shifts_voxel, rounds[-1].poses.shifts_voxel)
