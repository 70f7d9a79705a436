"""Averages and half sets: wedges fill each other, and halves know nothing of each other's noise."""

import numpy as np
import pytest
import torch
from particles import SIDE, WEIGHTS, blobs, imaged, random_shifts, seen, wedge

from vitreous.averaging import (
    Alignment,
    AverageConfig,
    BoxedParticles,
    SearchConfig,
    WedgeAverage,
    align,
    angles_between,
    low_passed,
    refine_halves,
    starting_halves,
    symmetry_group,
)
from vitreous.fourier.rotations import random_rotations
from vitreous.fourier.turning import whole_spectrum
from vitreous.metrics import band_correlation

COUNT = 40
BAND = (0.05, 0.3)


@pytest.fixture(scope="module")
def truth():
    turns = random_rotations(COUNT, torch.Generator().manual_seed(4))
    return Alignment(turns, random_shifts(COUNT, 1.0), torch.zeros(COUNT).double())


def averaged(boxes, poses, transfer, symmetry="C1"):
    sums = WedgeAverage(SIDE, symmetry)
    sums.add(boxes, poses, transfer)
    return sums.volume().numpy()


def test_an_average_at_true_poses_is_the_particle_and_has_no_wedge(truth):
    boxes = imaged(truth.rotations, truth.shifts_voxel, snr=1e6)
    volume = averaged(boxes, truth, wedge())
    assert band_correlation(volume, blobs().numpy(), BAND) > 0.99
    missing = ~wedge().numpy()
    assert band_correlation(volume, blobs().numpy(), BAND, missing) > 0.98
    # Grey values are kept: a plain mean of turned boxes would have lost what the wedges took.
    contrast = (blobs() - blobs().mean()).numpy().ravel()
    assert volume.ravel() @ contrast / (contrast @ contrast) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("wrong", ["inverse", "shifts the other way"])
def test_wrong_conventions_give_another_particle(truth, wrong):
    boxes = imaged(truth.rotations, truth.shifts_voxel, snr=1e6)
    right = band_correlation(averaged(boxes, truth, wedge()), blobs().numpy(), BAND)
    poses = (
        Alignment(truth.rotations.transpose(1, 2), truth.shifts_voxel, truth.scores)
        if wrong == "inverse"
        else Alignment(truth.rotations, -truth.shifts_voxel, truth.scores)
    )
    assert band_correlation(averaged(boxes, poses, wedge()), blobs().numpy(), BAND) < right - 0.02


def test_a_symmetric_average_has_the_symmetry(truth):
    centres = torch.cat(
        [torch.tensor([[1.0, 5, 2], [-3, 2, 4]]).double() @ g.T for g in symmetry_group("C3")]
    )
    assert len(centres) <= len(WEIGHTS)
    particle = sum(
        blobs(g, centres=torch.tensor([[1.0, 5, 2], [-3, 2, 4]]).double()) for g in symmetry_group("C3")
    )
    one = torch.stack(
        [seen(blobs(centres=torch.tensor([[1.0, 5, 2], [-3, 2, 4]]).double()), wedge((-89.9, 89.9)))]
    )
    identity = Alignment(torch.eye(3).double()[None], torch.zeros(1, 3).double(), torch.zeros(1).double())
    volume = averaged(one, identity, wedge((-89.9, 89.9)), "C3")
    assert band_correlation(volume, particle.numpy(), BAND) > 0.98


def test_the_whole_spectrum_of_a_half():
    volume = torch.randn((8, 8, 8), generator=torch.Generator().manual_seed(0))
    power = torch.fft.rfftn(volume).abs()
    assert torch.allclose(whole_spectrum(power), torch.fft.fftshift(torch.fft.fftn(volume)).abs(), atol=1e-4)


def refined(boxes, reference, rounds=2, done=None):
    particles = BoxedParticles(boxes, wedge(), 10.0)
    start = Alignment(
        torch.eye(3).double().expand(len(boxes), 3, 3).clone(),
        torch.zeros(len(boxes), 3).double(),
        torch.zeros(len(boxes)).double(),
    )
    config = AverageConfig(rounds=rounds, angular_step_deg=20, shift_angstrom=15, low_pass_angstrom=60)
    references = reference.expand(2, -1, -1, -1)
    return list(refine_halves(particles, starting_halves(len(boxes)), references, start, config, done=done))


@pytest.fixture(scope="module")
def rounds(truth):
    return refined(imaged(truth.rotations, truth.shifts_voxel, snr=0.2), blobs())


def test_halves_agree_beyond_what_the_template_showed(rounds, truth):
    last = rounds[-1]
    assert [r.number for r in rounds] == [1, 2]
    assert rounds[0].finest_used_angstrom == 60
    assert last.resolution_angstrom < 50
    assert angles_between(last.poses.rotations, truth.rotations).median() < 5
    beyond = (10 / 55, 0.25)
    assert band_correlation(*last.halves.numpy(), beyond) > 0.4
    assert band_correlation(last.average.numpy(), blobs().numpy(), beyond) > 0.5


def test_noise_gives_no_resolution_beyond_the_template():
    generator = torch.Generator().manual_seed(8)
    noise = torch.stack([seen(torch.randn((SIDE,) * 3, generator=generator), wedge()) for _ in range(24)])
    beyond = (10 / 50, 0.3)
    last = refined(noise, blobs(), rounds=1)[-1]
    assert abs(band_correlation(*last.halves.numpy(), beyond)) < 0.1
    # Aligned to one reference for both at all frequencies the same noise comes to look like it.
    found = align(noise, blobs(), wedge(), SearchConfig(angular_step_deg=20, band=(0.05, 0.3)))
    halves = [averaged(noise[i::2], found.select(torch.arange(i, 24, 2)), wedge()) for i in range(2)]
    assert band_correlation(*halves, beyond) > 0.12


def test_a_run_goes_on_after_any_round(rounds, truth):
    boxes = imaged(truth.rotations, truth.shifts_voxel, snr=0.2)
    again = refined(boxes, blobs(), done=rounds[0])
    assert len(again) == 1
    assert torch.equal(again[0].halves, rounds[1].halves)


def test_low_pass_keeps_what_is_coarse():
    wave = torch.cos(2 * np.pi * torch.arange(32) / 16).expand(32, 32, 32)
    assert torch.allclose(low_passed(wave, 0.1), wave, atol=1e-5)
    assert low_passed(wave, 0.04).abs().max() < 1e-5
