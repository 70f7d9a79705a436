"""Difference of Gaussians: the size it finds, the coarse grid, faces, spacing, polarity, noise."""

import numpy as np
import pytest
import scipy.ndimage as ndi
from scipy.spatial import cKDTree
from scipy.stats import chi
from skimage.feature import blob_dog

from vitreous.core import Interrupted, SilentProgress, measure_voxels
from vitreous.picking import DogConfig, blob_diameter, dog_bytes, pick_blobs
from vitreous.picking.score_map import difference_of_gaussians, grid_steps

SPACING = (10.0, 10.0, 10.0)
EVERYTHING = {"threshold": 0.0, "count": 10**6}


def balls(shape, centres_angstrom, diameter, spacing=SPACING):
    """Dark balls of contrast 1, their edges one voxel soft."""
    grid = np.stack(
        np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij"), -1
    )
    volume = np.zeros(shape, np.float32)
    for centre in centres_angstrom:
        radius = np.linalg.norm(grid - centre, axis=-1)
        volume -= np.clip((diameter / 2 - radius) / max(spacing) + 0.5, 0, 1).astype(np.float32)
    return volume


def score_map(data, sigma=8.0, ratio=1.1):
    sigmas = ((sigma,) * 3, (ratio * sigma,) * 3)
    constants = measure_voxels(data).normalization
    return difference_of_gaussians(data, constants, sigmas, bright=False, progress=SilentProgress())


def test_the_papers_sigma_suits_a_ribosome():
    assert blob_diameter(80.0, 1.1) == pytest.approx(290.4, abs=0.1)


@pytest.mark.parametrize("ratio", [1.02, 1.1, 1.6])
def test_the_response_to_balls_is_largest_at_the_stated_diameter(ratio):
    radii = np.linspace(0.5, 4, 3001)
    response = chi(3).cdf(radii) - chi(3).cdf(radii / ratio)
    assert 2 * radii[response.argmax()] == pytest.approx(blob_diameter(1.0, ratio), abs=0.005)


def test_of_balls_in_one_volume_the_stated_diameter_scores_highest():
    diameters = [120, 160, 200, 240, 280]
    centres = [(250.0, 250.0, 250.0 + 500 * i) for i in range(5)]
    volume = sum(balls((50, 50, 250), [c], d) for c, d in zip(centres, diameters, strict=True))
    found = pick_blobs(volume, SPACING, DogConfig.for_diameter(200, **EVERYTHING)).picks
    scores = [found.scores[cKDTree(found.positions_angstrom).query(c)[1]] for c in centres]
    assert np.argmax(scores) == diameters.index(200)


def test_picks_are_those_of_scikit_image():
    rng = np.random.default_rng(0)
    centres = [(z, y, x) for z in (160, 480) for y in (160, 480) for x in (160, 480)]
    volume = balls((64, 64, 64), centres, 180) + rng.normal(size=(64,) * 3).astype(np.float32)
    config = DogConfig.for_diameter(180, count=8)
    ours = pick_blobs(volume, SPACING, config).picks.positions_angstrom / 10
    sigma = config.sigma_angstrom / 10
    theirs = blob_dog(-volume, sigma, sigma, sigma_ratio=1.1, threshold=None, threshold_rel=0.5)[:, :3]
    distances, partners = cKDTree(theirs).query(ours)
    assert len(theirs) == 8
    assert len(set(partners)) == 8
    # scikit-image rounds to whole voxels: half a voxel along each axis.
    assert distances.max() < 1.0


def test_the_coarse_grid_loses_nothing():
    data = np.random.default_rng(1).normal(size=(90, 96, 102)).astype(np.float32)
    found = score_map(data)
    assert found.steps == (3, 3, 3)
    constants = measure_voxels(data).normalization
    wide, narrow = (ndi.gaussian_filter(constants.apply(data), s, truncate=8) for s in (8.8, 8.0))
    inner = (slice(13, -13),) * 3  # 40 voxels and more from the faces
    expected = (wide - narrow)[::3, ::3, ::3][inner]
    ours = found.values[inner] * (expected.std() / found.values[inner].std())
    assert np.abs(ours - expected).max() < 1e-3 * expected.std()


def test_white_noise_is_even_up_to_the_faces():
    deviations = []
    for seed in range(6):
        values = score_map(
            np.random.default_rng(seed).normal(size=(60, 60, 200)).astype(np.float32), 4.0
        ).values
        deviations.append([values[:, :, 0].std(), values[0].std(), values.std()])
    # About 600 independent values on a face: 5 % for six volumes is more than four standard errors.
    np.testing.assert_allclose(np.mean(deviations, axis=0), 1.0, atol=0.07)


def test_reflection_at_the_faces_would_make_noise_uneven():
    noise = np.random.default_rng(0).normal(size=(60, 60, 200)).astype(np.float32)
    wide, narrow = (ndi.gaussian_filter(noise, s, mode="reflect") for s in (4.4, 4.0))
    values = wide - narrow
    assert values[:, :, 0].std() > 1.2 * values[:, :, 20:-20].std()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_slope_of_the_ice_leaves_nothing(axis, sign):
    ramp = np.linspace(0, sign, 60, dtype=np.float32)
    volume = np.broadcast_to(ramp.reshape([-1 if i == axis else 1 for i in range(3)]), (60, 60, 60))
    scores = score_map(volume).values
    # In units of what noise as strong as the whole ramp would give; reflection gives 30 at the faces.
    assert np.abs(scores).max() < 0.02


@pytest.mark.parametrize("spacing", [(10.0, 10.0, 10.0), (21.7, 21.7, 21.7), (20.0, 10.0, 14.0)])
def test_positions_do_not_depend_on_the_voxels(spacing):
    centres = np.array([(400.0, 400.0, 400.0), (700.0, 1000.0, 800.0)])
    shape = tuple(int(e / s) for e, s in zip((1200, 1500, 1300), spacing, strict=True))
    found = pick_blobs(balls(shape, centres, 290, spacing), spacing, DogConfig(count=2)).picks
    distances = cKDTree(found.positions_angstrom).query(centres)[0]
    assert distances.max() < 3.0  # Å


def test_scores_do_not_depend_on_grey_values_and_polarity_is_asked_for():
    rng = np.random.default_rng(3)
    volume = balls((60, 80, 80), [(300, 400, 400)], 290) + rng.normal(size=(60, 80, 80)).astype(np.float32)
    dark = pick_blobs(volume, SPACING, DogConfig())
    bright = pick_blobs(1000 - 50 * volume, SPACING, DogConfig(bright=True))
    np.testing.assert_allclose(bright.picks.scores, dark.picks.scores, rtol=1e-3)
    np.testing.assert_allclose(bright.picks.positions_angstrom, dark.picks.positions_angstrom, atol=0.1)
    wrong = pick_blobs(volume, SPACING, DogConfig(bright=True))
    assert dark.picks.scores[0] > 8
    assert dark.skewness > 0.4
    assert wrong.skewness < -0.4


def test_noise_alone_passes_the_threshold_rarely():
    counts, weaker = [], []
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=(60, 128, 128)).astype(np.float32)
        found = pick_blobs(noise, SPACING, DogConfig())
        counts.append(len(found.picks))
        weaker.append(int((found.candidates > 2).sum()))
    # Two were measured in the five million voxels; with a threshold of 2 there are dozens.
    assert sum(counts) <= 5
    assert sum(weaker) > 50


def test_voxels_that_are_not_numbers_count_as_the_mean():
    centres = [(300, 300, 300), (300, 900, 900)]
    volume = balls((60, 120, 120), centres, 290)
    volume += np.random.default_rng(0).normal(size=volume.shape, scale=0.5).astype(np.float32)
    expected = pick_blobs(volume, SPACING, DogConfig(count=2)).picks
    volume[::7, ::5, ::3] = np.nan
    volume[5, 5, 5] = np.inf
    found = pick_blobs(volume, SPACING, DogConfig(count=2)).picks
    assert np.isfinite(found.scores).all()
    assert cKDTree(found.positions_angstrom).query(expected.positions_angstrom)[0].max() < 5.0


def test_the_mask_decides_by_the_centre():
    volume = balls((60, 60, 160), [(300, 300, 400), (300, 300, 1200)], 290)
    volume += np.random.default_rng(0).normal(size=volume.shape, scale=0.3).astype(np.float32)
    mask = np.zeros(volume.shape, bool)
    mask[:, :, 80:] = True
    found = pick_blobs(volume, SPACING, DogConfig(), mask=mask).picks
    assert len(found) == 1
    assert found.positions_angstrom[0, 2] == pytest.approx(1200, abs=10)


@pytest.mark.parametrize(
    ("shape", "config", "words"),
    [
        ((20, 60, 60), DogConfig(), "shorter than a particle of 290"),
        ((60, 60, 60), DogConfig.for_diameter(30), "too small for voxels"),
        ((60, 60, 60), DogConfig(), "all its voxels are equal"),
    ],
)
def test_what_cannot_be_picked_is_said(shape, config, words):
    with pytest.raises(ValueError, match=words):
        pick_blobs(np.ones(shape, np.float32), SPACING, config)


def test_an_empty_mask_is_refused():
    noise = np.random.default_rng(0).normal(size=(60, 60, 60))
    with pytest.raises(ValueError, match="no finite voxel"):
        pick_blobs(noise, SPACING, DogConfig(), mask=np.zeros((60, 60, 60), bool))


def test_it_can_be_stopped():
    class Stop(SilentProgress):
        def should_stop(self):
            return True

    with pytest.raises(Interrupted):
        pick_blobs(np.random.default_rng(0).normal(size=(60, 60, 60)), SPACING, DogConfig(), progress=Stop())


def test_memory_follows_the_coarse_grid():
    shape = (200, 928, 960)
    assert grid_steps((8.0,) * 3) == (3, 3, 3)
    assert dog_bytes(shape, SPACING, DogConfig()) < 4 * np.prod(shape)  # less than the volume once
