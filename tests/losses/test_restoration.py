"""Losses against independent numpy evaluations, and what they must ignore."""

from itertools import product

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch

from vitreous.losses import edge_maps, masked_mean_square, total_variation
from vitreous.losses.restoration import directional_kernels


def volume(seed=0, shape=(1, 1, 7, 8, 9)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_masked_mean_square_against_numpy():
    a, b = volume(0), volume(1)
    inside = (volume(2) > 0).double()
    kept = inside.numpy() > 0
    expected = np.mean((a.numpy()[kept] - b.numpy()[kept]) ** 2)
    assert float(masked_mean_square(a, b, inside)) == pytest.approx(expected, rel=1e-12)


def test_masked_mean_square_broadcasts_its_mask():
    a, b = volume(0, (2, 1, 4, 4, 4)), volume(1, (2, 1, 4, 4, 4))
    inside = torch.zeros(1, 1, 4, 1, 1, dtype=torch.float64)
    inside[:, :, 1:3] = 1
    expected = (a - b)[:, :, 1:3].square().mean()
    assert float(masked_mean_square(a, b, inside)) == pytest.approx(float(expected), rel=1e-12)


def test_a_mask_without_voxels_gives_zero():
    assert float(masked_mean_square(volume(0), volume(1), torch.zeros_like(volume()))) == 0
    assert float(total_variation(volume(0), torch.zeros_like(volume()))) == 0


def test_total_variation_against_numpy():
    v = volume()
    expected = sum(np.abs(np.diff(v.numpy(), axis=axis)).mean() for axis in (2, 3, 4))
    assert float(total_variation(v, torch.ones_like(v))) == pytest.approx(expected, rel=1e-12)


def test_total_variation_counts_a_difference_only_where_both_voxels_are_inside():
    v, inside = volume(), torch.zeros(1, 1, 7, 8, 9, dtype=torch.float64)
    inside[:, :, :4, :5, :6] = 1
    part = v[:, :, :4, :5, :6]
    expected = float(total_variation(part, torch.ones_like(part)))
    assert float(total_variation(v, inside)) == pytest.approx(expected, rel=1e-12)
    v[:, :, 4:] = 1e6  # padding of any value changes nothing
    assert float(total_variation(v, inside)) == pytest.approx(expected, rel=1e-12)


def test_total_variation_of_a_ramp_is_its_slope():
    ramp = torch.arange(10, dtype=torch.float64).reshape(1, 1, 10, 1, 1).expand(1, 1, 10, 5, 5) * 0.25
    assert float(total_variation(ramp, torch.ones_like(ramp))) == pytest.approx(0.25, rel=1e-12)


def test_directional_kernels():
    kernels = directional_kernels().double()
    assert kernels.shape == (26, 1, 3, 3, 3)
    assert kernels.sum((1, 2, 3, 4)).abs().max() < 1e-6
    assert (kernels.abs().sum((1, 2, 3, 4)) - 1).abs().max() < 1e-6
    # Each is the negative of the one that points the other way, and strongest where it points.
    assert (kernels + kernels.flip(0)).abs().max() < 1e-6
    offsets = [o for o in product(range(3), repeat=3) if o != (1, 1, 1)]
    for kernel, (z, y, x) in zip(kernels[:, 0], offsets, strict=True):
        assert float(kernel[z, y, x]) == pytest.approx(float(kernel.max()), abs=1e-7)


def test_edge_maps_against_scipy():
    v = volume()
    kernels = directional_kernels()[:, 0].numpy().astype(np.float64)
    responses = [ndi.correlate(v[0, 0].numpy(), kernel, mode="nearest") for kernel in kernels]
    np.testing.assert_allclose(edge_maps(v)[0, 0].numpy(), np.max(responses, axis=0), atol=1e-12)


def test_edge_maps_vanish_on_constants_and_ignore_an_offset():
    assert edge_maps(torch.full((1, 1, 6, 6, 6), 7.0, dtype=torch.float64)).abs().max() < 1e-6
    v = volume()
    assert (edge_maps(v + 3) - edge_maps(v)).abs().max() < 1e-6
    assert (edge_maps(2 * v) - 2 * edge_maps(v)).abs().max() < 1e-12
    assert edge_maps(v).min() >= 0  # directions come in opposite pairs


@pytest.mark.parametrize("plane", [(2, 3), (3, 4), (2, 4)])
def test_edge_maps_turn_with_the_volume(plane):
    v = volume(shape=(1, 1, 8, 8, 8))
    turned = edge_maps(v.rot90(1, plane))
    assert (turned - edge_maps(v).rot90(1, plane)).abs().max() < 1e-6
    assert (turned - edge_maps(v)).abs().max() > 0.01


def test_edge_maps_are_strongest_at_a_step():
    step = torch.zeros(1, 1, 12, 8, 8, dtype=torch.float64)
    step[:, :, 6:] = 1
    profile = edge_maps(step)[0, 0, :, 4, 4]
    assert profile[5:7].tolist() == pytest.approx([0.5, 0.5], abs=1e-6)  # half of the unit absolute sum
    assert profile[:5].abs().max() < 1e-6
    assert profile[7:].abs().max() < 1e-6


def test_edge_maps_pass_the_gradient_on():
    v = volume().requires_grad_()
    edge_maps(v).square().sum().backward()
    assert (v.grad.abs() > 1e-6).float().mean() > 0.95
    with torch.no_grad():  # along the gradient by finite difference
        direction, step = v.grad / v.grad.norm(), 1e-6
        ahead = (
            edge_maps(v + step * direction).square().sum() - edge_maps(v - step * direction).square().sum()
        )
    assert float(ahead / (2 * step)) == pytest.approx(float(v.grad.norm()), rel=1e-4)
