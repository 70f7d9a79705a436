"""What bilateral and non-local means share: windows, extension, pairs."""

from itertools import product

import numpy as np
import pytest
import torch

from vitreous.filters import neighbours
from vitreous.filters.neighbours import extended, neighbour_mean, window_sums


def noise(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 7, 8])
def test_window_sums_are_sums_over_windows(side):
    values = noise((8, 9, 11))
    windows = np.lib.stride_tricks.sliding_window_view(values.numpy(), (side,) * 3)
    np.testing.assert_allclose(window_sums(values, side).numpy(), windows.sum((3, 4, 5)), atol=1e-12)


@pytest.mark.parametrize(("padding", "name"), [("replicate", "edge"), ("reflect", "reflect")])
def test_extension_is_numpys(padding, name):
    values = noise((1, 2, 5))
    padded = np.pad(values.numpy(), (4, 7), mode=name)
    np.testing.assert_array_equal(extended(values, 4, 7, padding).numpy(), padded)


def test_chunks_cannot_be_seen(monkeypatch):
    values = noise((13, 7, 9))
    settings = {"radius": 2, "scale": 0.3, "offset": lambda shift: 0.1, "window": 2, "padding": "reflect"}
    whole = neighbour_mean(values, **settings)
    monkeypatch.setattr(neighbours, "CHUNK_VOXELS", 1)
    np.testing.assert_allclose(neighbour_mean(values, **settings).numpy(), whole.numpy(), atol=1e-12)


def test_equal_weights_give_the_mean_of_the_window():
    values = noise((6, 7, 8))
    means = neighbour_mean(values, radius=1, scale=0.0, offset=lambda shift: 0.0)
    padded = np.pad(values.numpy(), 1, mode="edge")
    shifted = [padded[i : i + 6, j : j + 7, k : k + 8] for i, j, k in product(range(3), repeat=3)]
    np.testing.assert_allclose(means.numpy(), np.mean(shifted, axis=0), atol=1e-12)
