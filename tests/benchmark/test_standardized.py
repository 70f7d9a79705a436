"""The truth of the DUAL paper's first table: the specimen's density, seen as the tomogram shows it."""

import numpy as np
import pytest

from vitreous.benchmark.cases import CaseKind, make_case
from vitreous.benchmark.specimens import Specimen
from vitreous.benchmark.standardized import measure_standardized, standard, with_grand_model
from vitreous.core import SilentProgress

KIND = CaseKind("dark protein", Specimen(0.2), "ctf", 1, (-60, 60), shape=(48, 48, 48))


@pytest.fixture(scope="module")
def case():
    return make_case(KIND, 11)


def test_the_truth_is_the_density_in_the_contrast_of_the_tomogram(case):
    found = with_grand_model(case)
    assert np.corrcoef(case.ground.density.ravel(), case.clean.ravel())[0, 1] < -0.3  # protein is dark
    np.testing.assert_allclose(standard(found.clean), -standard(case.ground.density), atol=1e-4)
    np.testing.assert_allclose(found.noisy, case.noisy, atol=1e-5 * np.abs(case.noisy).max())


def test_no_other_scale_of_the_density_is_nearer_to_the_reconstruction(case):
    found = with_grand_model(case).clean
    error = np.square(found - case.clean).sum()
    for factor in (0.9, 1.1, -1.0):
        scaled = case.clean.mean() + factor * (found - found.mean())
        assert np.square(scaled - case.clean).sum() > error


def test_scores_are_of_standardized_volumes():
    noisy = measure_standardized(KIND, 11, "noisy", SilentProgress())
    smooth = measure_standardized(KIND, 11, "gaussian, tuned", SilentProgress())
    assert smooth["psnr"] > noisy["psnr"] + 0.5
    assert smooth["ssim"] > noisy["ssim"]
