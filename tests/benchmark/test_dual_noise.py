"""The table of simulated noise: what is compared with what, its figures, and the summary."""

import numpy as np
import pytest

from vitreous.benchmark import dual_noise
from vitreous.benchmark.dual_noise import DISTANCES, METHODS, ON_DENSITY, OURS, PLAIN, REAL
from vitreous.benchmark.tables import TABLES, table_names
from vitreous.benchmark.transfer import Setup
from vitreous.benchmark.transfer_worlds import GRAND, TARGET, UNLABELLED, labelled, taken
from vitreous.core import InputError, SilentProgress
from vitreous.metrics import correlation

TINY = Setup((32, 64, 64), 1, 1, 1, 2, 4, 2, 4, 1, side=16)
SMALL = Setup((48, 96, 96), 2, 1, 1, 60, 8, 2, 4, 1)
PROGRESS = SilentProgress()


def record(seed, method, **changes):
    values = {**dict.fromkeys(DISTANCES, 0.2), "draws": 0.9, "seconds": 1.0, **changes}
    return {"scale": "small", "seed": seed, "method": method, **values}


def test_another_draw_is_nearer_than_white_noise_of_the_same_strength():
    found = {m: dual_noise.measure_noise(TINY, 5, m, PROGRESS) for m in (REAL, PLAIN, ON_DENSITY)}
    for name in ("autocorrelation", "spectrum", "plane"):
        for method in (PLAIN, ON_DENSITY):
            assert found[REAL][name] < 0.3 * found[method][name], (name, method)
    assert found[REAL]["histogram"] < found[ON_DENSITY]["histogram"]
    # Noise three times as strong as the signal is 0.9 of the variance, in every row.
    for method, one in found.items():
        assert one["draws"] == pytest.approx(0.9, abs=0.01), method
        assert "kept" not in one


def test_white_noise_lies_on_what_it_is_said_to_lie_on():
    density, real = labelled(TINY.shape, 5).density, taken(TARGET, TINY.shape, 5)
    mean = {m: sum(dual_noise.made_tomogram(TINY, 5, m, d, PROGRESS) for d in range(9)) for m in METHODS[2:]}
    assert correlation(mean[ON_DENSITY], -density) > 0.65  # 1/√2: nine draws of noise three times as strong
    assert correlation(mean[PLAIN], -density) < 0.6  # the microscope's CTF
    # Signal that is 0.1 of the real variance, and half of that of the sum of nine draws.
    assert correlation(mean[PLAIN], real) == pytest.approx((0.1 * 0.5) ** 0.5, abs=0.02)


def test_draws_share_their_signal_and_nothing_else():
    assert min(GRAND, UNLABELLED) > 100  # seeds below are held out
    a, b = (dual_noise.made_tomogram(TINY, 5, REAL, draw, PROGRESS) for draw in (1, 2))
    assert dual_noise.changed(a, a) == 0
    assert correlation(a, b) == pytest.approx(0.1, abs=0.03)  # the signal is the same, the noise is not
    assert correlation(a, taken(TARGET, TINY.shape, 5)) == pytest.approx(0.1, abs=0.03)


def test_rows_and_summary():
    rows = list(dual_noise.noise_rows("small", (1, 2), (PLAIN, OURS), PROGRESS))
    assert [r.key["method"] for r in rows] == [OURS, PLAIN] * 2
    with pytest.raises(InputError, match="no row"):
        list(dual_noise.noise_rows("small", (1,), ("isonet",), PROGRESS))
    assert "dual-noise" in table_names()
    records = []
    for seed in (1, 2):
        ours = {"histogram": 0.005 * seed, "spectrum": 0.25, "kept": 0.75 + 0.1 * seed, "kept_real": 0.8}
        records += [
            record(seed, REAL, draws=0.8),
            record(seed, OURS, **ours, autocorrelation=0.01, draws=0.8 + 0.04 * seed),
            record(seed, PLAIN, histogram=0.006, spectrum=2.0),
        ]
    table, asked = TABLES["dual-noise"].summarize(records)
    assert [row[0] for row in table.rows] == [REAL, OURS, PLAIN]
    assert table.rows[1][2:5] == [
        "0.0075 (0.0050 to 0.0100)",
        "0.0100 (0.0100 to 0.0100)",
        "0.25 (0.25 to 0.25)",
    ]
    assert table.rows[2][7:] == ["", "", "1"]
    assert [row[2] for row in asked.rows] == [
        *("2 of 2", "2 of 2", "2 of 2"),  # at most 0.01, 0.015, 0.3
        *("1 of 2", "2 of 2", "2 of 2", "0 of 2"),  # less than `gaussian`; the planes are alike
        *("1 of 2", "2 of 2"),  # draws 0.04 and 0.08 off; kept 0.85 and 0.95
    ]
    assert len(TABLES["dual-noise"].summarize([r for r in records if r["method"] != OURS])) == 1


@pytest.mark.slow
def test_duals_noise_is_nearer_than_white_noise():
    found = {m: dual_noise.measure_noise(SMALL, 11, m, PROGRESS) for m in METHODS}
    ours = found[OURS]
    for rival in (PLAIN, ON_DENSITY):
        for name in ("autocorrelation", "spectrum", "plane"):
            assert ours[name] < 0.5 * found[rival][name], (name, rival)
    assert ours["histogram"] < found[ON_DENSITY]["histogram"]
    assert ours["draws"] == pytest.approx(found[REAL]["draws"], abs=dual_noise.MOST_OFF)
    assert ours["kept"] > 0.5
    simulated = dual_noise.made_tomogram(SMALL, 11, OURS, 1, PROGRESS)
    assert np.isclose(simulated.std(), 1, atol=1e-3)
