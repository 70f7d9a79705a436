"""Cost: the peak is of the block alone, not of what the process did before."""

import sys

import numpy as np
import pytest

from vitreous.benchmark.cost import measured_cost


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_an_earlier_peak_does_not_count_and_one_inside_does():
    before = np.ones(60_000_000, np.float32)  # 240 MB
    del before
    with measured_cost() as idle:
        pass
    with measured_cost() as busy:
        array = np.ones(60_000_000, np.float32)
        del array
    # 20 MB: what the allocator gives back or takes meanwhile.
    assert busy["peak_gb"] - idle["peak_gb"] == pytest.approx(0.24, abs=0.02)
    assert idle["seconds"] < busy["seconds"] < 10
