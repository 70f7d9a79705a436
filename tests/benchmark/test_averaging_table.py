"""The averaging table: its rows, a common turn of all poses, both searches on the same particles."""

from pathlib import Path

import pytest
import torch

from vitreous.benchmark import subtomogram_averaging as table
from vitreous.core import InputError, SilentProgress
from vitreous.fourier.rotations import random_rotations

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def test_rows_are_checks_and_seeds():
    rows = list(table.averaging_rows((1, 2), (), None, SilentProgress()))
    assert [(row.key["check"], row.key["seed"]) for row in rows] == [
        ("alignment", 1),
        ("alignment", 2),
        ("speed", 1),
    ]
    with pytest.raises(InputError, match="there is no row volume"):
        list(table.averaging_rows((1,), ("volume",), None, SilentProgress()))


def test_a_turn_of_the_reference_is_no_error():
    supplied = random_rotations(12, torch.Generator().manual_seed(0))
    turn = random_rotations(1, torch.Generator().manual_seed(1))
    found = supplied @ turn
    assert table.consensus_errors(found, supplied).max() < 1e-3
    found[:3] = random_rotations(3, torch.Generator().manual_seed(2))
    errors = table.consensus_errors(found, supplied)
    assert (errors[3:] < 1e-3).all()
    assert (errors[:3] > 5).all()
    # The same turn on the other side is no matter of the reference.
    assert table.consensus_errors(turn @ supplied, supplied).median() > 20


def test_both_searches_find_the_same(monkeypatch):
    monkeypatch.setattr(table, "SPEED_COUNT", 2)
    monkeypatch.setattr(table, "SPEED_STEP_DEG", 60.0)
    figures = table.speed_figures(11)
    assert figures["agreement"] == 1
    assert figures["median_deg"] == pytest.approx(figures["plain_median_deg"], abs=1e-3)
    assert "times" in table.summarize([{"check": "speed", "seed": 11, **figures}])[0].text


@pytest.mark.slow
def test_real_ribosomes_prefer_the_mirrored_template():
    """Tilts of these files run the other way; from unknown orientations twenty particles tell little more."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not here")
    figures = table.real_figures(SHARED_DATA)
    assert figures["mirrored_score"] > figures["as_is_score"]
    assert table.summarize([{"check": "real", **figures}])
