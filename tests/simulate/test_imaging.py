"""Imaging: contrast, CTF and its gradient, damage, the detector, counting noise, SNR, halves."""

import numpy as np
import pytest
from pydantic import ValidationError

from vitreous.core import Interrupted, SilentProgress
from vitreous.fourier import Optics, contrast_transfer, exposure_damping, frequency_radius
from vitreous.simulate import (
    Detector,
    ImagingSettings,
    TiltScheme,
    crowd,
    image,
    weighted_back_projection,
)
from vitreous.simulate.detector import count_electrons
from vitreous.simulate.imaging import expose
from vitreous.simulate.weak_phase import Microscope, as_columns

SHAPE = (24, 40, 48)
PERFECT = Detector(mtf_at_nyquist=1, dqe_at_zero=1, dqe_at_nyquist=1)
FEW = TiltScheme(step_deg=20)
SIGMA = 6.526e-4  # rad/(V·Å) at 300 kV


@pytest.fixture(scope="module")
def density():
    """Nothing is cut off at the borders, where images and their Fourier transforms would differ."""
    return crowd(SHAPE, occupancy=0.12, seed=0, structures=("rubisco", "hsp90", "apoferritin")).density


@pytest.fixture(scope="module")
def flat():
    """Ice with next to nothing in it."""
    return np.zeros(SHAPE, np.float32)


def settings(**changes):
    plain = {"defocus_um": None, "radiation_damage": False, "detector": PERFECT, "tilts": FEW}
    return ImagingSettings(**(plain | changes))


def test_tilt_schemes():
    assert TiltScheme(lowest_deg=-9, highest_deg=9).acquisition_order() == (0, 3, -3, 6, -6, 9, -9)
    grouped = TiltScheme(lowest_deg=-9, highest_deg=12, group=2)
    assert grouped.acquisition_order() == (0, 3, 6, -3, -6, 9, 12, -9)
    assert TiltScheme(lowest_deg=-4, highest_deg=5, step_deg=2, order="continuous").acquisition_order() == (
        -4, -2, 0, 2, 4,
    )  # fmt: skip
    assert TiltScheme(lowest_deg=-60, highest_deg=60, step_deg=2).acquisition_order()[-1] == -60
    lamella = TiltScheme(lowest_deg=-42, highest_deg=66, start_deg=12).acquisition_order()
    assert lamella[:3] == (12, 15, 9)
    assert (min(lamella), max(lamella), len(lamella)) == (-42, 66, 37)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lowest_deg": 60, "highest_deg": -60},
        {"lowest_deg": 10, "highest_deg": 60},
        {"step_deg": 0},
        {"step_deg": 200},
        {"step_deg": 1e-4},
        {"lowest_deg": -91},
        {"group": 0},
        {"order": "random"},
        {"steps": 3},
    ],
)
def test_tilt_schemes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        TiltScheme(**wrong)


def test_contrast_is_the_projected_potential(density):
    series = image(density, 5.0, settings())
    middle = series.noise_free[series.tilt_angles_deg.index(0)]
    expected = -2 * SIGMA * 5.0 * density.sum(0)
    np.testing.assert_allclose(middle, expected, atol=0.01 * np.abs(expected).max())
    assert expected.min() < middle.min() / 1.02 < 0  # protein is dark


def test_underfocus_makes_protein_dark_and_overfocus_bright(density):
    protein = density.sum(0) > np.percentile(density.sum(0), 90)
    for defocus, sign in ((4.0, -1), (-4.0, 1)):
        one = image(density, 10.0, settings(defocus_um=defocus)).noise_free[3]
        assert sign * (one[protein].mean() - one[~protein].mean()) > 0.3 * one.std()


def profile(power, bins):
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in power.shape), indexing="ij"))
    index = np.rint(radius * bins).astype(int)
    return (np.bincount(index.ravel(), power.ravel()) / np.bincount(index.ravel()))[: bins // 2]


def measured_zeros(with_ctf, without, expected):
    """The frequencies, in bins, of the minima of CTF² nearest to those expected."""
    bins = min(with_ctf.shape[-2:])
    window = np.prod(np.meshgrid(*(np.hanning(n) for n in with_ctf.shape[-2:]), indexing="ij"), axis=0)
    curves = [profile((np.abs(np.fft.fft2(i * window)) ** 2).sum(0), bins) for i in (with_ctf, without)]
    ctf = curves[0] / curves[1]
    minima = np.flatnonzero((ctf[1:-1] < ctf[:-2]) & (ctf[1:-1] <= ctf[2:])) + 1
    return [int(minima[np.abs(minima - e * bins).argmin()]) for e in expected], bins


def expected_zeros(defocus_um, pixel):
    """Where sin(πλΔf·k² - ½π·Cs·λ³·k⁴ + arcsin A) is zero, in cycles/pixel, below 0.45."""
    k = np.linspace(0, 0.45, 20000) / pixel
    wavelength = 0.0196875
    phase = np.pi * wavelength * defocus_um * 1e4 * k**2 - np.pi / 2 * 2.7e7 * wavelength**3 * k**4
    return k[1:][np.diff(np.sign(np.sin(phase + np.arcsin(0.07)))) != 0] * pixel


def sheet_images(shape, tilt, pixel, defocus, seeds=4):
    """Images, with and without CTF, of thin sheets of white noise in the middle plane."""
    pairs = []
    for seed in range(seeds):
        density = np.zeros((3, *shape), np.float32)
        density[1] = np.random.default_rng(seed).standard_normal(shape)
        pairs.append(
            [
                Microscope(density.shape, pixel, d, Optics()).contrast(
                    as_columns(density), tilt, 0.0, np.zeros(2)
                )
                for d in (defocus, None)
            ]
        )
    return np.array(pairs).transpose(1, 0, 2, 3)


def test_ctf_zeros_are_where_the_defocus_says():
    zeros = expected_zeros(2.0, 5.0)
    found, bins = measured_zeros(*sheet_images((128, 128), 0.0, 5.0, 2.0), zeros)
    assert len(zeros) >= 3
    assert np.abs(np.array(found) - zeros * bins).max() <= 1


@pytest.mark.parametrize("tilt", [60.0, -60.0])
def test_defocus_grows_with_u_at_positive_tilts(tilt):
    """Δf = Δf₀ + u·tan(t): strips to the left and right of the tilt axis have their own zeros."""
    pixel, defocus = 4.0, 1.0
    images = sheet_images((96, 768), tilt, pixel, defocus)
    for centre in (-140, 140):
        strip = images[..., 384 + centre - 48 : 384 + centre + 48]
        there = centre * pixel * np.tan(np.deg2rad(tilt)) / 1e4
        zeros = expected_zeros(defocus + there, pixel)
        found, bins = measured_zeros(*strip, zeros)
        assert len(zeros) >= 2
        assert np.abs(np.array(found) - zeros * bins).max() <= 1
        mirrored = expected_zeros(defocus - there, pixel)
        assert abs(found[1] - mirrored[1] * bins) > 2  # the other sign would have been noticed


def test_a_voxel_is_imaged_at_its_own_height():
    """Two points at different heights of an untilted specimen."""
    pixel, images = 4.0, []
    for z in (4, 124):
        density = np.zeros((129, 64, 64), np.float32)
        density[z, 32, 32] = 1
        scope = Microscope(density.shape, pixel, 1.0, Optics())
        images.append(scope.contrast(as_columns(density), 0.0, 0.0, np.zeros(2)))
        expected = 1.0 - (z - 64) * pixel / 1e4  # nearer to the source: less underfocus
        gains = {}
        for defocus in (expected, 2 - expected):
            ctf = contrast_transfer((64, 64), pixel, defocus, Optics()).numpy()
            model = np.fft.fftshift(np.fft.irfft2(ctf, s=(64, 64)))
            gains[defocus] = -np.corrcoef(model.ravel(), images[-1].ravel())[0, 1]
        assert gains[expected] > 0.98
        assert gains[2 - expected] < gains[expected] - 0.02


def test_damage_follows_the_order_of_acquisition(density):
    scheme = TiltScheme(lowest_deg=-40, highest_deg=40, step_deg=20)  # 0, 20, -20, 40, -40
    one = settings(tilts=scheme, dose_e_per_angstrom2=10)
    damaged = image(density, 4.0, one.model_copy(update={"radiation_damage": True}))
    intact = image(density, 4.0, one)
    assert damaged.doses_e_per_angstrom2 == (40, 20, 0, 10, 30)
    radius = frequency_radius(SHAPE[1:], half=True) / 4.0
    for tilt, before in enumerate(damaged.doses_e_per_angstrom2):
        errors = {}
        for dose in (5, 15, 25, 35, 45):
            spectrum = np.fft.rfft2(intact.noise_free[tilt]) * exposure_damping(radius, dose).numpy()
            errors[dose] = np.linalg.norm(np.fft.irfft2(spectrum) - damaged.noise_free[tilt])
        assert min(errors, key=errors.get) == before + 5
        assert errors[before + 5] < 0.05 * np.linalg.norm(intact.noise_free[tilt])


def test_ice_takes_electrons_away(flat):
    series = image(flat, 10.0, settings(ice_thickness_angstrom=1550, dose_e_per_angstrom2=2))
    for tilt, count in zip(series.tilt_angles_deg, series.mean_counts, strict=True):
        assert count == pytest.approx(200 * np.exp(-0.5 / np.cos(np.deg2rad(tilt))), rel=1e-6)
    assert series.mean_counts[0] < series.mean_counts[3]
    upright = image(flat, 10.0, settings(tilts=TiltScheme(lowest_deg=-90, highest_deg=90, step_deg=30)))
    assert min(upright.mean_counts) > 0


def test_counts_are_poisson_and_their_halves_independent():
    expected = np.full((400, 400), 7.0)
    even, odd = count_electrons(expected, np.random.default_rng(0))
    pixels = expected.size
    for counts, mean in ((even, 3.5), (odd, 3.5), (even + odd, 7.0)):
        assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / pixels))
        # The variance of a Poisson variable's sample variance is (2μ² + μ)/n.
        assert counts.var() == pytest.approx(mean, abs=4 * np.sqrt((2 * mean**2 + mean) / pixels))
    assert abs(np.corrcoef(even.ravel(), odd.ravel())[0, 1]) < 4 / np.sqrt(pixels)


def test_detector_blurs_the_signal_and_colours_the_noise():
    detector, shape, mean = Detector(), (256, 256), 20.0
    rng = np.random.default_rng(0)
    signal = 0.2 * rng.standard_normal(shape, dtype=np.float32)
    blurred, even, odd = expose(signal, mean, detector, rng)
    gain = np.abs(np.fft.rfft2(blurred)) / np.abs(np.fft.rfft2(signal))
    f = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None]) / 0.5
    np.testing.assert_allclose(gain, 1 / (1 + 1.5 * f**2), rtol=1e-3)  # MTF(1) = 0.4
    power = np.abs(np.fft.fft2((even + odd) / 2)) ** 2 / signal.size * mean
    for low, high in ((0.05, 0.2), (0.45, 0.55), (0.9, 1.0)):
        ring = np.hypot(*np.meshgrid(*[np.fft.fftfreq(256) / 0.5] * 2))
        ring = ring[(chosen := (ring > low) & (ring < high))]
        expected = ((1 / (1 + 1.5 * ring**2)) ** 2 / (0.9 - 0.5 * ring)).mean()
        assert power[chosen].mean() == pytest.approx(expected, rel=4 / np.sqrt(chosen.sum() / 2))


def test_no_pixel_gets_fewer_than_no_electrons():
    signal, even, odd = expose(np.full((32, 32), -3, np.float32), 50.0, PERFECT, np.random.default_rng(0))
    np.testing.assert_allclose(signal, -1, atol=1e-5)
    assert np.abs(even).max() < 1e-5
    assert np.abs(odd).max() < 1e-5


@pytest.mark.parametrize("snr", [0.03, 2.0])
def test_snr_of_the_reconstruction_is_the_one_asked_for(density, snr):
    series = image(density, 10.0, ImagingSettings(snr=snr, tilts=TiltScheme(step_deg=6)), seed=3)
    volumes = [
        weighted_back_projection(stack, series.tilt_angles_deg, SHAPE[0])
        for stack in (series.noise_free, series.images - series.noise_free)
    ]
    assert volumes[0].var() / volumes[1].var() == pytest.approx(snr, rel=0.05)
    assert series.noise_scale > 0
    # The halves hold half of the electrons each.
    half = weighted_back_projection(series.even - series.noise_free, series.tilt_angles_deg, SHAPE[0])
    assert half.var() == pytest.approx(2 * volumes[1].var(), rel=0.1)


@pytest.mark.parametrize("halves", ["frames", "tilts"])
def test_noise_of_the_halves_is_independent(density, halves):
    draws = []
    for seed in range(24):
        series = image(density[:, :16], 10.0, ImagingSettings(tilts=FEW, halves=halves), seed=seed)
        noises = []
        for half, tilts in ((series.even, series.even_tilts), (series.odd, series.odd_tilts)):
            angles = [series.tilt_angles_deg[t] for t in tilts]
            noise = half - series.noise_free[list(tilts)]
            noises.append(weighted_back_projection(noise, angles, SHAPE[0]).ravel())
        draws.append(np.corrcoef(*noises)[0, 1])
    assert abs(np.mean(draws)) < 4 * np.std(draws, ddof=1) / np.sqrt(len(draws))
    with_itself = np.corrcoef(noises[0], noises[0] + noises[1])[0, 1]
    assert with_itself > 20 * np.std(draws)  # a half that saw the other's frames would be noticed


def test_halves_make_the_whole(density):
    series = image(density, 10.0, settings())
    np.testing.assert_allclose((series.even + series.odd) / 2, series.images, atol=1e-6)
    assert series.even_tilts == series.odd_tilts == tuple(range(7))
    # Counts are whole numbers behind a perfect detector, and those of the halves add up.
    count = np.array(series.mean_counts)[:, None, None]
    for half in (series.even, series.odd):
        electrons = (half + 1) * count / 2
        np.testing.assert_allclose(electrons, np.rint(electrons), atol=0.02)
    by_tilts = image(density, 10.0, settings(halves="tilts"))
    assert (by_tilts.even_tilts, by_tilts.odd_tilts) == ((0, 2, 4, 6), (1, 3, 5))
    np.testing.assert_array_equal(by_tilts.even, by_tilts.images[0::2])
    np.testing.assert_array_equal(by_tilts.odd, by_tilts.images[1::2])


def test_jitter_displaces_the_images(density):
    series = image(density, 10.0, settings(shift_jitter_angstrom=20), seed=5)
    still = image(density, 10.0, settings(), seed=5)
    assert 5 < series.shifts_angstrom.std() < 40
    ky, kx = np.fft.fftfreq(SHAPE[1])[:, None], np.fft.rfftfreq(SHAPE[2])[None]
    low = (np.abs(ky) < 0.05) & (kx < 0.05)
    for moved, one, (y, x) in zip(
        series.noise_free, still.noise_free, series.shifts_angstrom / 10, strict=True
    ):
        shifted = np.fft.rfft2(one) * np.exp(-2j * np.pi * (ky * y + kx * x))
        assert np.abs(np.fft.rfft2(moved) - shifted)[low].max() < 0.15 * np.abs(shifted).max()
    turned = image(density, 10.0, settings(rotation_jitter_deg=3), seed=5)
    assert np.abs(turned.rotations_deg).max() > 0.5
    most = np.abs(turned.rotations_deg).argmax()
    assert 0.5 < np.corrcoef(turned.noise_free[most].ravel(), still.noise_free[most].ravel())[0, 1] < 0.999


def test_same_seed_same_bytes(density):
    first, again, other = (image(density, 10.0, ImagingSettings(tilts=FEW), seed=s) for s in (1, 1, 2))
    assert first.images.tobytes() == again.images.tobytes()
    assert first.images.dtype == np.float32
    assert first.noise_free.tobytes() == other.noise_free.tobytes()
    noises = [(s.images - s.noise_free).ravel() for s in (first, other)]
    assert abs(np.corrcoef(*noises)[0, 1]) < 4 / np.sqrt(noises[0].size / 4)
    assert ImagingSettings.model_validate_json(ImagingSettings(snr=0.1).model_dump_json()).snr == 0.1


@pytest.mark.parametrize(
    "wrong",
    [
        {"dose_e_per_angstrom2": 0},
        {"snr": -1},
        {"halves": "both"},
        {"ice_thickness_angstrom": -5},
        {"defocus": 3},
        {"tilts": {"step_deg": -1}},
        {"detector": {"mtf_at_nyquist": 2}},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        ImagingSettings(**wrong)


def test_specimens_that_cannot_be_imaged_are_refused(flat):
    broken = flat.copy()
    broken[1, 2, 3] = np.nan
    for density, spacing in ((broken, 10.0), (flat[0], 10.0), (flat, 0.0), (flat, np.nan)):
        with pytest.raises(ValueError, match="finite"):
            image(density, spacing)
    with pytest.raises(ValueError, match="signal-to-noise"):
        image(flat, 10.0, ImagingSettings(snr=1, tilts=FEW))


def test_the_user_can_stop(flat):
    class Impatient(SilentProgress):
        def should_stop(self):
            return True

    with pytest.raises(Interrupted):
        image(flat, 10.0, progress=Impatient())
