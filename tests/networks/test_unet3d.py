"""The U-Net: how far it sees, what it refuses, and that tiles with its margin equal the whole."""

import pytest
import torch
from torch import nn

from vitreous.networks import UNet3d


def reach_of(network):
    """The farthest input, over all phases of the stride, that an output depends on along z."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)  # positive weights and inputs: nothing cancels or dies
    side = 2 * network.receptive_radius + 4 * network.stride
    side += -side % network.stride
    x = torch.rand(1, 1, side, network.stride, network.stride, dtype=torch.float64, requires_grad=True)
    out, reach = network(x), []
    centre = side // 2 // network.stride * network.stride
    for z in range(centre, centre + network.stride):
        (gradient,) = torch.autograd.grad(out[0, 0, z, 0, 0], x, retain_graph=True)
        seen = gradient.abs().sum((0, 1, 3, 4)).nonzero()[:, 0]
        reach.append(max(z - int(seen.min()), int(seen.max()) - z))
    return max(reach)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_receptive_radius_covers_the_gradient_support_at_all_phases(levels):
    network = UNet3d(width=2, levels=levels).double()
    reach = reach_of(network)
    assert reach <= network.receptive_radius <= reach + 2  # never smaller, and not wasteful
    assert network.stride == 2**levels


def test_a_tile_with_its_margin_equals_the_whole():
    torch.manual_seed(0)
    network = UNet3d(width=4, levels=1).double()
    margin = network.receptive_radius
    x = torch.randn(1, 1, 40, 24, 24, dtype=torch.float64)
    with torch.no_grad():
        whole = network(x)
        tile = network(x[:, :, 2:38])  # starts on the stride
        inner = slice(2 + margin, 38 - margin)
        assert (tile[:, :, margin:-margin] - whole[:, :, inner]).abs().max() < 1e-12
        assert (tile - whole[:, :, 2:38]).abs().max() > 1e-6  # the margin is needed


def test_shapes_channels_and_gradients():
    network = UNet3d(3, 2, width=4, levels=2)
    out = network(torch.randn(2, 3, 8, 12, 16))
    assert out.shape == (2, 2, 8, 12, 16)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_sides_that_do_not_divide_are_refused():
    with pytest.raises((RuntimeError, ValueError)):
        UNet3d(width=2, levels=2)(torch.zeros(1, 1, 10, 12, 12))
