"""The wedge table: what it scores, on tiny networks."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from vitreous.benchmark import wedge
from vitreous.benchmark.cases import CaseKind, make_case
from vitreous.benchmark.tables import table_names
from vitreous.core import SilentProgress
from vitreous.methods import LEARNED, WEDGE, NoiseModel
from vitreous.methods.noise_model import NoiseModelConfig
from vitreous.methods.wedge import (
    FillingConfig,
    IsoNet,
    IsoNetConfig,
    TransposedConfig,
    TransposedDomains,
    WedgeFilling,
)

TINY = {"patch_side": 16, "width": 4, "batch": 1, "levels": 1, "steps": 2}
KIND = CaseKind("small", wedge.Specimen(0.1, structures=("rubisco",)), "ctf", 1, (-60, 60), (40, 40, 40))


class TinyTransposed(TransposedConfig):
    """Both configurations, the default and the published, on tiny networks."""

    patch_side: int = 16
    width: int = 4
    batch: int = 1
    levels: int = 1
    steps: int = 2
    judge_width: int = 2


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(WEDGE, "noise-model", (WedgeFilling, partial(FillingConfig, draws=2, **TINY)))
    monkeypatch.setitem(WEDGE, "isonet", (IsoNet, partial(IsoNetConfig, **TINY)))
    monkeypatch.setitem(WEDGE, "dual", (TransposedDomains, TinyTransposed))
    monkeypatch.setitem(LEARNED, "noise-model", (NoiseModel, partial(NoiseModelConfig, draws=2, **TINY)))


@pytest.mark.parametrize("method", wedge.METHODS)
def test_every_method_has_all_scores(tiny, method):
    record = wedge.measure_wedge(KIND, 11, method, SilentProgress())
    scores = {f"{name}_{high}" for name in ("missing", "measured") for high in wedge.SHELLS[1:]}
    twice = {"double_psnr", "double_ssim", "double_seconds"}
    if method == wedge.PLAIN or method.endswith(wedge.HALVES):  # fills nothing, or has nothing to fill from
        assert not twice & record.keys()
    else:
        scores |= twice
    assert scores <= record.keys()
    assert all(np.isfinite(record[s]) for s in scores)


def test_the_truth_scores_one_and_noise_nothing():
    truth = wedge.complete(KIND, 11)
    noise = np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
    assert min(wedge.against_truth(2 * truth + 1, truth).values()) == pytest.approx(1, abs=1e-4)
    assert max(map(abs, wedge.against_truth(noise, truth).values())) < 0.6  # the lowest shell has 40 values


def test_what_is_cut_out_lies_where_the_first_wedge_was():
    volume = np.random.default_rng(0).normal(size=(24, 20, 24)).astype(np.float32)
    left = wedge.emptied_of_wedge(volume, (-60, 60))
    assert left.var() / volume.var() == pytest.approx(0.72, abs=0.03)  # the measured share of Fourier space
    np.testing.assert_allclose(wedge.emptied_of_wedge(left, (-60, 60)), left, atol=1e-5)


def test_translation_is_as_published_at_the_papers_scale_alone(monkeypatch):
    case, plans = make_case(KIND, 11), []
    outcome = SimpleNamespace(data=case.noisy)
    monkeypatch.setattr(wedge, "carry_out", lambda plan, *_: plans.append(plan) or outcome)
    table = wedge.dual_t3()
    for scale in ("full", "paper"):
        kind = next(iter(table.cases[scale].values()))
        for method in ("dual", "isonet"):
            wedge.filled(kind, case, 11, method, SilentProgress())
    found = [plan.model.method.config for plan in plans]
    ours, published = TransposedConfig(), TransposedConfig.paper()
    for config, expected in ((found[0], ours), (found[2], published)):
        names = ("denoise_first", "adversarial", "cycle", "shared", "restored", "steps", "width")
        assert all(getattr(config, name) == getattr(expected, name) for name in names)
    assert found[1] == found[3]
    assert not set(table.cases["paper"]) & set(table.cases["full"])  # else old records would be theirs
    assert set(table.cases["small"]) <= set(table.cases["full"])


def test_the_table_prints_the_published_rows():
    comparison = wedge.dual_t3()
    assert "dual-t3" in table_names()
    records = [
        {"case": "shrec21, n/s 1", "seed": 1, "method": "none", "double_psnr": 20.0, "double_ssim": 0.1}
    ]
    rows = comparison.summarize(records)[0].rows
    assert rows[0] == ["none", "20.00 / 0.100"]
    assert ["published: isonet", "33.27 / 0.108"] in rows
