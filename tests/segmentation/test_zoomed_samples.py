"""Zoomed samples: things grow with the cube of the factor, labels with them, and the generator decides."""

import pytest
import torch

from vitreous.segmentation import ZoomedLabelled
from vitreous.segmentation.zoomed_samples import zoomed

SIDE, RADIUS = 32, 6


def ball():
    grid = torch.stack(torch.meshgrid(*[torch.arange(SIDE) - (SIDE - 1) / 2] * 3, indexing="ij"))
    return grid.square().sum(0) < RADIUS**2


class Balls:
    """The same ball in every box, of class 2, in weak noise."""

    def draw(self, count, generator):
        labels = 2 * ball().long().expand(count, -1, -1, -1)
        noise = 0.1 * torch.randn((count, 1, SIDE, SIDE, SIDE), generator=generator)
        return labels[:, None] / 2 + noise, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7, 2.4])
def test_labels_grow_with_the_cube_of_the_factor(factor):
    """Tolerance 8 %: voxels of a ball of radius 3 are counted. Beyond the picture it is mirrored."""
    values, labels = Balls().draw(1, torch.Generator().manual_seed(0))
    larger, found = zoomed(values, labels, torch.tensor([factor]))
    assert set(found.unique().tolist()) == {0, 2}
    half = min(SIDE // 2, round(factor * SIDE / 2))
    middle = found[0][(slice(SIDE // 2 - half, SIDE // 2 + half),) * 3]
    assert (middle > 0).sum() == pytest.approx(factor**3 * int(ball().sum()), rel=0.08)
    # Where the labels say so it is bright, and nowhere else, in mirrored parts as in the middle.
    bright = larger[0, 0] > 0.5 * (larger.max() + larger.min())
    assert 2 * (bright & (found[0] > 0)).sum() / (bright.sum() + (found[0] > 0).sum()) > 0.85
    assert abs(float(larger.mean())) < 1e-5
    assert float(larger.std()) == pytest.approx(1, abs=1e-3)


def test_factors_cover_their_range_and_the_generator_decides():
    samples = ZoomedLabelled(Balls(), (0.5, 2.0))
    draws = [samples.draw(60, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0][0], draws[1][0])
    assert not torch.equal(draws[0][1], draws[2][1])
    # Along a line through the middle the ball is the run of labels there, whatever is mirrored beyond it.
    lines = draws[0][1][:, SIDE // 2, SIDE // 2, SIDE // 2 :] > 0
    found = 2 * lines.cumprod(1).sum(1) / (2 * RADIUS)
    # Of 60 even draws on a logarithmic scale the outermost lie within 15 % of the ends (chance 1e-5).
    assert 0.48 < found.min() < 0.575
    assert 1.74 < found.max() < 2.05


def test_a_factor_of_one_changes_nothing():
    plain = Balls().draw(2, torch.Generator().manual_seed(3))
    same = ZoomedLabelled(Balls(), (1.0, 1.0)).draw(2, torch.Generator().manual_seed(3))
    assert torch.equal(plain[0], same[0])
    assert torch.equal(plain[1], same[1])


@pytest.mark.parametrize("zoom", [(0.0, 1.0), (2.0, 1.0)])
def test_impossible_factors_are_refused(zoom):
    with pytest.raises(ValueError, match="no smallest and largest factor"):
        ZoomedLabelled(Balls(), zoom)
