"""The table `simulate`: its cheap checks run, its verdicts can be bad, and it is made as the others are."""

import numpy as np
import pytest

from vitreous.benchmark import run_table, simulation_checks
from vitreous.benchmark.simulate import CHECKS, ON_REQUEST, measured, simulate_rows, summarize
from vitreous.core import InputError, SilentProgress


def test_cheap_checks_are_met(tmp_path):
    result = run_table(
        "simulate",
        tmp_path,
        seeds=(1,),
        only=("ctf", "masks", "adjointness"),
        data=None,
        progress=SilentProgress(),
    )
    assert [r["met"] for r in result.records] == [True] * 3
    assert "CTF zeros" in result.markdown
    assert "**no**" not in result.markdown


def test_shrec21_is_measured_only_when_named():
    names = [row.key["check"] for row in simulate_rows((), SilentProgress())]
    assert names == [name for name in CHECKS if name not in ON_REQUEST]
    assert [row.key["check"] for row in simulate_rows(("shrec21",), SilentProgress())] == ["shrec21"]
    with pytest.raises(InputError, match="there is no check"):
        list(simulate_rows(("magic",), SilentProgress()))


def test_mixed_up_labels_are_found(monkeypatch):
    """One voxel of another class, and one instance of another name."""
    made = simulation_checks.crowded(96)

    def broken(side):
        classes = made.volumes["class_mask"].copy()
        inside = np.argwhere(made.volumes["instance_mask"] == 1)
        classes[tuple(inside[0])] += 1
        return simulation_checks.Written(
            {**made.volumes, "class_mask": classes}, made.table, made.star, made.classes
        )

    monkeypatch.setattr(simulation_checks, "crowded", broken)
    record = {"check": "masks", **measured("masks")}
    assert not record["met"]
    assert record["figures"]["class_of_instance"] >= 1
    assert "**no**" in summarize([record])[0].rows[0]
