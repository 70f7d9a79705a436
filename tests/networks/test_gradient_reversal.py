"""Gradient reversal: the identity forwards, minus the strength backwards (dann)."""

import pytest
import torch

from vitreous.networks import gradient_reversed


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_one_game_descends_for_one_side_and_ascends_for_the_other(strength):
    feature = torch.tensor([1.0, -2.0], requires_grad=True)
    judge = torch.tensor([0.5, 3.0], requires_grad=True)
    through = gradient_reversed(feature, strength)
    assert torch.equal(through, feature)
    (through * judge).sum().backward()
    assert torch.equal(judge.grad, feature.detach())
    assert torch.allclose(feature.grad, -strength * judge.detach())
