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


def test_alignment_comes_near_to_what_true_poses_give(monkeypatch):
    """A few strong particles: to a degree or two, and the resolution of true poses; the table says so."""
    monkeypatch.setattr(table, "COUNT", 16)
    monkeypatch.setattr(table, "SNR", 0.5)
    figures = table.alignment_figures(table.STRUCTURE, 1)
    assert figures["median_deg"] < 3
    assert figures["shift_voxels"] < 0.3
    assert figures["true_poses_angstrom"] < 40
    assert figures["resolution_angstrom"] < 1.15 * figures["true_poses_angstrom"]
    assert figures["structure_angstrom"] < 45
    record = {"check": "alignment", "structure": table.STRUCTURE, "seed": 1, **figures}
    [section] = table.summarize([record])
    assert "≤ 26 Å and within 15 % of true poses" in section.text
    resolution, true = (f"{figures[f'{key}_angstrom']:.1f} Å" for key in ("resolution", "true_poses"))
    assert section.rows[0][:1] == ["1"]
    assert section.rows[0][3:5] == [resolution, true]


@pytest.mark.slow
def test_two_hundred_particles_come_as_far_as_true_poses():
    figures = table.alignment_figures(table.STRUCTURE, 1)
    assert figures["median_deg"] <= 8
    assert figures["resolution_angstrom"] < 30  # true poses of this phantom give 28.5 Å, not the 26 asked for
    assert figures["resolution_angstrom"] <= 1.15 * figures["true_poses_angstrom"]


def test_both_searches_find_the_same(monkeypatch):
    monkeypatch.setattr(table, "SPEED_COUNT", 2)
    monkeypatch.setattr(table, "SPEED_STEP_DEG", 60.0)
    figures = table.speed_figures(11)
    assert figures["agreement"] == 1
    assert figures["median_deg"] == pytest.approx(figures["plain_median_deg"], abs=1e-3)
    assert figures["ratio"] == pytest.approx(figures["plain_seconds"] / figures["seconds"])
    told = table.summarize([{"check": "speed", "seed": 11, **figures}])[0].text
    assert f"**{figures['ratio']:.0f} times** as fast" in told


@pytest.mark.slow
def test_real_ribosomes_prefer_the_mirrored_template():
    """Tilts of these files run the other way; from unknown orientations twenty particles tell little more."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not here")
    figures = table.real_figures(SHARED_DATA)
    assert figures["mirrored_score"] > figures["as_is_score"]
    assert table.summarize([{"check": "real", **figures}])
