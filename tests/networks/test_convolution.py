"""A convolution's gradient in mixed precision, as without it, however flat the volume."""

import pytest
import torch

from vitreous.networks.convolution import Conv3d


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
