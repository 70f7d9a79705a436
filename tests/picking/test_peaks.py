"""Maxima between samples, and merging what is too close."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vitreous.picking import Picks
from vitreous.picking.peaks import local_maxima, merged, robust_spread


def test_a_maximum_is_placed_between_samples():
    grid = np.stack(np.meshgrid(*[np.arange(15.0)] * 3, indexing="ij"), -1)
    centre = np.array([7.3, 6.8, 7.45])
    values = np.exp(-np.sum((grid - centre) ** 2, axis=-1) / (2 * 2.5**2)).astype(np.float32)
    positions, heights = local_maxima(values)
    # A parabola through a Gaussian of σ = 2.5 samples is off by under 0.01 samples.
    np.testing.assert_allclose(positions, centre[None], atol=0.01)
    np.testing.assert_allclose(heights, 1.0, atol=0.01)


def test_maxima_on_faces_and_below_zero_do_not_count():
    values = np.full((5, 5, 5), -1.0, np.float32)
    values[0, 2, 2] = 9
    values[2, 2, 2] = -0.5
    assert len(local_maxima(values)[0]) == 0


@given(
    arrays(np.float64, st.tuples(st.integers(0, 30), st.just(3)), elements=st.floats(0, 100)),
    st.integers(0, 2**32 - 1),
    st.floats(1, 60),
)
def test_merging_leaves_the_best_of_everything_near(positions, seed, distance):
    scores = np.random.default_rng(seed).normal(size=len(positions))
    kept = merged(Picks(positions, scores), distance)
    assert (np.diff(kept.scores) <= 0).all()
    gaps = np.linalg.norm(kept.positions_angstrom[:, None] - kept.positions_angstrom, axis=-1)
    assert (gaps[~np.eye(len(kept), dtype=bool)] > distance).all()
    for position, score in zip(positions, scores, strict=True):
        near = np.linalg.norm(kept.positions_angstrom - position, axis=-1) <= distance + 1e-9
        assert kept.scores[near].max() >= score


def test_the_spread_is_that_of_the_bulk():
    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    values[:5000] = 100  # blobs: the ordinary deviation would be 22
    np.testing.assert_allclose(robust_spread(values), 1.0, atol=0.08)
    assert values.std() > 20
