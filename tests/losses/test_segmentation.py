"""Segmentation losses against numbers worked out by hand, float64 tolerances unless said."""

from math import exp, log, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.losses import dice_loss, feature_consistency, kept_cross_entropy, segmentation_loss


def row(*values, dtype=torch.float64):
    """Values along x of one volume, (n, z, y, x)."""
    return torch.tensor(values, dtype=dtype).reshape(1, 1, 1, -1)


def test_dice_of_chances_by_hand():
    """p = 0.75 and 0.25 on one voxel of the class and one of the background; one voxel of smoothing."""
    odds = log(3.0)
    logits = torch.stack([row(0.0, 0.0), row(odds, -odds)], dim=1)
    labels = row(1, 0, dtype=torch.int64)
    expected = 1 - (2 * 0.75 + 1) / (0.75 + 0.25 + 1 + 1)
    assert float(dice_loss(logits, labels)) == pytest.approx(expected, abs=1e-6)
    entropy = -(log(0.75) + log(0.75)) / 2
    assert float(segmentation_loss(logits, labels)) == pytest.approx(expected + entropy, abs=1e-6)


def test_dice_counts_classes_alike_and_not_the_background():
    """Class 1 is right on its 3 voxels, class 2 missed on its single one: (0 + 1 - 1 / 2) / 2."""
    labels = row(0, 0, 1, 1, 1, 2, dtype=torch.int64)
    said = torch.tensor([0, 0, 1, 1, 1, 0])
    logits = 60.0 * torch.nn.functional.one_hot(said, 3).T.reshape(1, 3, 1, 1, 6).double()
    assert float(dice_loss(logits, labels)) == pytest.approx((0 + 1 - 1 / 2) / 2, abs=1e-6)


def test_kept_cross_entropy_is_of_kept_voxels():
    logits = torch.stack([row(0.0, 5.0), row(2.0, 0.0)], dim=1)
    labels = row(1, 1, dtype=torch.int64)
    kept = row(1, 0)
    assert float(kept_cross_entropy(logits, labels, kept)) == pytest.approx(log(1 + exp(-2)), abs=1e-6)
    assert float(kept_cross_entropy(logits, labels, 0 * kept)) == 0
    both = kept_cross_entropy(logits, labels, kept + 1 - kept)  # a mean over all voxels is another number
    assert float(both) != pytest.approx(log(1 + exp(-2)), abs=0.1)


def test_consistency_by_hand():
    """Cosines 1, 1/√2, 0 and -1 at the weights of the paper (vox-uda eq. 7)."""
    one = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1, 1)
    others = [torch.tensor(pair).reshape(1, 2, 1, 1, 1) for pair in ([2.0, 0], [1.0, 1], [0.0, 3], [-1.0, 0])]
    value = feature_consistency((one,) * 4, tuple(others), (0.2, 0.2, 0.3, 0.3))
    assert float(value) == pytest.approx(0.2 * 0 + 0.2 * (1 - 1 / sqrt(2)) + 0.3 + 0.3 * 2, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_bounds_and_order_of_classes(seed, classes):
    """Dice lies in [0, 1]; renaming the foreground classes changes nothing; the truth costs least."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (2, 4, 4, 4), generator=generator)
    logits = torch.randn(2, classes, 4, 4, 4, generator=generator, dtype=torch.float64)
    value = float(dice_loss(logits, labels))
    assert 0 <= value <= 1
    order = torch.cat(
        [torch.zeros(1, dtype=torch.int64), 1 + torch.randperm(classes - 1, generator=generator)]
    )
    renamed = torch.empty_like(order).scatter_(0, order, torch.arange(classes))
    assert float(dice_loss(logits[:, order], renamed[labels])) == pytest.approx(value, abs=1e-6)
    right = 40.0 * torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()
    assert float(segmentation_loss(right, labels)) < min(1e-6, float(segmentation_loss(logits, labels)))


def test_absent_classes_can_be_left_out():
    """Of three classes the first is there and half right: 1 - (2·2 + 1) / (4 + 4 - 2 + 1)."""
    labels = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0]).reshape(1, 1, 1, 8)
    found = torch.tensor([1, 1, 2, 2, 0, 0, 0, 0]).reshape(1, 1, 1, 8)
    logits = 50.0 * torch.nn.functional.one_hot(found, 4).movedim(-1, 1).float()
    assert float(dice_loss(logits, labels, present_only=True)) == pytest.approx(1 - 5 / 7, abs=1e-5)
    assert float(dice_loss(logits, labels)) == pytest.approx((1 - 5 / 7 + 1 - 1 / 3 + 0) / 3, abs=1e-5)
    assert float(dice_loss(logits, torch.zeros_like(labels), present_only=True)) == 0


def test_rare_classes_weigh_more_and_absent_ones_cost_nothing():
    logits = torch.randn(2, 4, 3, 4, 5, generator=torch.Generator().manual_seed(8))
    labels = torch.randint(0, 3, (2, 3, 4, 5), generator=torch.Generator().manual_seed(9))  # no class 3
    weights = torch.tensor([1.0, 2.0, 5.0, 0.0])
    chances = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    entropy = -(weights[labels] * chances.log()).sum() / weights[labels].sum()
    expected = float(entropy + dice_loss(logits, labels, present_only=True))
    assert float(segmentation_loss(logits, labels, weights)) == pytest.approx(expected, abs=1e-5)
