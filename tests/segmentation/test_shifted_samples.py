"""Shifted samples: labels go along, the middle is no longer known, and the generator decides."""

import torch

from vitreous.segmentation import ShiftedLabelled, ShiftedUnlabelled


class Centred:
    """A bright voxel in the middle, labelled."""

    def draw(self, count, generator):
        values = torch.zeros(count, 1, 16, 16, 16)
        values[:, :, 8, 8, 8] = 1
        return values, (values[:, 0] > 0).long()


class Bare(Centred):
    def draw(self, count, generator):
        return super().draw(count, generator)[0]


def places(labels):
    return torch.stack([v.nonzero()[0] for v in labels])


def test_labels_go_along_and_shifts_cover_their_range():
    values, labels = ShiftedLabelled(Centred(), 5).draw(400, torch.Generator().manual_seed(0))
    assert torch.equal(values[:, 0] > 0, labels > 0)
    found = places(labels) - 8
    assert found.min() == -5
    assert found.max() == 5
    # Uniform from -5 to 5: mean 0 ± 0.16 (one standard error), deviation 3.16.
    assert found.float().mean(0).abs().max() < 0.65
    assert (found.float().std(0) - 3.16).abs().max() < 0.4


def test_the_generator_decides():
    draws = [ShiftedUnlabelled(Bare(), 5).draw(4, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_without_reach_nothing_moves():
    values, _ = ShiftedLabelled(Centred(), 0).draw(3, torch.Generator().manual_seed(0))
    assert torch.equal(values, Centred().draw(3, None)[0])
