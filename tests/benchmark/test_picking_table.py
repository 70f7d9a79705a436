"""Table dual-t2: what is picked is compared with where the ribosomes are, in the paper's proportion."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from vitreous.benchmark import picking
from vitreous.benchmark.cases import CaseKind, make_case
from vitreous.benchmark.comparison import Comparison
from vitreous.benchmark.denoisers import DENOISER_TABLES
from vitreous.benchmark.picking import measure_picks, picking_scores
from vitreous.benchmark.specimens import Purified
from vitreous.core import Poses, SilentProgress
from vitreous.methods.dual import DualConfig, method

SMALL = CaseKind("two ribosomes", Purified("ribosome", 2), "ctf", 4, (-60, 60), (64, 80, 80))


def test_a_case_knows_where_its_ribosomes_are_and_picking_finds_them():
    ground = make_case(SMALL, 11).ground
    assert len(ground.poses) == 2
    assert set(ground.poses.names) == {"phantom:ribosome"}
    assert not ground.inside[:8].any()
    assert not ground.inside[-8:].any()
    record = measure_picks(SMALL, 11, "noisy", SilentProgress())
    assert record["recall"] == 1.0
    assert record["average_precision"] == 1.0
    assert record["distance_angstrom"] < 30
    other = make_case(SMALL, 12).ground.poses.positions_angstrom
    assert np.abs(other - ground.poses.positions_angstrom).max() > 50  # another specimen for each seed


def test_dual_of_its_kind_learns_from_densities_of_other_boxes(monkeypatch):
    tiny = {"width": 2, "judge_width": 2, "levels": 1, "patch_side": 16, "steps": 1, "student_ratio": 1}
    settings = partial(DualConfig, student_width=4, student_side=16, **tiny)
    monkeypatch.setattr(picking, "DualConfig", settings)
    monkeypatch.setattr(picking, "TRAINING_SEEDS", (12,))
    seen = []
    set_prior = method.set_prior
    monkeypatch.setattr(
        method, "set_prior", lambda *given: seen.append(given[2][0].data) or set_prior(*given)
    )
    with_gold = replace(SMALL, specimen=Purified("ribosome", 2, gold=1))
    record = measure_picks(with_gold, 11, picking.OF_ITS_KIND, SilentProgress())
    assert 0 <= record["f1"] <= 1
    np.testing.assert_array_equal(seen[0], -make_case(SMALL, 12).ground.density)  # protein is dark, no gold


def test_dual_of_its_kind_is_as_published_at_the_papers_scale(monkeypatch):
    case, asked = make_case(SMALL, 11), []
    monkeypatch.setattr(picking, "make_case", lambda *_: case)
    monkeypatch.setattr(picking, "boxes_of_its_kind", lambda *_: ())
    monkeypatch.setattr(
        picking, "dual_of_its_kind", lambda clean, case, config, *_: asked.append(config) or case.noisy
    )
    for scale in ("small", "paper"):
        (kind,) = DENOISER_TABLES["dual-t2"].cases[scale].values()
        measure_picks(kind, 11, picking.OF_ITS_KIND, SilentProgress())
    assert asked == [DualConfig(), DualConfig.paper()]


def test_gold_is_picked_before_ribosomes_and_is_no_ribosome():
    """At the dose of a tilt series noise hides neither; half of the dose is √2 times the noise (3 %)."""
    kind = CaseKind("gold", Purified("ribosome", 4, gold=4), "dose", 2.4, (-60, 60), (64, 128, 128))
    case = make_case(kind, 11)
    assert len(case.ground.poses) == 4
    assert case.ground.density.max() > 20  # volts: gold
    scores = picking_scores(case.noisy, case.ground.poses, 10.0)
    assert scores["precision"] < 0.5
    half = make_case(replace(kind, level=1.2), 11)
    assert half.noise.std() / case.noise.std() == pytest.approx(2**0.5, rel=0.03)


def test_noise_without_particles_is_picked_by_chance_alone():
    noise = np.random.default_rng(0).normal(size=(96, 160, 160)).astype(np.float32)
    places = np.random.default_rng(1).uniform(300, 700, (16, 3)) * [1, 2, 2]
    truth = Poses(np.tile(np.eye(3), (16, 1, 1)), places, ("a",) * 16)
    scores = picking_scores(noise, truth, 10.0)
    assert scores["f1"] < 0.3
    assert scores["recall"] / scores["precision"] == pytest.approx(20 / 16) if scores["precision"] else True


def test_the_published_rows_stand_beside_ours():
    table = DENOISER_TABLES["dual-t2"]
    assert isinstance(table, Comparison)
    records = [
        {"case": "ribosomes", "seed": s, "method": "noisy", "precision": p, "recall": p, "f1": p}
        for s, p in ((1, 0.5), (2, 0.7))
    ]
    first = table.summarize(records)[0]
    assert ["noisy", "0.600 ± 0.141 / 0.600 ± 0.141 / 0.600 ± 0.141"] in first.rows
    published = {row[0]: row[1] for row in first.rows if row[0].startswith("published")}
    assert published["published: dual"] == "0.641 ± 0.064 / 0.783 ± 0.044 / 0.702 ± 0.038"
    assert len(published) == 7
    assert "PSNR" not in first.text
