"""Dice and intersection over union against counts by hand, and what empty masks give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from vitreous.metrics import class_overlaps, dice, intersection_over_union, means_of

MASKS = arrays(bool, (3, 2, 3, 2))


@given(MASKS, MASKS)
@settings(max_examples=60, deadline=None)
def test_scores_are_those_of_plain_counting(found, truth):
    for sample in range(3):
        a = set(map(tuple, np.argwhere(found[sample])))
        b = set(map(tuple, np.argwhere(truth[sample])))
        by_hand = 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0
        over = len(a & b) / len(a | b) if a or b else 1.0
        assert dice(found, truth)[sample] == pytest.approx(by_hand, abs=1e-12)
        assert intersection_over_union(found, truth)[sample] == pytest.approx(over, abs=1e-12)


@given(MASKS, MASKS)
@settings(max_examples=40, deadline=None)
def test_dice_and_iou_follow_from_each_other(found, truth):
    d = dice(found, truth)
    np.testing.assert_allclose(intersection_over_union(found, truth), d / (2 - d), atol=1e-12)
    np.testing.assert_array_equal(d, dice(truth, found))


def test_labels_are_compared_one_by_one():
    truth = np.zeros((2, 4, 4), int)
    truth[0], truth[1, :2] = 1, 2
    found = truth.copy()
    found[1, 0] = 3  # half of label 2 gets a label of its own
    scores = class_overlaps(found, truth)
    assert scores[1] == (1.0, 1.0)
    assert scores[2] == (pytest.approx(2 / 3), 0.5)
    assert scores[3] == (0.0, 0.0)
    assert class_overlaps(truth * 0, truth * 0) == {}


def test_means_weight_kinds_by_their_samples():
    scores = np.array([0.9] * 9 + [0.1])
    means = means_of(scores, ["ribosome"] * 9 + ["tric"])
    assert means == {"all": pytest.approx(0.82), "ribosome": pytest.approx(0.9), "tric": pytest.approx(0.1)}
    assert means["all"] != pytest.approx((0.9 + 0.1) / 2)  # the mean of the kinds is another number
    with pytest.raises(ValueError, match="no mean"):
        means_of(np.zeros(0), [])


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        dice(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool))
