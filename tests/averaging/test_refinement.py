"""Rounds of refinement keep to what a user allowed."""

import pytest
import torch
from particles import blobs, seen, wedge

from vitreous.averaging import (
    Alignment,
    AverageConfig,
    BoxedParticles,
    angles_between,
    evidence_beyond,
    refine_halves,
    starting_halves,
)
from vitreous.averaging.refinement import own_detail
from vitreous.fourier.rotations import random_rotations

SIDE, COUNT, SPACING, REACH = 32, 8, 10.0, 40.0  # voxels, particles, Å, Å
REACH_DEG = 20.0
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


def test_no_round_turns_a_particle_farther_from_its_pick_than_asked():
    """Noise turns as it likes, as far as it may: round after round it had gone nearly twice as far."""
    generator = torch.Generator().manual_seed(2)
    transfer = wedge(side=SIDE)
    noise = torch.randn(COUNT, SIDE, SIDE, SIDE, generator=generator)
    particles = BoxedParticles(noise, transfer, SPACING)
    turns = random_rotations(COUNT, generator)
    start = Alignment(turns, torch.zeros(COUNT, 3).double(), torch.zeros(COUNT).double())
    config = AverageConfig(rounds=3, reach_deg=REACH_DEG, shift_angstrom=0.0)
    references = blobs(side=SIDE).expand(2, -1, -1, -1)
    rounds = list(refine_halves(particles, starting_halves(COUNT), references, start, config))
    away = angles_between(rounds[-1].poses.rotations, turns)
    assert away.max() <= REACH_DEG + 0.01
    assert away.median() > 0.5 * REACH_DEG


def test_detail_that_noise_may_share_is_not_aligned_by():
    """Half maps of noise agree a little beyond the low-pass: if that were followed, ever further."""
    transfer = wedge(side=SIDE)
    noise = torch.randn(24, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    particles = BoxedParticles(noise, transfer, SPACING)
    start = Alignment(
        torch.eye(3).double().repeat(24, 1, 1), torch.zeros(24, 3).double(), torch.zeros(24).double()
    )
    config = AverageConfig(rounds=3, angular_step_deg=40, shift_angstrom=SPACING)
    limit = evidence_beyond(particles, config)
    assert limit == pytest.approx(1 / (1.15 / 60 + 2 / (SIDE * SPACING)))
    assert own_detail(limit + 0.1, particles, config) == config.low_pass_angstrom
    assert own_detail(limit - 0.1, particles, config) == limit - 0.1
    references = blobs(side=SIDE).expand(2, -1, -1, -1)
    rounds = list(refine_halves(particles, starting_halves(24), references, start, config))
    assert all(one.finest_used_angstrom == config.low_pass_angstrom for one in rounds)


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
