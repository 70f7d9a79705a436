"""The rotation applied to a density is the one its pose states: blobs land where R·p + t says."""

import numpy as np
import pytest
import scipy.ndimage as ndi

from vitreous.core import Template
from vitreous.simulate.rotation import make_turnable, random_rotation, turn

BLOBS = np.array([[0.0, 0, 9], [0, -7, 0], [5, 0, 0], [-6, 4, -5]])  # zyx voxels from the centre; chiral


def blob_template(centres=BLOBS, side=31, sigma=1.2):
    grid = np.stack(np.meshgrid(*[np.arange(side) - side // 2] * 3, indexing="ij"), axis=-1)
    density = sum(np.exp(-((grid - c) ** 2).sum(axis=-1) / (2 * sigma**2)) for c in centres)
    density[density < 1e-4] = 0
    return Template("blobs", density.astype(np.float32), 10.0)


def centroids(density, expected, radius=3):
    """Centre of mass around each expected place, both from the array's centre."""
    grid = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in density.shape], indexing="ij"), axis=-1)
    near = [((grid - e) ** 2).sum(axis=-1) <= radius**2 for e in expected]
    return np.array([np.average(grid[n], axis=0, weights=density[n] + 1e-12) for n in near])


@pytest.mark.parametrize("seed", range(5))
def test_blobs_land_where_the_pose_says(seed):
    rng = np.random.default_rng(seed)
    rotation, shift = random_rotation(rng), rng.uniform(-0.5, 0.5, size=3)
    turned = turn(make_turnable(blob_template()), rotation, shift)
    expected = BLOBS @ rotation.T + shift
    assert np.abs(centroids(turned, expected) - expected).max() < 0.1
    for wrong in (
        BLOBS @ rotation + shift,
        BLOBS @ rotation.T * [1, 1, -1] + shift,
        BLOBS @ rotation.T - shift,
    ):
        assert np.abs(centroids(turned, wrong) - wrong).max() > 0.1


def test_identity_returns_the_template_and_turning_keeps_its_mass():
    template = blob_template()
    turnable = make_turnable(template)
    same = turn(turnable, np.eye(3), np.zeros(3))
    grown = (turnable.side - template.side) // 2
    assert grown >= 0
    np.testing.assert_allclose(same, np.pad(template.density, grown), atol=2e-3)
    mass = turn(turnable, random_rotation(np.random.default_rng(1)), np.zeros(3)).sum()
    assert mass == pytest.approx(template.density.sum(), rel=5e-3)


def test_ringing_is_clipped_and_what_reaches_into_the_corners_is_kept():
    side = 15
    density = np.zeros((side,) * 3, np.float32)
    density[7, 7, 7] = 1.0  # as sharp as can be: splines overshoot
    density[1, 1, 1] = 1.0  # in the corner: the rotated cube must be larger than the template
    turnable = make_turnable(Template("points", density, 1.0))
    turned = turn(turnable, random_rotation(np.random.default_rng(0)), np.full(3, 0.3))
    assert turned.min() == 0
    assert turned.max() <= 1
    assert turnable.side > side
    assert ndi.label(turned > 0.1)[1] == 2


def test_random_rotations_are_proper_and_uniform():
    rng = np.random.default_rng(0)
    rotations = np.array([random_rotation(rng) for _ in range(4000)])
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (4000, 3, 3)), atol=1e-12
    )
    assert np.linalg.det(rotations).min() > 0.999
    # Uniform: entries have mean 0 and mean square 1/3, whose own deviation is sqrt(4/45); 4 standard errors.
    assert np.abs(rotations.mean(axis=0)).max() < 4 * np.sqrt(1 / 3 / 4000)
    assert np.abs((rotations**2).mean(axis=0) - 1 / 3).max() < 4 * np.sqrt(4 / 45 / 4000)


@pytest.mark.parametrize("density", [np.zeros((5, 5, 5)), np.full((5, 5, 5), np.nan), -np.ones((5, 5, 5))])
def test_a_template_without_density_is_refused(density):
    with pytest.raises(ValueError, match="no finite positive density"):
        make_turnable(Template("nothing", density.astype(np.float32), 1.0))
