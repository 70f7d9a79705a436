"""Decoys keep what they say they keep; agreement beyond the search is no chance."""

import numpy as np
import pytest
import scipy.fft

from vitreous.core import Template
from vitreous.evidence import detail_beyond, mirror_image, slab_of
from vitreous.fourier import frequency_radius
from vitreous.metrics import phase_randomized
from vitreous.simulate import bead_model, template_from_beads

SPACING = 10.0


@pytest.fixture(scope="module")
def density():
    template = template_from_beads(bead_model("phantom:26s"), SPACING)
    return template.density


def ball(shape):
    """A soft mask of two fifths of the box."""
    radius = np.linalg.norm(np.indices(shape) - np.array(shape)[:, None, None, None] // 2, axis=0)
    return np.clip(0.4 * shape[0] / 2 - radius + 0.5, 0, 1).astype(np.float32)


def spectrum(volume):
    return np.abs(scipy.fft.rfftn(volume))


def test_random_phases_keep_the_spectrum_and_nothing_else(density):
    other = phase_randomized(density, np.random.default_rng(0))
    assert np.allclose(spectrum(other), spectrum(density), atol=1e-3 * spectrum(density).max())
    assert abs(np.corrcoef(other.ravel(), density.ravel())[0, 1]) < 0.75  # the mean and lowest shells remain


def test_phases_up_to_a_frequency_can_be_kept(density):
    kept = SPACING / 60
    other = phase_randomized(density, np.random.default_rng(0), kept)
    same = frequency_radius(density.shape, half=True).numpy() <= kept
    first, second = (scipy.fft.rfftn(v)[same] for v in (density, other))
    assert np.allclose(first, second, atol=1e-3 * np.abs(first).max())
    assert not np.allclose(other, density, atol=0.1 * density.max())


def test_a_mirror_image_twice_is_the_structure(density):
    assert np.array_equal(mirror_image(mirror_image(density)), density)
    assert not np.array_equal(mirror_image(density), density)


def test_a_membrane_has_two_leaflets(density):
    slab = slab_of(Template("any", np.zeros((41, 41, 41), np.float32), 5.0)).density
    profile = slab[:, 20, 20]
    peaks = [i for i in range(1, 40) if profile[i] > profile[i - 1] and profile[i] >= profile[i + 1]]
    assert len(peaks) == 2
    assert (peaks[1] - peaks[0]) * 5.0 == pytest.approx(40, abs=10)  # to a voxel either side


@pytest.mark.parametrize("seed", range(3))
def test_true_detail_is_told_from_none(density, seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.1 * density.std(), density.shape).astype(np.float32)
    settings = {"mask": ball(density.shape), "voxel_spacing_angstrom": SPACING, "draws": 99}
    right = detail_beyond(density + noise, density, band_angstrom=(60.0, 25.0), rng=rng, **settings)
    assert right.p_value == 0.01  # none of 99 random ones agrees as well


def test_an_average_with_detail_of_its_own_alone_has_uniform_p_values(density):
    """Averages that only share what was searched with: p is below 0.1 in about a tenth of them."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(60):
        average = phase_randomized(density, rng, SPACING / 60)
        mask = np.ones_like(density)
        found = detail_beyond(average, density, mask, SPACING, (60.0, 25.0), rng, draws=19)
        values.append(found.p_value)
    assert np.mean(np.array(values) <= 0.1) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 60)


def test_noise_in_a_mask_has_uniform_p_values(density):
    """A mask makes neighbours in Fourier space alike, and chance has to be as much alike."""
    rng = np.random.default_rng(1)
    trials, values = 80, []
    for _ in range(trials):
        average = rng.normal(size=density.shape).astype(np.float32)
        found = detail_beyond(average, density, ball(density.shape), SPACING, (60.0, 20.0), rng, draws=39)
        values.append(found.p_value)
    low = np.mean(np.array(values) <= 0.1)
    assert abs(low - 0.1) <= 3 * np.sqrt(0.1 * 0.9 / trials)


@pytest.mark.parametrize(("spacing", "band"), [(30.0, (60.0, 50.0)), (20.0, (47.0, 30.0))])
def test_a_band_too_narrow_to_see_anything_in_says_nothing(density, spacing, band):
    assert detail_beyond(density, density, density, spacing, band, np.random.default_rng(0)) is None
