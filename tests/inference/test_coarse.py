"""The small copy of a tomogram in which shapes are judged."""

import tracemalloc

import numpy as np

from vitreous.inference import coarse


def test_the_coarse_copy_is_made_of_small_slabs(monkeypatch):
    monkeypatch.setattr(coarse, "SLAB_VOXELS", 2**18)
    data = np.random.default_rng(0).normal(size=(96, 256, 256)).astype(np.float32)
    kept = data.copy()
    tracemalloc.start()
    copy, factor = coarse.coarse_copy(data, 0.5, 4.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert factor == 3
    assert peak < copy.nbytes + 3 * 4 * 2**18
    np.testing.assert_array_equal(data, kept)
    blocks = data[:, :255, :255].reshape(32, 3, 85, 3, 85, 3).mean(axis=(1, 3, 5)) - 0.5
    np.testing.assert_allclose(copy, blocks, atol=1e-5)
