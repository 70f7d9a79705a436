"""Scores: right for results whose score is known."""

import numpy as np
import pytest

from vitreous.benchmark.cases import CaseKind, make_case
from vitreous.benchmark.scores import BORDER, TUNED_FILTERS, best_filter, score
from vitreous.benchmark.specimens import Specimen
from vitreous.filters import gaussian
from vitreous.metrics import psnr

KIND = CaseKind("small", Specimen(0.1), "white", 0.2, shape=(48, 48, 48))


@pytest.fixture(scope="module")
def case():
    return make_case(KIND, 5)


def test_the_truth_scores_best(case):
    found = score(case, case.clean + np.float32(1e-6 * case.data_range))
    assert found["psnr"] > 100
    assert found["cc"] == pytest.approx(1, abs=1e-5)
    assert found["ssim"] == pytest.approx(1, abs=1e-4)
    assert found["low_gain"] == pytest.approx(1, abs=1e-4)
    assert found["contrast"] == pytest.approx(1, abs=1e-4)
    assert found["resolution_angstrom"] == pytest.approx(20)  # Nyquist of 10 Å voxels


def test_the_noisy_volume_gains_nothing(case):
    found = score(case, case.noisy)
    # σ of 0.2 of the range is 13.98 dB; 32³ voxels inside the border: 0.04 dB standard error.
    assert found["psnr"] == pytest.approx(20 * np.log10(5), abs=0.15)
    assert found["delta_psnr"] == 0


def test_halving_the_volume_halves_gain_and_contrast(case):
    found = score(case, 0.5 * case.clean)
    assert found["low_gain"] == pytest.approx(0.5, abs=1e-4)
    assert found["contrast"] == pytest.approx(0.5, abs=1e-4)


def test_the_border_does_not_count(case):
    spoilt = case.clean.copy()
    spoilt[:BORDER] += 100 * case.data_range
    assert score(case, spoilt)["cc"] == pytest.approx(1, abs=1e-6)


def test_a_tuned_filter_is_the_best_of_its_tries(case):
    result, parameter, seconds = best_filter(case, "gaussian")
    assert 0 < seconds < 60  # of one run, not of all that were tried
    cut = (slice(BORDER, -BORDER),) * 3
    values = [
        psnr(gaussian(case.noisy, sigma=s)[cut], case.clean[cut], data_range=case.data_range)
        for s in TUNED_FILTERS["gaussian"][1]
    ]
    assert parameter == TUNED_FILTERS["gaussian"][1][int(np.argmax(values))]
    assert psnr(result[cut], case.clean[cut], data_range=case.data_range) == max(values)
