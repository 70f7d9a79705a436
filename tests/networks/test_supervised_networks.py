"""DnCNN, FFDNet and V-Net: how far they see, what they refuse, and tiles that equal the whole."""

import pytest
import torch
from torch import nn

from vitreous.networks import DnCnn3d, FfdNet3d, VNet3d

NETWORKS = {
    "dncnn": (lambda: DnCnn3d(width=3, depth=4), 1, 1),
    "ffdnet": (lambda: FfdNet3d(width=3, depth=3), 2, 2),
    "vnet": (lambda: VNet3d(width=2, levels=2), 1, 4),
}
every_network = pytest.mark.parametrize(("make", "channels", "stride"), NETWORKS.values(), ids=NETWORKS)
DEPTHS = {
    "dncnn-2": (lambda: DnCnn3d(width=2, depth=2), 1, 1),
    "dncnn-7": (lambda: DnCnn3d(width=2, depth=7), 1, 1),
    "ffdnet-2": (lambda: FfdNet3d(width=2, depth=2), 2, 2),
    "ffdnet-5": (lambda: FfdNet3d(width=2, depth=5), 2, 2),
    "vnet-1": (lambda: VNet3d(width=2, levels=1), 1, 2),
    "vnet-3": (lambda: VNet3d(width=1, levels=3), 1, 8),
    "vnet-5³": (lambda: VNet3d(width=2, levels=1, kernel_side=5), 1, 2),
}


def reach_of(network, channels):
    """The farthest input, over all phases of the stride, that an output depends on along z."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)  # positive weights and inputs: nothing cancels or dies
    side = 2 * network.receptive_radius + 4 * network.stride
    side += -side % network.stride
    x = torch.rand(1, channels, side, network.stride, network.stride, dtype=torch.float64, requires_grad=True)
    out, reach = network(x), []
    centre = side // 2 // network.stride * network.stride
    for z in range(centre, centre + network.stride):
        (gradient,) = torch.autograd.grad(out[0, 0, z, 0, 0], x, retain_graph=True)
        seen = gradient.abs().sum((0, 1, 3, 4)).nonzero()[:, 0]
        reach.append(max(z - int(seen.min()), int(seen.max()) - z))
    return max(reach)


@pytest.mark.parametrize(
    ("make", "channels", "stride"), [*NETWORKS.values(), *DEPTHS.values()], ids=[*NETWORKS, *DEPTHS]
)
def test_receptive_radius_is_the_gradient_support_over_all_phases(make, channels, stride):
    network = make().double().eval()
    assert network.stride == stride
    assert reach_of(network, channels) == network.receptive_radius


def trained_a_little(make, channels):
    """A network whose running statistics are not those it begins with."""
    torch.manual_seed(0)
    network = make().double().train()
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    for _ in range(3):
        network(2 + torch.randn(2, channels, 16, 16, 16, dtype=torch.float64))
    return network


def tile_and_whole(network, channels):
    """The same part of a volume from a tile that starts on the stride, and from the whole."""
    margin = -(-network.receptive_radius // network.stride) * network.stride
    side = 2 * margin + 6 * network.stride
    x = torch.randn(1, channels, side, 16, 16, dtype=torch.float64)
    cut = slice(network.stride, side - network.stride)
    with torch.no_grad():
        whole, tile = network(x), network(x[:, :, cut])
    inner = slice(margin, tile.shape[2] - margin)
    return tile[:, :, inner], whole[:, :, cut][:, :, inner], tile - whole[:, :, cut]


@every_network
def test_a_tile_with_its_margin_equals_the_whole(make, channels, stride):
    network = trained_a_little(make, channels).eval()
    tile, whole, everywhere = tile_and_whole(network, channels)
    assert tile.numel() > 0
    assert (tile - whole).abs().max() < 1e-12
    assert everywhere.abs().max() > 1e-6  # the margin is needed


@pytest.mark.parametrize("name", ["dncnn", "ffdnet"])
def test_control_statistics_of_the_batch_would_tell_tile_from_whole(name):
    make, channels, _ = NETWORKS[name]
    tile, whole, _ = tile_and_whole(trained_a_little(make, channels), channels)
    assert (tile - whole).abs().max() > 1e-4


@every_network
def test_shapes_and_gradients(make, channels, stride):
    network = make()
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    out = network(torch.randn(2, channels, 8, 16, 24))
    assert out.shape == (2, 1, 8, 16, 24)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


@pytest.mark.parametrize("name", ["ffdnet", "vnet"])
def test_sides_that_do_not_divide_are_refused(name):
    make, channels, _ = NETWORKS[name]
    with pytest.raises((RuntimeError, ValueError)):
        make()(torch.zeros(1, channels, 15, 16, 16))


def test_dncnn_begins_as_the_identity_and_predicts_the_noise():
    network, x = DnCnn3d(width=3, depth=3), torch.randn(2, 1, 6, 6, 6)
    assert torch.equal(network(x), x)
    nn.init.constant_(network.layers[-1].bias, 0.25)
    assert (network(x) - (x - 0.25)).abs().max() < 1e-6


def test_ffdnet_sees_the_level_of_every_block():
    """A level that changes in one voxel changes the outputs near it, and no others."""
    torch.manual_seed(0)
    network = FfdNet3d(width=3, depth=2).double().eval()
    x = torch.randn(1, 2, 24, 8, 8, dtype=torch.float64)
    louder = x.clone()
    louder[0, 1, 12, 4, 4] += 1
    with torch.no_grad():
        change = (network(louder) - network(x)).abs().amax((0, 1, 3, 4))
    assert change[12] > 1e-6
    assert change[12 + network.receptive_radius + 1 :].max() == 0


def test_a_vnet_that_is_all_residual_passes_its_input_on():
    """With the convolutions of the stages zero, the input reaches the head through the first skip."""
    network = VNet3d(width=2, levels=1).double()
    for stage in (*network.encoders, *network.decoders):
        for convolution in stage.convolutions:
            nn.init.zeros_(convolution.weight)
            nn.init.zeros_(convolution.bias)
    for up in network.ups:
        nn.init.zeros_(up[0].weight)
        nn.init.zeros_(up[0].bias)
    nn.init.constant_(network.head.weight, 0.5)
    nn.init.zeros_(network.head.bias)
    x = torch.rand(1, 1, 8, 8, 8, dtype=torch.float64)  # positive: PReLU leaves it alone
    assert (network(x) - x).abs().max() < 1e-12


def test_stacks_and_kernels_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="hidden"):
        DnCnn3d(depth=1)
    with pytest.raises(ValueError, match="odd"):
        VNet3d(kernel_side=4)
