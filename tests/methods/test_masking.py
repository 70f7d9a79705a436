"""Hidden voxels: gone from what the network sees, and the only ones that the loss counts."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization
from vitreous.methods.masking import MaskedObjective, hidden_in_patch, with_means, with_neighbours
from vitreous.methods.method import LearnedConfig
from vitreous.training import PatchSampler, TrainingVolume

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
SHAPE = (9, 10, 11)


def values(seed=0, shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some(share, seed=1, shape=SHAPE):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


def generator(seed=2):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_random_neighbours_show_no_hidden_value(share):
    """All values differ, so that a hidden one would be recognized wherever it turned up."""
    v, hidden = values(), some(share)
    shown = with_neighbours(v, hidden, 2, generator())
    assert torch.equal(shown[~hidden], v[~hidden])
    assert not torch.isin(shown, v[hidden]).any()
    assert (torch.isin(shown, v[~hidden]) | (shown == 0)).all()
    if share < 0.5:
        assert (shown != 0).all()


def test_random_neighbours_are_near_and_any_of_them():
    """One voxel, over and over: all 26 neighbours are drawn, equally often, itself never."""
    v, hidden = torch.arange(125.0).reshape(5, 5, 5), torch.zeros(5, 5, 5, dtype=torch.bool)
    hidden[2, 2, 2] = True
    draws = [float(with_neighbours(v, hidden, 1, generator(s))[2, 2, 2]) for s in range(2600)]
    found, counts = np.unique(draws, return_counts=True)
    expected = v[1:4, 1:4, 1:4].flatten().tolist()
    expected.remove(float(v[2, 2, 2]))
    assert found.tolist() == expected
    assert np.abs(counts - 100).max() < 4.5 * 10


def test_neighbours_of_a_corner_are_mirrored_inside():
    v, hidden = values(), torch.zeros(SHAPE, dtype=torch.bool)
    hidden[0, 0, 0] = hidden[-1, -1, -1] = True
    for seed in range(50):
        shown = with_neighbours(v, hidden, 2, generator(seed))
        assert torch.isin(shown[0, 0, 0], v[:3, :3, :3])
        assert torch.isin(shown[-1, -1, -1], v[-3:, -3:, -3:])


@pytest.mark.parametrize("radius", [1, 2])
def test_means_are_those_of_the_visible_neighbours(radius):
    v, hidden = values(), some(0.4)
    shown = with_means(v, hidden, radius)
    for place in [(0, 0, 0), (4, 5, 6), (8, 9, 10), (0, 4, 10), *hidden.nonzero()[:20].tolist()]:
        box = tuple(slice(max(0, p - radius), p + radius + 1) for p in place)
        expected = v[box][~hidden[box]].mean() if hidden[tuple(place)] else v[tuple(place)]
        assert float(shown[tuple(place)]) == pytest.approx(float(expected), abs=1e-5)


def test_means_of_nothing_visible_are_zero():
    v = values()
    assert (with_means(v, torch.ones(SHAPE, dtype=torch.bool), 1) == 0).all()
    assert torch.equal(with_means(v, torch.zeros(SHAPE, dtype=torch.bool), 1), v)


@pytest.mark.parametrize("replaced", [with_means, lambda v, h, r: with_neighbours(v, h, r, generator())])
def test_what_is_shown_does_not_depend_on_what_is_hidden(replaced):
    v, hidden = values(), some(0.3)
    other = torch.where(hidden, values(7), v)
    assert torch.equal(replaced(v, hidden, 1), replaced(other, hidden, 1))
    assert not torch.equal(replaced(v, hidden, 1), replaced(torch.where(hidden, v, values(7)), hidden, 1))


def hide(v, g):
    hidden = torch.rand(v.shape, generator=g) < 0.2
    return v.masked_fill(hidden, 0.0), hidden


def test_the_filling_of_a_thin_patch_does_not_show_the_hidden_voxels():
    """A volume of 5 sections fills a patch of 16 by reflection: each voxel is there about three times."""
    data = values(shape=(5, 20, 20)).numpy()
    sampler = PatchSampler([TrainingVolume(data, AS_IS)], 16)
    for seed in range(5):
        patch = sampler.draw(generator(seed))
        shown, hidden = hidden_in_patch(patch, hide, generator(seed))
        assert shown.shape == hidden.shape == patch.values.shape
        assert 0.1 < float(hidden.sum() / patch.inside.sum()) < 0.3
        assert float((hidden * (1 - patch.inside)).sum()) == 0
        assert not torch.isin(shown, patch.values[hidden > 0]).any()
        assert torch.isin(shown, torch.cat([patch.values.flatten(), torch.zeros(1)])).all()


class Kept(torch.nn.Module):
    """The identity; keeps what it was shown, and what it answered with its gradient."""

    stride, receptive_radius = 1, 0

    def forward(self, x):
        self.shown = x
        self.answer = x.clone().requires_grad_()
        self.answer.retain_grad()
        return self.answer


@pytest.mark.parametrize("shape", [(20, 20, 20), (6, 20, 20)])
def test_the_loss_counts_hidden_voxels_only(shape):
    network = Kept()
    volume = TrainingVolume(values(shape=shape).numpy(), AS_IS)
    config = LearnedConfig(patch_side=12, batch=2)
    objective = MaskedObjective(network, [volume], config, torch.device("cpu"), hide=hide)
    loss, where = objective.loss(generator())
    loss.backward()
    counted = network.answer.grad != 0
    hidden = network.shown == 0  # no value of the volume is exactly 0; the filling repeats some zeros
    assert counted.any()
    assert not (counted & ~hidden).any()
    inside = min(shape[0], 12) * 12 * 12 * 2
    assert 0.1 < float(counted.sum() / inside) < 0.3
    # Zeros are answered there: the error is the hidden value, its gradient -2 of it over their number.
    number = float(counted.sum())
    squares = float((network.answer.grad * number / 2).square().sum()) / number
    assert float(loss.detach()) == pytest.approx(squares, rel=1e-4)
    assert "12³" in where


def test_a_penalty_is_added():
    volume = TrainingVolume(values(shape=(20, 20, 20)).numpy(), AS_IS)
    arguments = [volume], LearnedConfig(patch_side=12, batch=1), torch.device("cpu")
    plain = MaskedObjective(Kept(), *arguments, hide=hide)
    dear = MaskedObjective(Kept(), *arguments, hide=hide, penalty=lambda p, inside: 3 * (p * inside).amax())
    loss, more = (float(o.loss(generator())[0].detach()) for o in (plain, dear))
    assert more - loss == pytest.approx(3 * float(dear.network.shown.max()), rel=1e-4)
    again, other = (float(plain.loss(generator(s))[0].detach()) for s in (2, 3))
    assert again == loss != other
