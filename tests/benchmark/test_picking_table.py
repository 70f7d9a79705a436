"""Table dual-t2: what is picked is compared with where the ribosomes are, in the paper's proportion."""

from dataclasses import replace

import numpy as np
import pytest

from vitreous.benchmark.cases import CaseKind, make_case
from vitreous.benchmark.comparison import Comparison
from vitreous.benchmark.denoisers import DENOISER_TABLES
from vitreous.benchmark.picking import measure_picks, picking_scores
from vitreous.benchmark.specimens import Purified
from vitreous.core import Poses, SilentProgress

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
