"""Halves that share no particle: what was picked twice stays together."""

import numpy as np
import pytest

from vitreous.averaging import close_pairs, groups_of, halves_of_groups, starting_halves


def test_without_twins_halves_alternate():
    assert starting_halves(5).tolist() == [0, 1, 0, 1, 0]
    assert halves_of_groups(np.arange(5)).tolist() == [0, 1, 0, 1, 0]


def test_picks_are_close_within_one_tomogram_only():
    places = np.array([[0, 0, 0], [0, 0, 90], [0, 0, 180], [0, 0, 500], [0, 0, 10.0]])
    owner = np.array([0, 0, 0, 0, 1])
    pairs = close_pairs(places, owner, 100.0)
    assert {tuple(pair) for pair in pairs.tolist()} == {(0, 1), (1, 2)}
    # The first and the third have the second in common.
    assert groups_of(5, pairs).tolist() == [0, 0, 0, 3, 4]
    assert close_pairs(places, owner, 5.0).shape == (0, 2)


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_and_halves_are_about_equal(seed):
    rng = np.random.default_rng(seed)
    groups = groups_of(60, rng.integers(0, 60, (40, 2)))
    half = halves_of_groups(groups)
    for group in np.unique(groups):
        assert len(set(half[groups == group])) == 1
    counts = np.bincount(half, minlength=2)
    assert abs(counts[0] - counts[1]) <= np.bincount(groups).max()
    assert np.array_equal(half, halves_of_groups(groups))


def test_single_picks_even_out_what_groups_left():
    groups = np.array([0, 1, 2, 2, 2, 5, 6, 7])
    half = halves_of_groups(groups)
    assert np.bincount(half).tolist() == [4, 4]
    assert len(set(half[2:5])) == 1
