"""Gold beads that simulated patches are given, and that the student takes away."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization
from vitreous.methods import Dual, DualConfig
from vitreous.methods.dual.beads import LARGEST, MOST_BEADS, Bead, beads_in, overlaid, without_gold
from vitreous.methods.dual.student import StudentObjective
from vitreous.training import TrainingVolume, step_generator

CLIPPED = Normalization(0.0, 1.0, -10.0, 10.0)
CENTRES = ((30, 30, 30), (32, 80, 120), (33, 130, 60))
TINY = {"width": 2, "judge_width": 2, "levels": 1, "patch_side": 16, "steps": 6}
TINY |= {"student_ratio": 1.0, "student_width": 4, "student_side": 16, "voxel_spacing_angstrom": 10.0}


def volume_with(centres, shape=(64, 200, 200), radius=5.0, height=-40.0, seed=0):
    """White noise, and balls far beyond it."""
    data = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    grid = np.indices(shape)
    for centre in centres:
        away = ((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(0)
        data[away <= radius**2] = height
    return TrainingVolume(data, CLIPPED, voxel_spacing_angstrom=10.0)


def test_every_bead_is_found_with_what_lies_around_it():
    """Clipped as the network sees it; the share is 1 in it and 0 at the borders of what is cut."""
    volume = volume_with(CENTRES)
    beads = beads_in([volume])
    assert len(beads) == len(CENTRES)
    for bead in beads:
        assert bead.values.shape == bead.share.shape
        dark = bead.values == -10
        assert dark.sum() > 400  # the ball of 515 voxels, not cut
        assert bool((bead.share[dark] == 1).all())
        outermost = bead.share.clone()
        outermost[2:-2, 2:-2, 2:-2] = 0
        assert float(outermost.max()) < 0.1
        assert max(bead.share.shape) <= LARGEST


def test_noise_alone_has_none_and_no_more_are_kept_than_needed():
    assert beads_in([volume_with(())]) == []
    many = [(20 + 24 * i, 12 + 30 * j, 15 + 30 * k) for i in range(2) for j in range(6) for k in range(6)]
    assert len(beads_in([volume_with(many, radius=2.5)])) == MOST_BEADS


def test_a_bead_is_laid_over_without_a_change_of_the_noise():
    """Where it is half there, too: 400 draws, variance to 2 % (their scatter is 0.3 %)."""
    generator = torch.Generator().manual_seed(0)
    share = torch.full((32, 32, 32), 0.5)
    zeros = torch.zeros(16, 16, 16)
    squares = []
    for _ in range(400):
        bead = Bead(torch.randn(share.shape, generator=generator), share)
        tomogram, density = overlaid(
            torch.randn(zeros.shape, generator=generator), zeros, -2.0, bead, generator
        )
        squares.append(float(tomogram.square().mean()))
        assert set(density.unique().tolist()) <= {0.0, -1.0}
    assert np.mean(squares) == pytest.approx(1, abs=0.02)


def test_where_a_bead_lies_the_density_is_that_of_ice():
    bead = beads_in([volume_with(CENTRES[:1])])[0]
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        before = torch.ones(24, 24, 24)
        tomogram, density = overlaid(before, before, -3.0, bead, generator)
        assert bool((density[tomogram < -9] == -3).all())
        assert bool((before == 1).all())  # the patch itself stays as it was


def test_the_result_has_ice_where_gold_is_and_is_untouched_elsewhere():
    """Across the faces of the blocks that are looked through, too: there is a bead on either."""
    volume = volume_with([*CENTRES, (32, 100, 160)])
    before = np.random.default_rng(4).normal(1, 0.1, volume.data.shape).astype(np.float32)
    prediction = before.copy()
    prediction[volume.data < -30] = 50.0
    without_gold(prediction, volume)
    assert np.abs(prediction[volume.data < -30] - 1).max() < 0.01  # the median; its error is 0.001
    assert (prediction == before).mean() > 0.8
    none = before.copy()
    without_gold(none, volume_with(()))
    np.testing.assert_array_equal(none, before)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 40), (0.25, 10)])
def test_as_many_patches_have_gold_as_asked_for(share, expected):
    """Of 40: a quarter is 10, its deviation 2.7; all and none are exact."""
    config = DualConfig(**TINY, gold_share=share)
    network = Dual(config).build_network(0)
    flat = TrainingVolume(np.zeros((16, 16, 16), np.float32), CLIPPED, voxel_spacing_angstrom=10.0)
    bead = Bead(torch.full((40, 40, 40), -10.0), torch.ones(40, 40, 40))
    objective = StudentObjective(network, [flat], [bead], config, torch.device("cpu"))
    shown = []
    objective.network = lambda x: shown.append(float(x.min())) or x
    for step in range(40):
        objective.loss(step_generator(0, step))
    found = sum(value == -10 for value in shown)
    assert found == pytest.approx(expected, abs=8 if 0 < share < 1 else 0)
