"""What wedge filling is for, on a volume whose missing region is known: slow."""

import numpy as np
import pytest

from vitreous.benchmark.cases import WEDGE, CaseKind, make_case
from vitreous.benchmark.specimens import Specimen
from vitreous.fourier import measured_region
from vitreous.metrics import band_correlation
from vitreous.workflows.wedge import fill_wedge

SHELLS = ((0.02, 0.06), (0.06, 0.1), (0.1, 0.15))
LEAST = (0.8, 0.75, 0.65)
CHANCE = 0.3  # two standard errors of the innermost shell, which has some forty missing frequencies


@pytest.mark.slow
def test_the_missing_region_is_filled_with_what_belongs_there():
    """Empty before; after a short training it correlates with the truth. Mirrored, it does not."""
    case = make_case(CaseKind("small", Specimen(0.15), "wedge", 0.1, WEDGE, (64, 64, 64)), 11)
    missing = ~measured_region(case.noisy.shape, WEDGE, half=True).numpy()
    filled = fill_wedge(case.volume, steps=60, seed=1, tilt_range_deg=WEDGE, device="cpu").data
    truth = case.ground.density
    found = [band_correlation(filled, truth, shell, missing) for shell in SHELLS]
    before = [band_correlation(case.noisy, truth, shell, missing) for shell in SHELLS]
    mirrored = [band_correlation(filled[::-1], truth, shell, missing) for shell in SHELLS]
    assert np.abs(before).max() < CHANCE
    assert (np.array(found) > LEAST).all(), found
    assert np.max(mirrored) < CHANCE
