"""Scores of volumes of every type that files have."""

import numpy as np
import pytest

from vitreous.workflows.evaluate import scores_against


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_the_range_of_integers_does_not_wrap_around(kind):
    limits = np.iinfo(kind)
    reference = np.random.default_rng(0).integers(limits.min, limits.max, (8, 8, 8), kind, endpoint=True)
    reference[0, 0, :2] = limits.min, limits.max
    scores = scores_against(reference + np.float32(1), reference)
    assert scores["data_range"] == 2.0**limits.bits - 1
    assert scores["psnr"] == pytest.approx(20 * np.log10(scores["data_range"]))
    assert scores["cc"] == pytest.approx(1)
