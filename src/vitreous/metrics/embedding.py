"""Feature vectors as points in a plane, and how far apart two sets of them lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
EARLY = 100  # steps in which attraction is exaggerated
EXAGGERATION = 4.0
TINY = 1e-12


def principal_components(features: NDArray[Any], count: int = 2) -> Points:
    """Coordinates (n, count) of feature vectors (n, m) along the axes of largest variance.

    The sign of an axis is that of its largest entry, so that the same features give the same points.

    Examples
    --------
    >>> points = principal_components(np.array([[0.0, 0], [2, 0], [4, 0]]), 1)
    >>> points[:, 0].round(6).tolist()
    [-2.0, 0.0, 2.0]
    """
    values = np.asarray(features, np.float64)
    centred = values - values.mean(axis=0)
    left, lengths, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    points: Points = (left * lengths * signs)[:, :count]
    return np.pad(points, ((0, 0), (0, max(0, count - points.shape[1]))))


def t_sne(features: NDArray[Any], *, perplexity: float = 20.0, steps: int = 500) -> Points:
    """Points (n, 2) whose neighbours are those of feature vectors (n, m), by t-SNE [maaten].

    Exact, for up to a few hundred vectors; it begins with the principal components, so that the result
    depends on nothing but the features. Distances between far groups mean little.

    Parameters
    ----------
    features
        (n, m), n of at least 4.
    perplexity
        About how many neighbours count, at most a third of n.
    steps
        Of gradient descent.
    """
    values = np.asarray(features, np.float64)
    count = len(values)
    wanted = affinities(values, min(perplexity, (count - 1) / 3))
    start = principal_components(values)
    points = 1e-4 * start / max(float(start[:, 0].std()), TINY)
    velocity, gains = np.zeros_like(points), np.ones_like(points)
    rate = max(count / EXAGGERATION / 4, 50.0)
    for step in range(steps):
        kernel = 1 / (1 + squared_distances(points))
        np.fill_diagonal(kernel, 0)
        found = np.maximum(kernel / kernel.sum(), TINY)
        pull = (wanted * (EXAGGERATION if step < EARLY else 1.0) - found) * kernel
        gradient = 4 * (pull.sum(axis=1)[:, None] * points - pull @ points)
        same = np.sign(gradient) == np.sign(velocity)
        gains = np.maximum(np.where(same, 0.8 * gains, gains + 0.2), 0.01)
        velocity = (0.5 if step < EARLY else 0.8) * velocity - rate * gains * gradient
        points = points + velocity
        points = points - points.mean(axis=0)
    return points


def affinities(values: Points, perplexity: float) -> Points:
    """Joint probabilities (n, n) of neighbours: Gaussians of the width that gives each the perplexity."""
    distances = squared_distances(values)
    others = ~np.eye(len(values), dtype=bool)
    scale = max(float(distances[others].mean()), TINY)
    low, high = np.full((2, len(values)), [[-20.0], [20.0]]) * 1.0  # logarithm of the precision
    for _ in range(50):
        middle = (low + high) / 2
        weights = np.exp(-distances / scale * np.exp(middle)[:, None]) * others
        shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), TINY)
        entropy = -(shares * np.log(np.maximum(shares, TINY))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    joint: Points = np.maximum((shares + shares.T) / (2 * len(values)), TINY)
    return joint


def squared_distances(points: Points) -> Points:
    """(n, n)."""
    squares = np.square(points).sum(axis=1)
    distances: Points = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    return distances


def separability(first: NDArray[Any], second: NDArray[Any]) -> float:
    """How well a nearest neighbour tells two sets of vectors apart: 0.5 not at all, 1 always.

    The mean, over both sets, of the share whose nearest other vector is of their own set. It is corrected
    for nothing: of equally large sets from one distribution it is 0.5.

    Examples
    --------
    >>> apart = separability(np.arange(4.0)[:, None], 100 + np.arange(4.0)[:, None])
    >>> apart
    1.0
    """
    whole = np.concatenate([first, second]).astype(np.float64)
    own = np.arange(len(whole)) < len(first)
    distances = squared_distances(whole)
    np.fill_diagonal(distances, np.inf)
    right = own[distances.argmin(axis=1)] == own
    return float((right[own].mean() + right[~own].mean()) / 2)
