"""Picks against truth: by hand, against scipy's matching, and the two ways of counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from vitreous.metrics import average_precision, detection_scores, match_picks


def crowd(seed, count, side):
    return np.random.default_rng(seed).uniform(0, side, (count, 3))


@given(st.integers(0, 10**6), st.integers(0, 25), st.integers(0, 25), st.floats(0.5, 6))
def test_every_prefix_has_as_many_hits_as_any_assignment(seed, picked, true, distance):
    picks, truth = crowd(seed, picked, 10), crowd(seed + 1, true, 10)
    matches = match_picks(picks, truth, distance)
    near = np.linalg.norm(picks[:, None] - truth, axis=-1) <= distance
    for count in range(picked + 1):
        best = maximum_bipartite_matching(csr_matrix(near[:count]), perm_type="column") if true else []
        assert matches.hits[:count].sum() == np.sum(np.asarray(best) >= 0)
    assert matches.found.sum() == matches.hits.sum() == len(matches.distances)
    assert (matches.distances <= distance).all()


def test_a_hit_makes_room_for_another():
    truth = np.array([[0.0, 0, 0], [0, 0, 10]])
    picks = np.array(
        [[0.0, 0, 4], [0, 0, -4]]
    )  # the first is nearer to 0 but could have 10; the second cannot
    matches = match_picks(picks, truth, 7)
    assert matches.hits.tolist() == [True, True]
    nearest = np.abs(picks[:, None, 2] - truth[:, 2]).argmin(axis=1)
    assert len(set(nearest)) == 1  # nearest first, each pick for itself, would have found one


@given(st.integers(0, 10**6), st.floats(0.1, 1.99))
def test_both_ways_of_counting_agree_where_all_are_far_apart(seed, distance):
    rng = np.random.default_rng(seed)
    grid = 4.0 * np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    truth = grid[rng.random(27) < 0.5]
    picks = grid[rng.random(27) < 0.5] + [distance, 0, 0]
    one, any_ = (match_picks(picks, truth, 2.0, rule) for rule in ("one-to-one", "any"))
    assert one.hits.tolist() == any_.hits.tolist()
    assert one.found.tolist() == any_.found.tolist()


def test_counting_any_rewards_picking_twice():
    truth, picks = np.zeros((1, 3)), np.array([[0.0, 0, 1], [0, 1, 0]])
    assert detection_scores(*flags(match_picks(picks, truth, 5, "any")))["precision"] == 1.0
    assert detection_scores(*flags(match_picks(picks, truth, 5)))["precision"] == 0.5


def flags(matches):
    return matches.hits, matches.found


def test_scores_by_hand():
    hits, found = np.array([True, True, False, True]), np.array([True, True, True, False, False])
    scores = detection_scores(hits, found)
    assert scores == pytest.approx({"precision": 0.75, "recall": 0.6, "f1": 2 / 3})


@pytest.mark.parametrize(("picks", "truth"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_count_gives_zero(picks, truth):
    matches = match_picks(np.zeros((picks, 3)), np.zeros((truth, 3)) + 50, 1)
    assert set(detection_scores(*flags(matches)).values()) == {0.0}
    assert average_precision(matches.hits, np.zeros(picks), truth) == 0.0


def test_average_precision_by_hand_and_with_ties():
    hits = np.array([True, False, True, False])
    falling = np.array([4.0, 3.0, 2.0, 1.0])
    assert average_precision(hits, falling, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(hits[::-1], falling[::-1], 4) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(hits, np.ones(4), 4) == pytest.approx(2 * 0.5 / 4)  # one step for all


def test_average_precision_of_chance_is_the_share_of_hits():
    rng = np.random.default_rng(0)
    hits = rng.random(20_000) < 0.3
    found = average_precision(hits, rng.random(20_000), int(hits.sum()))
    assert found == pytest.approx(0.3, abs=0.02)
