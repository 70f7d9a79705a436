"""Comparison tables: rows of each scale, published rows beside ours, the parts of the network told apart."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vitreous.benchmark import ablations, contestants
from vitreous.benchmark.ablations import COMPONENTS, measure_component, measure_losses, self_gradient
from vitreous.benchmark.cases import CaseKind
from vitreous.benchmark.comparison import AS_PUBLISHED, Comparison, published_of, spread
from vitreous.benchmark.contestants import CEILINGS, PAPER_BLINDSPOT, RANDOM_BEGINNING, TUNED
from vitreous.benchmark.denoisers import DENOISER_TABLES, LARGE
from vitreous.benchmark.picking import GOLD_OUT
from vitreous.benchmark.runner import record_of
from vitreous.benchmark.scores import TUNED_FILTERS
from vitreous.benchmark.specimens import Specimen
from vitreous.benchmark.standardized import TOPAZ_WIDTHS
from vitreous.benchmark.tables import as_markdown, table_names
from vitreous.core import InputError, SilentProgress, Volume
from vitreous.methods import CLASSICAL
from vitreous.methods.dual import DualConfig
from vitreous.workflows.denoise import METHODS
from vitreous.workflows.denoise.config import chosen_config

KIND = CaseKind("small", Specimen(0.1, sheets=0), "white", 0.2, shape=(32, 32, 32))


def record(case, seed, method, psnr):
    return {"case": case, "seed": seed, "method": method, "psnr": psnr, "ssim": 0.5, "seconds": 2.0}


@pytest.fixture
def comparison():
    return Comparison(
        "a table",
        {"small": {"a": KIND}, "full": {"a": KIND, "b": KIND}, "paper": {"a": KIND}},
        ("noisy", "gaussian"),
        published={"a": {"noisy": "12.00 / 0.1"}},
        measure=lambda kind, seed, method, progress: {"psnr": 1.0, "ssim": 1.0, "seconds": 0.0},
    )


def test_every_case_method_and_seed_has_a_row(comparison):
    keys = [tuple(r.key.values()) for r in comparison.rows("full", (1, 2), (), SilentProgress())]
    assert len(keys) == len(set(keys)) == 8
    assert len(list(comparison.rows("small", (1, 2), (), SilentProgress()))) == 4


def test_rows_can_be_chosen_by_case_and_by_method(comparison):
    chosen = [tuple(r.key.values()) for r in comparison.rows("full", (1,), ("b", "noisy"), SilentProgress())]
    assert chosen == [("b", 1, "noisy", None)]
    with pytest.raises(InputError, match="no row c"):
        list(comparison.rows("full", (1,), ("c",), SilentProgress()))


def test_rows_of_other_clean_volumes_are_other_rows(comparison, tmp_path):
    folders = [tmp_path / name / "models" for name in ("a", "b")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "1.mrc").touch()
    old = [record("a", 1, method, 14.0) for method in comparison.methods]
    keys = [
        next(iter(comparison.rows("small", (1,), (), SilentProgress(), data))).key
        for data in (None, *folders)
    ]
    assert record_of(old, keys[0]) == old[0]
    assert record_of(old, keys[1]) is None
    there = {**record("a", 1, "noisy", 15.0), **keys[1]}
    assert record_of([there], keys[1]) == there
    assert record_of([there], keys[0]) is None
    assert record_of([there], keys[2]) is None


def test_the_published_row_stands_beside_ours_and_says_so(comparison):
    records = [record("a", 1, "noisy", 14.0), record("a", 2, "noisy", 15.0), record("a", 1, "gaussian", 20.0)]
    section = comparison.summarize(records)[0]
    assert section.rows[0] == ["noisy", "14.50 ± 0.71 / 0.500 ± 0.000"]
    assert section.rows[-1] == ["published: noisy", "12.00 / 0.1"]
    assert "| published: noisy | 12.00 / 0.1 |" in as_markdown(section)
    assert section.figure_svg.startswith("<svg")


def test_spread_of_one_value_has_no_deviation():
    assert spread([30.0], "psnr") == "30.00"


def test_published_cells_belong_to_their_case():
    assert published_of(["x", "y"], {"m": ("1", "2")}) == {"x": {"m": "1"}, "y": {"m": "2"}}


@pytest.mark.parametrize("name", DENOISER_TABLES)
def test_scales_hold_each_other(name):
    table = DENOISER_TABLES[name]
    assert set(table.cases["small"]) <= set(table.cases["full"])
    assert all(kind.shape == LARGE for kind in table.cases["paper"].values())
    assert set(table.published) <= set(table.cases["full"])
    assert name in table_names()


def test_the_papers_own_arrangements_are_blind_and_pooling_is_not():
    torch.manual_seed(0)
    gradients = {name: self_gradient(build(2)) for name, build in COMPONENTS.items()}
    assert gradients["DCA + shuffle"] == gradients["D-BSN + shuffle"] == 0
    assert gradients["U-Net"] > 1e-3
    assert gradients["DCA + U-Net"] > 1e-6


def test_large_cases_differ_in_size_and_have_dual_as_published():
    table = DENOISER_TABLES["volume-shuffle-t2"]
    for name, kind in table.cases["full"].items():
        assert table.cases["paper"][f"{name}, large"] == replace(kind, shape=LARGE, as_published=True)


def test_dual_has_the_papers_configuration_at_the_papers_scale_alone(monkeypatch):
    asked = []
    outcome = SimpleNamespace(data=np.zeros(1), method="dual", prepared=None, model=None)
    monkeypatch.setattr(
        contestants, "denoise_source", lambda source, settings, *_, **__: asked.append(settings) or outcome
    )
    case = SimpleNamespace(volume=Volume(np.zeros((8, 8, 8), np.float32)))
    for name in ("dual-t1", "dual-t2"):
        for scale in ("full", "paper"):
            for kind in DENOISER_TABLES[name].cases[scale].values():
                asked.clear()
                for method in ("dual", "n2v"):
                    contestants.denoised(kind, case, 11, method, SilentProgress())
                expected = DualConfig.paper() if scale == "paper" else DualConfig()
                assert chosen_config("dual", asked[0]) == expected
                assert asked[1].config is None
    assert DualConfig.paper() != DualConfig()


def test_where_dual_is_as_published_its_two_rows_are_one(comparison):
    comparison = replace(comparison, methods=("dual", f"dual{AS_PUBLISHED}"))
    key = {"case": "a", "seed": 1, "method": f"dual{AS_PUBLISHED}", "data": None}
    row = comparison.row(key, replace(KIND, as_published=True), SilentProgress())
    assert row.twin() == {**key, "method": "dual"}
    assert comparison.row(key, KIND, SilentProgress()).twin is None


def test_every_method_of_a_table_is_one_that_can_be_run():
    known = {
        "noisy",
        PAPER_BLINDSPOT,
        RANDOM_BEGINNING,
        GOLD_OUT,
        *CEILINGS,
        *METHODS,
        *TOPAZ_WIDTHS,
        *(f + TUNED for f in TUNED_FILTERS),
    }
    for table in DENOISER_TABLES.values():
        if table.measure not in (measure_losses, measure_component):
            assert set(table.methods) <= known


@pytest.mark.parametrize("name", TUNED_FILTERS)
def test_tuned_settings_are_settings_of_their_filter(name):
    field, values = TUNED_FILTERS[name]
    assert all(getattr(CLASSICAL[name](**{field: value}), field) == value for value in values)


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_part_of_the_network_trains_and_is_scored(name, monkeypatch):
    monkeypatch.setattr(ablations, "WIDTH", 2)
    monkeypatch.setattr(ablations, "COMPONENT_STEPS", 1)
    kind = CaseKind("small", Specimen(0.1), "white", 0.1, shape=(60, 60, 60))
    record = measure_component(kind, 1, name, SilentProgress())
    assert record["psnr"] > 5  # of a network that has seen one patch
    assert (record["self_gradient"] == 0) == name.endswith("shuffle")
