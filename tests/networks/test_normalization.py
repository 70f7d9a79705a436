"""Normalizations of our own have torch's values and gradients, and leave the memory layout as it was."""

import pytest
import torch
from torch import nn

from vitreous.networks.normalization import LAST, GroupNorm, InstanceNorm3d


@pytest.mark.parametrize("layout", [torch.contiguous_format, LAST])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (GroupNorm(2, 8), nn.GroupNorm(2, 8)),
        (InstanceNorm3d(8, affine=True), nn.InstanceNorm3d(8, affine=True)),
    ],
)
def test_values_and_gradients_are_torch_s(ours, theirs, mixed, layout):
    """To rounding: 2^-8 of the largest value in bfloat16."""
    torch.manual_seed(0)
    for layer in (ours, theirs):
        layer.load_state_dict({"weight": torch.linspace(0.5, 2, 8), "bias": torch.linspace(-1, 1, 8)})
    values, slope, found = 3 + 2 * torch.randn(3, 8, 6, 5, 7), torch.randn(3, 8, 6, 5, 7), []
    for layer in (ours, theirs):
        x = values.to(torch.bfloat16 if mixed else torch.float32).contiguous(memory_format=layout)
        x.requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            out = layer(x)
        if layer is ours:
            assert out.is_contiguous(memory_format=layout)
        gradients = torch.autograd.grad((out.float() * slope).sum(), (x, layer.weight, layer.bias))
        found.append([out.float(), *(g.float() for g in gradients)])
    tolerance = 2**-7 if mixed else 1e-5
    for mine, torchs in zip(*found, strict=True):
        assert (mine - torchs).abs().max() < tolerance * torchs.abs().max()
