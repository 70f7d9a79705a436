"""BM4D where it is installed, and one line where it is not."""

import sys

import numpy as np
import pytest

from vitreous.core import InputError
from vitreous.filters import bm4d, gaussian

SHAPE = (16, 17, 18)


def test_a_missing_package_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm4d", None)
    with pytest.raises(InputError, match=r"non-commercial.*pip install vitreous\[bm4d\]"):
        bm4d(np.zeros((8, 8, 8)), noise_power=1.0)


def test_white_noise_given_as_a_number_or_as_a_spectrum():
    pytest.importorskip("bm4d", reason="the extra bm4d is not installed")
    z, y, x = np.ogrid[tuple(slice(n) for n in SHAPE)]
    clean = 4.0 * ((z - 8) ** 2 + (y - 8) ** 2 + (x - 9) ** 2 < 30)
    noisy = clean + np.random.default_rng(0).normal(size=SHAPE)
    once = bm4d(noisy, noise_power=1.0)
    assert once.shape == SHAPE
    assert once.dtype == np.float32
    best = min(np.mean((gaussian(noisy, sigma=s) - clean) ** 2) for s in (0.6, 0.8, 1.0, 1.2))
    assert np.mean((once - clean) ** 2) < 0.7 * best
    flat = bm4d(noisy, noise_power=np.ones(SHAPE))
    assert np.mean((flat - clean) ** 2) < 0.7 * best
    assert np.mean((bm4d(noisy, noise_power=0.04) - clean) ** 2) > 0.7 * best  # too little noise expected
