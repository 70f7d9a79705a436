"""Convolutions of our own: values and gradients are those of torch, mixed precision and flat volumes too."""

import pytest
import torch
from torch import nn

from vitreous.networks.convolution import Conv3d, DepthwiseConv3d


@pytest.mark.parametrize(
    ("kernel", "stride", "shape"), [(3, 1, (2, 2, 2)), (4, 2, (2, 8, 8)), (3, 1, (5, 4, 6))]
)
def test_mixed_precision_gives_the_gradient_of_float32(kernel, stride, shape):
    """Within 3 %, where bfloat16 has 8 bits; unwritten memory is off by any factor, so it is filled first."""
    torch.manual_seed(0)
    layer = Conv3d(8, 4, kernel, stride=stride, padding=1).to(memory_format=torch.channels_last_3d)
    x = torch.randn(1, 8, *shape).to(memory_format=torch.channels_last_3d)
    found = {}
    for mixed in (False, True):
        junk = [torch.full((1000 * (n + 1),), 1e30) for n in range(20)]
        del junk
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            out = layer(x)
        weights = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
        (found[mixed],) = torch.autograd.grad((out.float() * weights).sum(), layer.weight)
    assert (found[True] - found[False]).abs().max() < 0.03 * found[False].abs().max()


@pytest.mark.parametrize(("dilation", "kernel"), [(1, 3), (3, 3), (2, 5)])
@pytest.mark.parametrize("shape", [(2, 4, 7, 6, 9), (3, 6, 1, 1, 1), (1, 1, 2, 5, 4)])
def test_a_depthwise_convolution_is_torch_s_with_its_gradients(dilation, kernel, shape):
    """In float64, to rounding."""
    torch.manual_seed(0)
    channels, reach = shape[1], dilation * (kernel // 2)
    ours = DepthwiseConv3d(channels, kernel, dilation=dilation).double()
    theirs = nn.Conv3d(channels, channels, kernel, padding=reach, dilation=dilation, groups=channels).double()
    theirs.load_state_dict(ours.state_dict())
    slope, found = torch.randn(shape, dtype=torch.float64), []
    for layer in (ours, theirs):
        x = torch.linspace(-1, 1, slope.numel(), dtype=torch.float64).reshape(shape).requires_grad_()
        out = layer(x)
        found.append((out, *torch.autograd.grad((out * slope).sum(), (x, layer.weight, layer.bias))))
    for mine, torchs in zip(*found, strict=True):
        assert mine.shape == torchs.shape
        assert torch.allclose(mine, torchs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_a_depthwise_convolution_in_mixed_precision(depth):
    """Within 2 % of float32, and its gradients arrive in the parameters' own precision."""
    torch.manual_seed(0)
    layer, x = DepthwiseConv3d(8, 3), torch.randn(2, 8, depth, 9, 9)
    slope, found = torch.randn_like(x), []
    for mixed in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            out = layer(x)
        assert out.dtype == (torch.bfloat16 if mixed else torch.float32)
        (out.float() * slope).sum().backward()
        found.append((out.detach().float(), layer.weight.grad.clone(), layer.bias.grad.clone()))
    for exact, mixed in zip(*found, strict=True):
        assert mixed.dtype == torch.float32
        assert (mixed - exact).abs().max() < 0.02 * exact.abs().max()
