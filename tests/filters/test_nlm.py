"""Non-local means against loops, against scikit-image, and what it is good for."""

from itertools import product

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_nl_means

from vitreous.filters import gaussian, nlm


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def step(shape=(20, 22, 24), height=3.0):
    return noise(shape) + height * (np.arange(shape[0]) > 9)[:, None, None]


def reference(volume, tolerance, deviation, side, radius):
    """One voxel and one shift at a time."""
    low, high = radius + (side - 1) // 2, radius + side // 2
    padded = np.pad(volume, (low, high), mode="reflect")
    out = np.empty(volume.shape)

    def patch(z, y, x):
        return padded[tuple(slice(c + radius, c + radius + side) for c in (z, y, x))]

    for here in product(*map(range, volume.shape)):
        total, weights = 0.0, 0.0
        for shift in product(range(-radius, radius + 1), repeat=3):
            there = tuple(a + s for a, s in zip(here, shift, strict=True))
            excess = np.mean((patch(*here) - patch(*there)) ** 2) - 2 * deviation**2
            weight = 1.0 if shift == (0, 0, 0) else np.exp(-max(excess, 0) / tolerance**2)
            total += weight * padded[tuple(c + low for c in there)]
            weights += weight
        out[here] = total / weights
    return out


@pytest.mark.parametrize(
    ("side", "radius", "deviation"), [(3, 1, 0.0), (5, 1, 0.7), (2, 2, 0.4), (1, 1, 0.0)]
)
def test_against_loops(side, radius, deviation):
    volume = noise((3, 5, 4))
    settings = {"patch_side": side, "search_radius": radius, "noise_deviation": deviation}
    ours = nlm(torch.from_numpy(volume), tolerance=0.8, **settings).numpy()
    expected = reference(volume, 0.8, deviation, side, radius)
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    wrong = nlm(torch.from_numpy(volume), tolerance=0.9, **settings).numpy()
    assert np.abs(wrong - expected).max() > 1e-3


@pytest.mark.parametrize(("h", "sigma"), [(0.8, 1.0), (0.8, 0.0), (1.5, 0.5)])
def test_against_scikit_image(h, sigma):
    """Its weights come from an approximate exponential: 0.03 noise deviations of tolerance, inside.

    Its patches of side 3 are 2 voxels wide and their squares are divided by 27 (see `nlm`).
    """
    volume, inside = step(), (slice(7, -7),) * 3
    theirs = denoise_nl_means(volume, patch_size=3, patch_distance=2, h=h, sigma=sigma, fast_mode=True)
    settings = {"noise_deviation": sigma, "search_radius": 2}
    ours = nlm(torch.from_numpy(volume), tolerance=h * 1.5**1.5, patch_side=2, **settings).numpy()
    assert np.abs(ours - theirs)[inside].max() < 0.03
    wrong = nlm(torch.from_numpy(volume), tolerance=h, patch_side=3, **settings).numpy()
    assert np.abs(wrong - theirs)[inside].max() > 0.3


def test_keeps_an_edge_and_removes_more_noise_than_a_gaussian_that_keeps_it_as_well():
    volume, clean = step((24, 24, 24), 5.0), step((24, 24, 24), 5.0) - noise((24, 24, 24))
    ours = nlm(torch.from_numpy(volume), tolerance=0.6, noise_deviation=1.0).numpy()
    edge, flat = (slice(9, 11), slice(4, -4), slice(4, -4)), (slice(14, 20), slice(4, -4), slice(4, -4))
    smooth = gaussian(volume, sigma=0.5)
    assert (
        abs((ours - clean)[edge].mean(axis=(1, 2))).max()
        < abs((smooth - clean)[edge].mean(axis=(1, 2))).max()
    )
    assert ours[flat].std() < 0.5 * smooth[flat].std()


def test_batches_thin_volumes_and_constants():
    volumes = torch.from_numpy(noise((2, 2, 3, 7, 8))).float()
    together = nlm(volumes, tolerance=0.7)
    assert (together[1, 1] - nlm(volumes[1, 1], tolerance=0.7)).abs().max() < 1e-6
    constant = torch.full((3, 8, 9), 7.5)
    assert torch.equal(nlm(constant, tolerance=0.0), constant)
    assert torch.equal(nlm(constant, tolerance=2.0, noise_deviation=1.0), constant)


def test_the_input_is_left_alone():
    volume = torch.from_numpy(noise((8, 9, 10)))
    before = volume.clone()
    assert not torch.equal(nlm(volume, tolerance=1.0), before)
    assert torch.equal(volume, before)
