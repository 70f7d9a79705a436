"""The exposure curve against numbers worked out by hand."""

import pytest
import torch

from vitreous.fourier import critical_exposure, exposure_damping


@pytest.mark.parametrize(
    ("resolution_angstrom", "exposure"),
    # 20^1.665 = exp(1.665·2.99573) = 146.63; 10^1.665 = 46.238; 3^1.665 = exp(1.665·1.09861) = 6.2288
    [(20, 0.245 * 146.63 + 2.81), (10, 0.245 * 46.238 + 2.81), (3, 0.245 * 6.2288 + 2.81)],
)
def test_critical_exposure(resolution_angstrom, exposure):
    frequency = torch.tensor(1 / resolution_angstrom)
    assert float(critical_exposure(frequency)) == pytest.approx(exposure, rel=1e-4)
    assert float(critical_exposure(frequency, 200)) == pytest.approx(0.8 * exposure, rel=1e-4)


def test_amplitude_is_one_over_e_after_twice_the_critical_exposure():
    frequency = torch.tensor(0.1)
    dose = 2 * 14.138
    assert float(exposure_damping(frequency, dose)) == pytest.approx(0.36788, abs=1e-4)
    assert float(exposure_damping(frequency, dose / 2)) == pytest.approx(0.60653, abs=1e-4)


def test_damping_grows_with_dose_and_frequency_and_spares_the_mean():
    frequencies = torch.linspace(0, 0.25, 50)
    early, late = exposure_damping(frequencies, 10.0), exposure_damping(frequencies, 100.0)
    assert early[0] == late[0] == 1
    assert (early.diff() < 0).all()
    assert (late[1:] < early[1:]).all()
    assert (exposure_damping(frequencies, 0.0) == 1).all()
