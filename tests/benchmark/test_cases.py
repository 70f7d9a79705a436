"""Cases: noise of the level, kind and geometry that a table says it has."""

from dataclasses import replace

import numpy as np
import pytest

from vitreous.benchmark.cases import CASES, WEDGE, CaseKind, counting_noise, make_case
from vitreous.benchmark.specimens import Specimen
from vitreous.fourier import measured_region

SMALL = (48, 48, 48)
SPECIMEN = Specimen(0.1)


def small(noise, level, tilt_range_deg=None):
    return CaseKind("small", SPECIMEN, noise, level, tilt_range_deg, SMALL)


@pytest.mark.parametrize("noise", ["white", "wedge", "mixture"])
def test_noise_has_its_share_of_the_range(noise):
    case = make_case(small(noise, 0.2, WEDGE if noise == "wedge" else None), 5)
    share = case.noise.std() / case.data_range
    # 48³ voxels: 0.2 % standard error; in the mixture matter has less.
    assert share == pytest.approx(0.2, rel=0.1 if noise == "mixture" else 0.02)


@pytest.mark.parametrize("noise", ["wbp", "ctf"])
def test_reconstructed_noise_is_a_multiple_of_the_signal(noise):
    case = make_case(small(noise, 4.0, WEDGE), 5)
    assert case.noise.std() / case.clean.std() == pytest.approx(4, rel=0.05)


def test_halves_have_independent_noise_of_twice_the_variance():
    case = make_case(small("white", 0.2), 5)
    first, second = (half - case.clean for half in case.halves)
    assert np.allclose((first + second) / 2, case.noise, atol=1e-6 * case.data_range)
    assert first.var() / case.noise.var() == pytest.approx(2, rel=0.03)
    # Four standard errors of a correlation of 48³ independent pairs.
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / 48**1.5


def test_noise_in_the_wedge_stays_in_the_wedge():
    case = make_case(small("wedge", 0.2, (-40, 40)), 5)
    missing = ~measured_region(SMALL, (-40, 40)).numpy()
    power = np.abs(np.fft.fftn(case.noise)) ** 2
    assert power[missing].sum() < 1e-9 * power.sum()


def test_white_noise_on_a_wedge_fills_the_wedge():
    case = make_case(small("white", 0.2, (-40, 40)), 5)
    missing = ~measured_region(SMALL, (-40, 40)).numpy()
    power = np.abs(np.fft.fftn(case.noise)) ** 2
    assert power[missing].mean() / power.mean() == pytest.approx(1, rel=0.05)
    assert (np.abs(np.fft.fftn(case.clean)) ** 2)[missing].sum() < 1e-6 * (
        np.abs(np.fft.fftn(case.clean)) ** 2
    ).sum()


def test_counting_noise_falls_where_matter_is_dense():
    clean = np.zeros((64, 64, 64), np.float32)
    clean[:32] = 1
    clean[:16] = 0.75
    noise = counting_noise(clean, 0.02, np.random.default_rng(0))
    assert noise[32:].var() == pytest.approx(1, rel=0.03)
    assert noise[:16].var() == pytest.approx(0.25, rel=0.03)
    assert noise[16:32].var() == 0
    assert noise[32:].mean() == pytest.approx(0, abs=4 / (32 * 64 * 64) ** 0.5)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    kind = small("white", 0.2)
    first = make_case(kind, 5).noisy.tobytes()
    make_case.cache_clear()
    assert make_case(kind, 5).noisy.tobytes() == first
    assert make_case(kind, 6).noisy.tobytes() != first


def test_the_crowded_case_leaves_no_empty_region():
    kind = replace(CASES["crowded"], shape=(64, 64, 64))
    assert make_case(kind, 5).ground.density.shape == (64, 64, 64)
    # Occupancy counted where the density exceeds a quarter of a particle's maximum; 0.3 in the full box.
    assert make_case(kind, 5).ground.inside.mean() > 0.2
