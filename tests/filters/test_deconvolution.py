"""CTF deconvolution: its formula worked out by hand, and what it does to a volume with a known CTF."""

import numpy as np
import scipy.ndimage as ndi

from vitreous.filters import deconvolve
from vitreous.filters.deconvolution import SAMPLES, wiener_profile
from vitreous.fourier import Optics
from vitreous.metrics import correlation, fourier_shell_correlation

SPACING, DEFOCUS = 10.0, 5.0
FIRST_ZERO = 0.31  # cycles per voxel: πλΔf·k² + arcsin A = π at k = 0.031 / Å for 5 µm


def transfer(frequency, defocus_um, optics=None):
    """CTF by the book, frequency in 1/Å."""
    optics = optics or Optics()
    wavelength = optics.wavelength_angstrom
    phase = np.pi * wavelength * defocus_um * 1e4 * frequency**2
    phase -= np.pi / 2 * optics.spherical_aberration_mm * 1e7 * wavelength**3 * frequency**4
    return np.sin(phase + np.arcsin(optics.amplitude_contrast))


def radius_of(shape):
    return np.sqrt(sum(np.square(f) for f in np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")))


def imaged(shape=(40, 44, 48), flipped=False):
    """A volume of blobs, the same with a CTF, and noise of a tenth of it."""
    rng = np.random.default_rng(0)
    truth = ndi.gaussian_filter(rng.normal(size=shape) * (rng.random(shape) > 0.95), 0.6)
    ctf = transfer(radius_of(shape) / SPACING, DEFOCUS)
    seen = np.fft.ifftn(np.fft.fftn(truth) * (np.abs(ctf) if flipped else ctf)).real
    return truth, seen + 0.1 * seen.std() * rng.normal(size=shape)


def test_the_profile_is_the_formula():
    optics = Optics(voltage_kv=200, spherical_aberration_mm=2.0, amplitude_contrast=0.1)
    settings = {"strength": 1.2, "falloff": 0.4, "highpass": 0.3}
    profile = wiener_profile(7.0, 4.0, optics, **settings, phases_flipped=False)
    cycles = np.linspace(0, 1, SAMPLES + 1)
    k = cycles / 7.0
    snr = 10**3.6 * np.exp(-80 * k) * (1 - np.cos(np.pi * np.minimum(1, cycles / 0.5 / 0.3)))
    ctf = transfer(k, 4.0, optics)
    expected = np.where(snr > 0, ctf / (ctf**2 + 1 / np.maximum(snr, 1e-300)), 0)
    np.testing.assert_allclose(profile, expected, atol=2e-3 * np.abs(expected).max())  # float32 phases
    absolute = wiener_profile(7.0, 4.0, optics, **settings, phases_flipped=True)
    np.testing.assert_allclose(absolute, np.abs(profile), atol=1e-12)
    wrong = wiener_profile(7.0, 4.4, optics, **settings, phases_flipped=False)
    assert np.abs(wrong - expected).max() > 0.1 * np.abs(expected).max()


def shells(volume, truth):
    frequency, curve = fourier_shell_correlation(volume, truth)
    return frequency, curve


def test_correlates_better_and_turns_phases_back():
    truth, seen = imaged()
    settings = {"spacing_angstrom": SPACING, "strength": 1.0, "falloff": 0.3}
    restored = deconvolve(seen, defocus_um=DEFOCUS, **settings)
    assert correlation(restored, truth) > correlation(seen, truth) + 0.1
    frequency, before = shells(seen, truth)
    beyond = (frequency > FIRST_ZERO + 0.03) & (frequency < 0.42)
    assert before[beyond].max() < -0.5
    assert shells(restored, truth)[1][beyond].min() > 0.5
    within = (frequency > 0.05) & (frequency < FIRST_ZERO - 0.03)
    assert shells(restored, truth)[1][within].min() > 0.85
    for wrong in ({"defocus_um": 2.0}, {"defocus_um": DEFOCUS, "phases_flipped": True}):
        assert shells(deconvolve(seen, **settings, **wrong), truth)[1][beyond].max() < 0


def test_flipped_phases_are_left_alone():
    truth, seen = imaged(flipped=True)
    settings = {"spacing_angstrom": SPACING, "defocus_um": DEFOCUS, "falloff": 0.3}
    for flipped, sign in ((True, 1), (False, -1)):
        frequency, curve = shells(deconvolve(seen, phases_flipped=flipped, **settings), truth)
        assert (sign * curve)[(frequency > FIRST_ZERO + 0.03) & (frequency < 0.42)].min() > 0.5


def test_contrast_keeps_its_sign():
    z, y, x = np.ogrid[:32, :32, :32]
    blob = np.exp(-((z - 16) ** 2 + (y - 16) ** 2 + (x - 16) ** 2) / 18)
    for sign in (1, -1):
        restored = deconvolve(sign * blob, spacing_angstrom=SPACING, defocus_um=3.0)
        assert sign * restored[16, 16, 16] > 0.5 * np.abs(restored).max() > 0


def test_is_linear_and_takes_any_shape():
    rng = np.random.default_rng(1)
    for shape in ((8, 31, 29), (1, 9, 5)):
        a, b = rng.normal(size=(2, *shape))
        settings = {"spacing_angstrom": 8.0, "defocus_um": 4.0}
        both = deconvolve(2 * a - b, **settings)
        apart = 2 * deconvolve(a, **settings) - deconvolve(b, **settings)
        assert both.shape == shape
        assert both.dtype == np.float32
        np.testing.assert_allclose(both, apart, atol=1e-4 * np.abs(both).max())


def test_a_constant_has_no_mean_left_and_the_input_is_left_alone():
    constant = np.full((24, 25, 26), 5.0, np.float32)
    assert np.abs(deconvolve(constant, spacing_angstrom=10, defocus_um=4)).max() < 1e-4
    assert (constant == 5).all()
