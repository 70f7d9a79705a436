"""Feature vectors in a plane: groups stay together, and the same features give the same points."""

import numpy as np
import pytest

from vitreous.metrics import principal_components, separability, t_sne
from vitreous.metrics.embedding import affinities

RNG = np.random.default_rng(0)
CENTRES = 8 * RNG.normal(size=(3, 20))
GROUPS = np.repeat(np.arange(3), 30)
FEATURES = CENTRES[GROUPS] + RNG.normal(size=(90, 20))


def kept_together(points, groups):
    """Share of points whose nearest other point is of their group."""
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    return (groups[distances.argmin(axis=1)] == groups).mean()


def test_groups_stay_together():
    points = t_sne(FEATURES)
    assert kept_together(points, GROUPS) > 0.95
    assert kept_together(t_sne(RNG.normal(size=(90, 20))), GROUPS) < 0.6  # no groups where there are none
    np.testing.assert_array_equal(points, t_sne(FEATURES))


def test_every_vector_has_the_perplexity():
    """Joint probabilities are symmetric and sum to one; the number of neighbours is that asked for."""
    joint = affinities(FEATURES, 10)
    np.testing.assert_allclose(joint, joint.T)
    assert joint.sum() == pytest.approx(1, abs=1e-6)
    shares = joint / joint.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(shares)).sum(axis=1)
    assert np.exp(entropy).mean() == pytest.approx(10, rel=0.25)


def test_principal_components_are_those_of_the_covariance():
    points = principal_components(FEATURES, 3)
    variances = np.linalg.eigvalsh(np.cov(FEATURES.T))[::-1][:3]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), variances)
    assert abs(np.corrcoef(points.T)[0, 1]) < 1e-10
    assert principal_components(np.ones((3, 1))).shape == (3, 2)


def test_separability_runs_from_chance_to_one():
    """Of 200 + 200 vectors of one distribution: 0.5 to four standard errors of 0.025."""
    a, b = RNG.normal(size=(2, 200, 5))
    assert separability(a, b) == pytest.approx(0.5, abs=0.1)
    assert separability(a, b + 10) == 1.0
