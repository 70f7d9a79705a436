"""VoxResNet: sizes, what its logits are made of, and that nothing crosses the batch."""

import pytest
import torch

from vitreous.networks import VoxResNet


def network(norm="group", classes=3):
    torch.manual_seed(0)
    return VoxResNet(classes, width=4, norm=norm).double()


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
@pytest.mark.parametrize("shape", [(8, 8, 8), (16, 8, 24)])
def test_any_size_divisible_by_eight(norm, shape):
    net = network(norm).eval()
    x = torch.randn(2, 1, *shape, dtype=torch.float64)
    before = x.clone()
    taps = net.taps(x)
    assert [tuple(t.shape[2:]) for t in taps] == [tuple(s // k for s in shape) for k in (1, 2, 4, 8)]
    assert net(x).shape == (2, 3, *shape)
    assert net.fused(taps).shape[1] == net.fused_channels
    assert torch.equal(x, before)


def test_logits_are_the_sum_of_four_branches():
    net, x = network(), torch.randn(1, 1, 16, 16, 16, dtype=torch.float64)
    taps = net.taps(x)
    fused = net.fused(taps)
    branches = net.branches(fused)
    assert len(branches) == 4
    assert torch.allclose(net(x), sum(branches), atol=1e-12)
    silenced = [torch.zeros_like(t) for t in taps]
    silenced[0] = taps[0]
    assert torch.equal(net.branches(net.fused(silenced))[0], branches[0])
    assert not torch.allclose(net.branches(net.fused(silenced))[3], branches[3])


def test_norms_tell_what_crosses_the_batch():
    """Batch normalization mixes the volumes of a batch, group normalization does not."""
    x = torch.randn(3, 1, 16, 16, 16, dtype=torch.float64)
    for norm, apart in (("group", True), ("none", True), ("batch", False)):
        net = network(norm).train()
        assert torch.allclose(net(x)[:1], net(x[:1]), atol=1e-10) == apart, norm


def test_every_parameter_learns():
    net = network()
    net(torch.randn(2, 1, 16, 16, 16, dtype=torch.float64)).square().sum().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not silent
