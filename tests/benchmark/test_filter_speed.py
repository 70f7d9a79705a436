"""What the speed of filters is measured against computes the same."""

import numpy as np
import pytest
import torch

from vitreous.benchmark import filter_speed
from vitreous.benchmark.filter_speed import PAIRS, compare, filter_speed_rows, noisy_step, summarize


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(filter_speed, "SIDE", 20)
    monkeypatch.setattr(filter_speed, "BORDER", 7)
    monkeypatch.setattr(filter_speed, "REPEATS", 1)


@pytest.mark.parametrize(
    ("name", "granted"), [("nlm", 0.1), ("nad", 1e-3), ("bilateral", 2e-3), ("ibf", 1e-5)]
)
def test_pairs_compute_the_same(name, granted, small):
    """scikit-image's exponential is approximate, ITK's a table; float32 eigenvalues differ a little."""
    pytest.importorskip(PAIRS[name].needs)
    threads = torch.get_num_threads()
    record = compare(PAIRS[name])
    assert record["largest_difference"] < granted
    assert record["ratio"] == pytest.approx(record["theirs"] / record["ours"])
    assert torch.get_num_threads() == threads
    ours, _ = PAIRS[name].filters()
    assert np.abs(ours(noisy_step()) - noisy_step()).max() > 0.3


def test_rows_need_their_packages(monkeypatch):
    monkeypatch.setattr(filter_speed, "find_spec", lambda name: None if name == "SimpleITK" else name)
    assert [row.key["pair"] for row in filter_speed_rows()] == ["nlm", "nad", "ibf", "ibf, loop"]
    record = {"pair": "nlm", "ours": 1.0, "theirs": 2.5, "ratio": 2.5, "largest_difference": None}
    (section,) = summarize([record])
    assert "SimpleITK is not installed" in section.text
    assert section.rows[0][4] == "2.5 ×"
