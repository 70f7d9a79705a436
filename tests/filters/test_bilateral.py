"""The bilateral filters against plain loops (1e-6), on constants and at edges."""

from itertools import product
from math import exp, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from vitreous.filters import bilateral, improved_bilateral, variance_removed
from vitreous.filters.bilateral import laplacian_gradient, neighbour_spread

AXES = np.eye(3, dtype=int)


def at(volume, place):
    """A voxel of a volume whose edges are replicated."""
    return volume[tuple(min(max(int(p), 0), n - 1) for p, n in zip(place, volume.shape, strict=True))]


def loop_laplacian(volume):
    found = np.zeros_like(volume)
    for place in product(*map(range, volume.shape)):
        around = sum(at(volume, place + s * axis) for axis in AXES for s in (-1, 1))
        found[place] = around - 6 * at(volume, place)
    return found


def loop_sobel(volume):
    found, smooth = np.zeros_like(volume), {-1: 1, 0: 2, 1: 1}
    for place in product(*map(range, volume.shape)):
        squares = 0.0
        for axis in range(3):
            slope = 0.0
            for shift in product((-1, 0, 1), repeat=3):
                weight = np.prod([s if a == axis else smooth[s] for a, s in enumerate(shift)])
                slope += weight * at(volume, np.add(place, shift))
            squares += slope**2
        found[place] = sqrt(squares)
    return found


def loop_filter(volume, domain, span, guides, radius=1):
    """Vox-uda eqs 8 and 13 as they stand, voxel by voxel."""
    found = np.zeros_like(volume)
    for place in product(*map(range, volume.shape)):
        total = weights = 0.0
        for shift in product(range(-radius, radius + 1), repeat=3):
            other = np.add(place, shift)
            apart = sum((at(g, place) - at(g, other)) ** 2 for g in guides)
            weight = exp(-sum(s * s for s in shift) / (2 * domain**2)) * exp(-apart / (2 * span**2))
            total += weight * at(volume, other)
            weights += weight
        found[place] = total / weights
    return found


def loop_gradient(delta):
    shape = delta.shape
    return [
        np.array([at(delta, p + a) - at(delta, p - a) for p in product(*map(range, shape))]).reshape(shape)
        for a in AXES
    ]


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize(("operator", "loop"), [("laplacian", loop_laplacian), ("sobel", loop_sobel)])
@pytest.mark.parametrize(("domain", "span"), [(120, 1.2), (0.7, 8.0)])
def test_improved_filter_is_the_loop(operator, loop, domain, span):
    volumes = noise(2, 5, 6, 4)
    ours = improved_bilateral(volumes, spatial_sigma=domain, range_sigma=span, operator=operator)
    for mine, volume in zip(ours, volumes.numpy(), strict=True):
        expected = loop_filter(volume, domain, span, loop_gradient(loop(volume)))
        np.testing.assert_allclose(mine.numpy(), expected, atol=1e-6)
    by_value = bilateral(volumes, spatial_sigma=domain, range_sigma=span, radius=1)
    assert float((ours - by_value).abs().max()) > 1e-2  # another likeness is another filter


def test_plain_filter_is_the_loop():
    volume = noise(5, 4, 6)
    ours = bilateral(volume, spatial_sigma=0.9, range_sigma=1.2, radius=1)
    expected = loop_filter(volume.numpy(), 0.9, 1.2, [volume.numpy()])
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6)


def test_gradient_of_the_laplacian_of_a_cube_of_z():
    """Δ z³ = 6z, and the difference over two voxels is 12, away from the faces."""
    z = torch.arange(9.0, dtype=torch.float64).reshape(-1, 1, 1).expand(9, 7, 7)
    along, *others = laplacian_gradient(z**3)
    assert torch.allclose(along[3:-3, 2:-2, 2:-2], torch.tensor(12.0, dtype=torch.float64))
    assert all(torch.equal(o[3:-3], torch.zeros_like(o[3:-3])) for o in others)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(-50, 50), st.floats(0.1, 20), st.booleans())
def test_properties(seed, offset, factor, relative):
    """Constants stay, an offset passes through, results stay in range, a batch is its volumes."""
    kind = {"spatial_sigma": 120, "range_sigma": 2.0, "relative": relative}
    volumes = noise(2, 4, 5, 6, seed=seed)
    ours = improved_bilateral(volumes, **kind)
    assert torch.allclose(improved_bilateral(volumes + offset, **kind), ours + offset, atol=1e-9)
    assert torch.allclose(improved_bilateral(volumes[0], **kind), ours[0], atol=1e-12)
    assert float(volumes.min()) - 1e-9 < float(ours.min()) <= float(ours.max()) < float(volumes.max()) + 1e-9
    constant = torch.full((1, 4, 4, 4), offset, dtype=torch.float64)
    assert torch.allclose(improved_bilateral(constant, **kind), constant, atol=1e-12)
    if relative:  # each volume has its own scale
        assert torch.allclose(improved_bilateral(factor * volumes, **kind), factor * ours, atol=1e-9)


def test_spread_is_that_of_the_differences():
    """Of white noise of unit deviation √2, to 2 % at 32³; a few outliers change nothing."""
    volume = noise(32, 32, 32)
    assert float(neighbour_spread([volume])) == pytest.approx(sqrt(2), rel=0.02)
    volume[::8, ::8, ::8] += 100
    assert float(neighbour_spread([volume])) == pytest.approx(sqrt(2), rel=0.05)


def noisy_ball(snr, side=32):
    z, y, x = np.indices((side,) * 3) - (side - 1) / 2
    ball = (np.sqrt(z**2 + y**2 + x**2) < 9).astype(float)
    noisy = ball + np.sqrt(ball.var() / snr) * np.random.default_rng(0).standard_normal(ball.shape)
    return ball, torch.from_numpy((noisy - noisy.mean()) / noisy.std())


def test_published_scales_remove_nothing_and_relative_ones_do():
    """At SNR 0.03 the published scales remove under 5 % of the variance, one spread more than half."""
    _, noisy = noisy_ball(0.03)
    published = improved_bilateral(noisy, spatial_sigma=120, range_sigma=1.2, operator="laplacian")
    assert 0 <= variance_removed(noisy, published) < 0.05
    scaled = improved_bilateral(noisy, spatial_sigma=120, range_sigma=1.0, relative=True)
    assert variance_removed(noisy, scaled) > 0.5


def test_a_step_is_kept_by_sobels_operator_alone():
    """Beside a step the gradient of Sobel's magnitude points away from it on both sides.

    That of the Laplacian of 0 0 0 1 1 1 is 1 -1 -1 -1 -1 1 with signs alike across the step, so that
    the two voxels beside it are averaged.
    """
    step = torch.zeros(1, 4, 4, 10, dtype=torch.float64)
    step[..., 5:] = 1
    assert torch.equal(laplacian_gradient(step)[2][0, 0, 0, 3:7], torch.tensor([1.0, -1, -1, 1]).double())
    for operator, kept in (("sobel", 0.95), ("laplacian", None)):
        ours = improved_bilateral(step, spatial_sigma=120, range_sigma=0.5, operator=operator)
        height = float(ours[0, 2, 2, 5] - ours[0, 2, 2, 4])
        assert height > kept if kept else height < 0.1


@pytest.mark.parametrize("snr", [4.0, 0.3])
@pytest.mark.parametrize("range_sigma", [0.5, 1.0, 2.0])
def test_edges_are_kept_better_than_by_a_gaussian(range_sigma, snr):
    """Against the Gaussian that removes the same share, 10 % or more, of a ball in noise.

    What is measured is the step across the face: the mean just inside minus just outside. With the
    discrete Laplacian, which is the wrong variant here, the Gaussian keeps more.
    """
    ball, noisy = noisy_ball(snr)
    for operator in ("sobel", "laplacian"):
        kind = {"range_sigma": range_sigma, "relative": True, "operator": operator}
        ours = improved_bilateral(noisy, spatial_sigma=120, **kind)
        removed = variance_removed(noisy, ours)
        assert removed >= 0.1
        smooth = min(gaussians(noisy), key=lambda other: abs(variance_removed(noisy, other) - removed))
        assert (edge(ours, ball) > 1.1 * edge(smooth, ball)) == (operator == "sobel")


def gaussians(noisy):
    return [torch.from_numpy(gaussian_filter(noisy.numpy(), sigma)) for sigma in np.linspace(0.1, 2.0, 96)]


def edge(volume, ball):
    near = gaussian_filter(ball, 0.6)
    values = volume.numpy()
    return values[(near > 0.5) & (near < 0.95)].mean() - values[(near < 0.5) & (near > 0.05)].mean()
