"""The table of the whole chain: what its tomograms are, how picks are scored, how verdicts are counted."""

import numpy as np
import pytest

from vitreous.benchmark import annotation
from vitreous.benchmark.annotation import (
    CROWDED,
    DENOISED,
    QUESTIONS,
    RARE,
    RAW,
    SIZES,
    annotation_rows,
    crowded_spec,
    scored,
    spec_of,
    summarize,
)
from vitreous.core import Poses, SilentProgress, Volume
from vitreous.evidence import FOUND, NOT_FOUND, UNCLEAR
from vitreous.io import write_volume
from vitreous.picking import Picks
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings
from vitreous.workflows.annotate.picks import write_picks
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.simulate import load_spec

NAME = "phantom:ribosome"


@pytest.mark.parametrize("seed", [1, 2, 3, 11])
def test_every_seed_has_its_own_microscope_within_the_stated_limits(seed):
    spec = spec_of(SIZES["small"], seed)
    assert spec == spec_of(SIZES["small"], seed)
    assert spec != spec_of(SIZES["small"], seed + 1)
    assert 0.05 <= spec.imaging.snr <= 0.1
    assert -62 <= spec.tilts.lowest_deg <= -50 < 50 <= spec.tilts.highest_deg <= 62
    counts = {p.structure: p.count for p in spec.particles}
    assert counts[NAME] == 30  # what "not found" is forbidden for
    asked = {name for names in QUESTIONS.values() for name in names}
    absent = asked - set(counts)
    assert set(QUESTIONS["absent"]) - absent == set(RARE)
    assert 3 * len(QUESTIONS["absent"]) - 3 * len(RARE) >= 20  # trials in three seeds


def test_the_crowded_cell_is_a_piece_of_the_preset_taken_as_the_seed_is():
    size = SIZES["full"]
    spec, other, cell = crowded_spec(size, 2), spec_of(size, 2), load_spec(CROWDED)
    assert spec.box.shape == (128, 256, 256)
    assert (spec.tilts, spec.imaging) == (other.tilts, other.imaging)
    assert (spec.particles, spec.packing) == (cell.particles, cell.packing)
    assert set(QUESTIONS[CROWDED]) < {p.structure for p in spec.particles}
    assert 0 < spec.vesicles.count < cell.vesicles.count  # as many for each area, about
    for scale, rows in (("small", 0), ("full", 1)):
        asked = [row.key["question"] for row in annotation_rows(scale, [1], (), SilentProgress())]
        assert asked.count(CROWDED) == rows


def balls(centres, radius=11):
    grid = np.ogrid[:40, :90, :90]
    dark = np.zeros((40, 90, 90), np.float32)
    for centre in centres:
        dark -= sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < radius**2
    return dark + np.random.default_rng(0).normal(0, 0.3, dark.shape).astype(np.float32)


def test_picks_are_scored_one_to_one_within_a_quarter_of_the_diameter(tmp_path):
    centres = np.array([[20, 20, 20], [20, 60, 30], [18, 40, 70.0]])
    tomogram = write_volume(tmp_path / "t.mrc", Volume(balls(centres), 10.0))
    request = AnnotateRequest(tomogram, (NAME,), tmp_path / "out", AnnotateSettings())
    work = Work(request, SilentProgress())
    write_volume(work.place("denoised.mrc"), Volume(balls(centres), 10.0))
    near, far = 0.2 * work.sizes[NAME], 0.3 * work.sizes[NAME]
    placed = 10 * centres + np.array([[near, 0, 0], [0, far, 0], [0, 0, near]])
    write_picks(work, NAME, Picks(placed, np.ones(3)), np.tile(np.eye(3), (3, 1, 1)))
    truth = Poses(np.tile(np.eye(3), (4, 1, 1)), np.vstack([10 * centres, [[0, 0, 0]]]), (NAME,) * 3 + ("x",))
    found = scored(work, NAME, truth)
    assert (found["true"], found["picks"]) == (3, 3)
    assert found["ours"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})
    assert found[RAW]["f1"] == found[DENOISED]["f1"] == 1.0


def record(question, outcomes, seed=1):
    perfect = {"precision": 1.0, "recall": 0.5, "f1": 2 / 3}
    structures = {
        name: {"true": 30, "picks": 15, "ours": perfect, RAW: perfect, DENOISED: perfect, "outcome": outcome}
        for name, outcome in zip(QUESTIONS[question], outcomes, strict=True)
    }
    return {
        "question": question,
        "seed": seed,
        "structures": structures,
        "stages": {"train": 2.0},
        "seconds": 3.0,
    }


def test_verdicts_are_counted_by_what_is_there():
    large = record("large", [FOUND, FOUND, UNCLEAR])
    absent = record("absent", [NOT_FOUND] * 6 + [FOUND, UNCLEAR])
    sections = {s.heading: s for s in summarize([large, absent])}
    counted = {row[0]: row[1:] for row in sections["Verdicts"].rows}
    assert counted["large"] == ["3", "2", "0", "1"]
    assert counted["absent"] == ["7", "1", "6", "0"]
    assert counted["rare"] == ["1", "0", "0", "1"]
    assert "can hardly be" not in sections["Verdicts"].text  # one was found
    (honest,) = [s for s in summarize([record("absent", [NOT_FOUND] * 8)]) if s.heading == "Verdicts"]
    assert "No absent one of 7 was: more than 35% can hardly be" in honest.text  # 0.65⁷ = 0.05
    (picks,) = [s for heading, s in sections.items() if heading.startswith("Large")]
    assert picks.rows[0][:6] == [NAME, "1", "30", "1.000", "0.500", "0.667"]
    assert sections["Cost"].rows[0][:3] == ["large", "2", "3"]


def test_rows_are_questions_of_seeds(monkeypatch):
    asked = []
    monkeypatch.setattr(annotation, "measure_annotation", lambda *a: asked.append(a[1:3]) or {})
    rows = list(annotation_rows("small", (4, 5), ("alike",), SilentProgress()))
    assert [row.key for row in rows] == [
        {"scale": "small", "seed": seed, "question": "alike"} for seed in (4, 5)
    ]
    rows[1].measure()
    assert asked == [(5, "alike")]
