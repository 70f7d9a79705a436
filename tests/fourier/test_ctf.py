"""The CTF against its formula, written out independently, and the constants behind it."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vitreous.fourier import Optics, contrast_transfer, frequency_radius, volume_contrast_transfer

SHAPE, PIXEL = (96, 128), 4.0


def formula(defocus_um, optics, shape=SHAPE, pixel=PIXEL):
    """sin(πλΔf·k² - ½π·Cs·λ³·k⁴ + φ + arcsin A), half spectrum, float64."""
    y, x = np.fft.fftfreq(shape[0], pixel)[:, None], np.fft.rfftfreq(shape[1], pixel)[None]
    square, wavelength = y**2 + x**2, optics.wavelength_angstrom
    turn = 2 * (np.arctan2(y, x) - np.deg2rad(optics.astigmatism_angle_deg))
    defocus = 1e4 * (defocus_um + optics.astigmatism_um * np.cos(turn))
    phase = np.pi * wavelength * defocus * square
    phase -= np.pi / 2 * optics.spherical_aberration_mm * 1e7 * wavelength**3 * square**2
    return np.sin(phase + np.deg2rad(optics.phase_shift_deg) + np.arcsin(optics.amplitude_contrast))


@pytest.mark.parametrize(
    ("volts", "wavelength", "interaction"), [(300, 0.019687, 6.526e-4), (200, 0.025079, 7.288e-4)]
)
def test_wavelength_and_interaction_constant(volts, wavelength, interaction):
    optics = Optics(voltage_kv=volts)
    assert optics.wavelength_angstrom == pytest.approx(wavelength, rel=1e-4)
    assert optics.interaction_rad_per_volt_angstrom == pytest.approx(interaction, rel=1e-3)


@pytest.mark.parametrize(
    ("defocus", "optics"),
    [
        (4.0, Optics()),
        (1.5, Optics(spherical_aberration_mm=2.0, amplitude_contrast=0.1)),
        (0.5, Optics(phase_shift_deg=90)),
        (-1.0, Optics(voltage_kv=200)),
        (2.0, Optics(astigmatism_um=0.2)),
    ],
)
def test_the_formula(defocus, optics):
    ctf = contrast_transfer(SHAPE, PIXEL, defocus, optics).numpy()
    assert ctf.dtype == np.float32
    expected = formula(defocus, optics)
    # Up to 100 rad in float32: the phase is good to some 1e-5.
    np.testing.assert_allclose(ctf, expected, atol=2e-3)
    assert np.abs(ctf - formula(defocus + 0.02, optics)).max() > 0.05


def test_underfocus_makes_low_frequencies_bright_and_a_phase_plate_the_lowest():
    ctf = contrast_transfer(SHAPE, PIXEL, 2.0)
    assert ctf[0, 0] == pytest.approx(0.07, abs=1e-6)
    assert ctf[0, 10] > 0.3
    assert contrast_transfer(SHAPE, PIXEL, -2.0)[0, 10] < -0.3
    plate = contrast_transfer(SHAPE, PIXEL, 0.5, Optics(phase_shift_deg=90))
    assert plate[0, 0] == pytest.approx(np.cos(np.arcsin(0.07)), abs=1e-4)


def test_zeros_lie_where_the_phase_is_a_multiple_of_pi():
    side, pixel, defocus, optics = 512, 4.0, 2.5, Optics()
    ctf = contrast_transfer((side, side), pixel, defocus)[0].numpy()
    found = np.flatnonzero(np.diff(np.sign(ctf)) != 0)
    wavelength, cs = optics.wavelength_angstrom, optics.spherical_aberration_mm * 1e7
    for order, zero in enumerate(found, 1):
        # ½π·Cs·λ³·s² - πλΔf·s + πn - arcsin A = 0 in s = k²
        c = np.pi * order - np.arcsin(0.07)
        square = min(np.roots([np.pi / 2 * cs * wavelength**3, -np.pi * wavelength * defocus * 1e4, c]))
        assert abs(np.sqrt(square) * side * pixel - (zero + 0.5)) <= 1
    assert len(found) >= 6


def test_astigmatism_is_largest_along_x_and_turns():
    optics = Optics(astigmatism_um=0.5)
    ctf = contrast_transfer((128, 128), PIXEL, 2.0, optics, half=False)
    # Along x the first zero comes earlier.
    first = [int(torch.nonzero(line[1:64] < 0)[0]) for line in (ctf[0], ctf[:, 0])]
    assert first[0] < first[1]
    turned = contrast_transfer(
        (128, 128), PIXEL, 2.0, optics.model_copy(update={"astigmatism_angle_deg": 90.0}), half=False
    )
    torch.testing.assert_close(turned, ctf.T, atol=2e-3, rtol=0)


def test_several_defoci_at_once():
    both = contrast_transfer(SHAPE, PIXEL, torch.tensor([1.0, 3.0]))
    for one, defocus in zip(both, (1.0, 3.0), strict=True):
        torch.testing.assert_close(one, contrast_transfer(SHAPE, PIXEL, defocus))


@pytest.mark.parametrize(
    "wrong", [{"voltage_kv": 0}, {"amplitude_contrast": 1}, {"spherical_aberration_mm": -1}, {"cs": 2}]
)
def test_optics_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Optics(**wrong)


def test_a_volume_has_the_transfer_of_its_images_along_every_direction():
    """To 0.02 up to the Nyquist frequency; of two defoci the mean."""
    side, spacing = 40, 10.0
    volume = volume_contrast_transfer(side, spacing, 3.0)
    assert volume.shape == (side, side, side // 2 + 1)
    image = contrast_transfer((side, side), spacing, 3.0)
    inside = frequency_radius((side, side), half=True) <= 0.5
    for plane in (volume[0], volume[:, 0]):
        np.testing.assert_allclose(plane[inside], image[inside], atol=0.02)
    both = volume_contrast_transfer(side, spacing, torch.tensor([3.0, 4.0]))
    np.testing.assert_allclose(2 * both - volume, volume_contrast_transfer(side, spacing, 4.0), atol=1e-5)
