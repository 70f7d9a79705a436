"""Poses of particles that were turned and shifted exactly come back; wrong conventions do not find them."""

import pytest
import torch
from particles import SIDE, blobs, imaged, random_shifts, seen, wedge

from vitreous.averaging import (
    Alignment,
    SearchConfig,
    align,
    angles_between,
    scores_at,
    symmetry_group,
)
from vitreous.averaging.band import make_band, spectra
from vitreous.core import Interrupted, SilentProgress
from vitreous.fourier.rotations import random_rotations
from vitreous.fourier.turning import TurnedSpectrum

SEARCH = SearchConfig(angular_step_deg=20, shift_voxels=2.5, band=(0.02, 0.25))
COUNT = 30


@pytest.fixture(scope="module")
def truth():
    return random_rotations(COUNT, torch.Generator().manual_seed(3)), random_shifts(COUNT, 1.4)


@pytest.fixture(scope="module")
def noisy(truth):
    return imaged(*truth, snr=0.1)


@pytest.fixture(scope="module")
def found(noisy):
    return align(noisy, blobs(), wedge(), SEARCH)


def test_poses_come_back_at_an_snr_of_a_tenth(found, truth):
    angles = angles_between(found.rotations, truth[0])
    assert angles.median() < 5  # degrees; 8 is asked for
    assert (angles < 15).float().mean() >= 0.9
    assert (found.shifts_voxel - truth[1]).norm(dim=1).median() < 0.5  # voxels


def test_without_noise_nearly_exactly(truth):
    clean = imaged(truth[0][:6], truth[1][:6], snr=1e6)
    found = align(clean, blobs(), wedge(), SEARCH.model_copy(update={"refinements": 4}))
    assert angles_between(found.rotations, truth[0][:6]).max() < 1.5
    assert (found.shifts_voxel - truth[1][:6]).norm(dim=1).max() < 0.15
    assert found.scores.min() > 0.97  # the sphere around a particle blurs its spectrum a little


def test_the_inverse_rotation_and_a_mirrored_template_are_wrong(found, noisy, truth):
    assert angles_between(found.rotations.transpose(1, 2), truth[0]).median() > 30
    mirrored = align(noisy, blobs().flip(0).roll(1, 0), wedge(), SEARCH)
    assert (mirrored.scores < found.scores).float().mean() > 0.8


def test_noise_alone_scores_lower(found):
    generator = torch.Generator().manual_seed(9)
    noise = torch.stack([seen(torch.randn((SIDE,) * 3, generator=generator), wedge()) for _ in range(COUNT)])
    empty = align(noise, blobs(), wedge(), SEARCH)
    assert empty.scores.max() < found.scores.quantile(0.1)


def test_scores_at_poses_are_those_that_the_search_gave_them(found, noisy):
    assert torch.allclose(scores_at(noisy, blobs(), wedge(), found, SEARCH), found.scores, atol=1e-5)
    assert len(scores_at(noisy[:0], blobs(), wedge(), found.select(torch.arange(0)), SEARCH)) == 0


def test_other_noise_does_not_fit_poses_that_noise_chose():
    """Means within four standard errors of zero where nothing was searched, and far above it where it was."""
    generator = torch.Generator().manual_seed(10)
    first, second = (
        torch.stack([seen(torch.randn((SIDE,) * 3, generator=generator), wedge()) for _ in range(COUNT)])
        for _ in range(2)
    )
    poses = align(first, blobs(), wedge(), SEARCH)
    scores = scores_at(second, blobs(), wedge(), poses, SEARCH)
    error = float(scores.std()) / COUNT**0.5
    assert abs(float(scores.mean())) < 4 * error
    assert float(poses.scores.mean()) > 8 * error


def test_only_what_was_measured_is_compared(truth):
    narrow = imaged(truth[0][:10], truth[1][:10], snr=1e6, tilt_range=(-40, 40))
    aware = align(narrow, blobs(), wedge((-40, 40)), SEARCH)
    unaware = align(narrow, blobs(), torch.ones_like(wedge()), SEARCH)
    assert aware.scores.min() > 0.95
    assert unaware.scores.max() < 0.9
    assert unaware.scores.std() > 2 * aware.scores.std()  # it depends on the orientation


def test_a_local_search_stays_near(noisy, truth):
    turn = random_rotations(1, torch.Generator().manual_seed(0))[0]
    start = Alignment(truth[0], truth[1], torch.zeros(COUNT))
    local = SearchConfig(angular_step_deg=6, reach_deg=12, shift_voxels=1.0, refinements=2)
    near = align(noisy, blobs(), wedge(), local, start=start)
    assert angles_between(near.rotations, truth[0]).median() < 5
    assert (near.shifts_voxel - truth[1]).norm(dim=1).max() <= 1.0 + 1e-6
    wrong = Alignment(truth[0] @ turn, truth[1], torch.zeros(COUNT))
    far = align(noisy, blobs(), wedge(), local, start=wrong)
    assert angles_between(far.rotations, wrong.rotations).max() <= 12 + 1e-3


def test_no_search_leaves_the_spheres_it_is_given(noisy, truth):
    within = (torch.ones(COUNT, 3), 2.0)
    start = Alignment(truth[0], torch.zeros(COUNT, 3), torch.zeros(COUNT))
    for search in (SEARCH, SEARCH.model_copy(update={"reach_deg": 40.0})):
        found = align(noisy, blobs(), wedge(), search, start=start, within=within)
        assert (found.shifts_voxel - within[0]).norm(dim=1).max() <= 2.0 + 1e-6
        assert found.shifts_voxel.norm(dim=1).max() <= 2.5 + 1e-6


def test_symmetric_templates_need_fewer_orientations(truth):
    centres = torch.cat(
        [(torch.tensor([[1.0, 5, 2], [-3, 2, 4]]).double() @ g.T) for g in symmetry_group("C3")]
    )
    template = blobs(centres=centres)
    clean = torch.stack([seen(blobs(r, centres=centres), wedge()) for r in truth[0][:8]])
    search = SEARCH.model_copy(update={"symmetry": "C3", "shift_voxels": 0.0})
    found = align(clean, template, wedge(), search)
    assert angles_between(found.rotations, truth[0][:8], "C3").max() < 3
    assert angles_between(found.rotations, truth[0][:8]).max() > 90


def test_a_turned_template_has_the_transform_of_the_turned_particle(truth):
    band = make_band(SIDE, (0.0, 0.25), torch.ones(SIDE, SIDE, SIDE // 2 + 1))
    expected = spectra(torch.stack([blobs(r) for r in truth[0][:5]]), band)
    turned = TurnedSpectrum(blobs()).at(truth[0][:5], band.frequencies)
    error = (turned - expected).abs().square().sum() / expected.abs().square().sum()
    assert error.sqrt() < 0.02


def test_nothing_to_align_and_what_does_not_fit():
    assert len(align(torch.zeros(0, SIDE, SIDE, SIDE), blobs(), wedge())) == 0
    with pytest.raises(ValueError, match="do not fit"):
        align(torch.zeros(2, 16, 16, 16), blobs(), wedge())
    with pytest.raises(ValueError, match="orientations to start from"):
        align(torch.zeros(1, SIDE, SIDE, SIDE), blobs(), wedge(), SearchConfig(reach_deg=10))


def test_it_can_be_stopped(noisy):
    class Stopping(SilentProgress):
        def should_stop(self):
            return True

    with pytest.raises(Interrupted):
        align(noisy[:2], blobs(), wedge(), SEARCH, progress=Stopping())
