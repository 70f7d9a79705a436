"""Blindness to a voxel's own value, exactly, everywhere; and that the measurement can see a leak.

Standardizing by a volume's own mean and deviation couples all voxels. Those two constants are held
fixed here: the networks get the standardized volume itself as their input.
"""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vitreous.methods.blindspot import BlindSpotConfig, build_network
from vitreous.networks import DilatedBlindSpot, PhaseLattice, UNet3d, VolumeShuffleBackbone, phase_lattice
from vitreous.networks.phase_lattice import (
    DilatedChannelAttention,
    MaskedConv3d,
    check_sides,
    merge_lattices,
    residue_class_mean,
    split_lattices,
    volume_shuffle,
    volume_unshuffle,
)

SMALL = {
    "default": BlindSpotConfig(width=4),
    "unet-3-levels": BlindSpotConfig(width=3, levels=3),
    "paper": BlindSpotConfig.paper().model_copy(update={"widths": (4, 6, 8), "blocks": 1}),
    "paper-dilated": BlindSpotConfig.paper().model_copy(
        update={"backbone": "volume-shuffle-dilated", "widths": (4, 6, 8), "blocks": 1}
    ),
}
LEAK = 1e-9  # a control must show at least this share of the largest gradient; blind networks show 0.0


def randomized(network, seed=0):
    """Double precision, every parameter drawn from a normal distribution, outputs of order one."""
    torch.manual_seed(seed)
    for parameter in network.parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 else 4
        nn.init.normal_(parameter, std=fan**-0.5)
    for module in network.modules():
        if isinstance(module, DilatedChannelAttention):  # not the 1e-2 that training starts from
            nn.init.normal_(module.scale)
            nn.init.normal_(module.feed_scale)
    return network.double()


def places(side):
    """One interior voxel, one on each face (6), edge (12) and corner (8); then one step further in."""
    middle = side // 2 + 1
    return [*product((0, middle, side - 1), repeat=3), *product((1, middle, side - 2), repeat=3)]


def self_gradients(network, side, voxels):
    """|d out(v)/d in(v)| and the largest |d out(v)/d in| for each voxel, float64."""
    torch.manual_seed(1)
    x = torch.randn(1, 1, side, side, side, dtype=torch.float64, requires_grad=True)
    out = network(x)
    assert out.shape == x.shape
    own, largest = [], []
    for z, y, w in voxels:
        (gradient,) = torch.autograd.grad(out[0, 0, z, y, w], x, retain_graph=True)
        own.append(gradient[0, 0, z, y, w].abs().item())
        largest.append(gradient.abs().max().item())
    return torch.tensor(own), torch.tensor(largest)


def leaks(network, side, voxels):
    """The self-gradient of each voxel as a share of its largest gradient."""
    own, largest = self_gradients(network, side, voxels)
    return own / largest


@pytest.mark.parametrize("name", SMALL)
def test_no_voxel_sees_itself(name):
    network = randomized(build_network(SMALL[name]))
    side = max(24, network.stride)
    voxels = places(side)
    assert len(set(voxels[:27])) == 1 + 6 + 12 + 8
    own, largest = self_gradients(network, side, voxels)
    assert own.tolist() == [0.0] * len(voxels)
    assert (largest > 1e-3).all()  # the outputs do depend on other voxels


@pytest.mark.parametrize(
    ("config", "voxels"),
    [
        (BlindSpotConfig(), [(0, 0, 0), (13, 12, 14), (1, 12, 23)]),
        (BlindSpotConfig.paper(), [(13, 1, 0)]),
        (BlindSpotConfig.paper().model_copy(update={"backbone": "volume-shuffle-dilated"}), [(13, 14, 12)]),
    ],
    ids=["default", "paper", "paper-dilated"],
)
def test_no_voxel_sees_itself_at_the_real_widths(config, voxels):
    network = randomized(build_network(config))
    own, largest = self_gradients(network, max(24, network.stride), voxels)
    assert own.tolist() == [0.0] * len(voxels)
    assert (largest > 1e-3).all()


def test_the_inner_cube_is_unseen_by_the_first_convolution_only():
    """The blind spot is the voxel, not its neighbourhood: neighbours come back through the lattice."""
    network = randomized(build_network(SMALL["default"]))
    x = torch.randn(1, 1, 24, 24, 24, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(network.masked(x)[0, 0, 12, 12, 12], x)
    assert first[0, 0, 11:14, 11:14, 11:14].abs().max() == 0
    assert (first[0, 0, 10:15, 10:15, 10:15] != 0).sum() == 125 - 27
    (whole,) = torch.autograd.grad(network(x)[0, 0, 12, 12, 12], x)
    assert whole[0, 0, 12, 12, 12] == 0
    assert whole[0, 0, 12, 12, 13].abs() > 1e-6


# --- controls: arrangements that leak, so that the measurement above is known to see a leak ------


def test_control_pixel_unshuffle_in_the_dilated_network_leaks(monkeypatch):
    network = randomized(build_network(SMALL["paper-dilated"]))
    original = phase_lattice.volume_unshuffle, phase_lattice.volume_shuffle
    monkeypatch.setattr(phase_lattice, "volume_unshuffle", lambda x, v, cell: original[0](x, v, 1))
    monkeypatch.setattr(phase_lattice, "volume_shuffle", lambda x, v, cell: original[1](x, v, 1))
    assert (leaks(network, 27, places(27)[:27]) > LEAK).all()


class UnshuffledBeforeTheSplit(nn.Module):
    """Pixel-unshuffle by 3 on the full grid between the masked convolution and the lattices."""

    def __init__(self, width):
        super().__init__()
        self.masked = MaskedConv3d(1, width)
        self.mix = nn.Conv3d(27 * width, 27 * width, 1)
        self.backbone = UNet3d(width, 1, width=width, levels=1)

    def forward(self, x):
        features = volume_shuffle(self.mix(volume_unshuffle(self.masked(x), 3, cell=1)), 3, cell=1)
        return merge_lattices(self.backbone(split_lattices(features)))


def test_control_pixel_unshuffle_before_the_split_leaks():
    network = randomized(UnshuffledBeforeTheSplit(4))
    assert (leaks(network, 24, places(24)[:27]) > LEAK).all()


def test_control_group_norm_on_the_full_grid_leaks():
    network = build_network(SMALL["default"])
    network.masked = nn.Sequential(network.masked, nn.GroupNorm(2, 4))
    assert (leaks(randomized(network), 24, places(24)) > LEAK).all()


def test_control_reflect_padding_leaks_at_the_border_only():
    network = build_network(SMALL["default"])
    network.masked = MaskedConv3d(1, 4, padding_mode="reflect")
    share = leaks(randomized(network), 24, [(1, 13, 13), (13, 22, 13), (13, 13, 1), (1, 1, 22), (13, 13, 13)])
    assert (share[:4] > LEAK).all()
    assert share[4] == 0


def test_control_batch_norm_across_lattices_leaks():
    network = build_network(SMALL["default"])
    network.backbone.encoders[0] = nn.Sequential(nn.BatchNorm3d(4), network.backbone.encoders[0])
    assert (leaks(randomized(network).train(), 24, places(24)) > LEAK).all()


def test_control_global_pooling_across_lattices_leaks():
    network = build_network(SMALL["paper-dilated"])
    for module in network.modules():
        if isinstance(module, DilatedChannelAttention):
            module.modulus = 1  # the pooling only: the convolution is already built with dilation 3
            assert module.depthwise.dilation == (3, 3, 3)
    assert (leaks(randomized(network), 27, places(27)[:27]) > LEAK).all()


# --- the two forms of the paper's network ---------------------------------------------------------


def test_lattice_form_equals_dilated_form():
    config = SMALL["paper"]
    dilated = randomized(build_network(SMALL["paper-dilated"]))
    lattice = build_network(config).double()
    lattice.load_state_dict(dilated.state_dict())
    x = torch.randn(2, 1, 27, 54, 27, dtype=torch.float64)
    with torch.no_grad():
        one, other = lattice(x), dilated(x)
        scale = one.std()
        dilated.backbone.middle[0].depthwise.dilation = (1, 1, 1)
        dilated.backbone.middle[0].depthwise.padding = (1, 1, 1)
        wrong = dilated(x)
    assert 0.1 < scale < 100
    assert (one - other).abs().max() / scale < 1e-12
    assert (one - wrong).abs().max() / scale > 1e-6


def test_batch_elements_do_not_mix():
    network = randomized(build_network(SMALL["paper"]))
    x = torch.randn(2, 1, 27, 27, 27, dtype=torch.float64)
    with torch.no_grad():
        together, alone = network(x), network(x[1:])
    assert (together[1:] - alone).abs().max() < 1e-12 * alone.abs().max()


def test_sides_that_do_not_divide_are_refused():
    for network, side in ((build_network(SMALL["default"]), 15), (build_network(SMALL["paper"]), 24)):
        with pytest.raises(ValueError, match="multiples of"):
            network(torch.zeros(1, 1, side, side, side))
    check_sides(torch.zeros(1, 1, 12, 24, 36), 12)


# --- rearrangements -------------------------------------------------------------------------------

SIDES = st.tuples(*(st.integers(1, 2),) * 3)


@settings(max_examples=20, deadline=None)
@given(blocks=SIDES, batch=st.integers(1, 2), channels=st.integers(1, 3), modulus=st.integers(1, 4))
def test_split_and_merge_are_inverse(blocks, batch, channels, modulus):
    x = torch.randn(batch, channels, *(modulus * b for b in blocks))
    lattices = split_lattices(x, modulus)
    assert lattices.shape == (batch * modulus**3, channels, *blocks)
    assert torch.equal(merge_lattices(lattices, modulus), x)
    phase = (0, modulus - 1, modulus // 2)
    index = (phase[0] * modulus + phase[1]) * modulus + phase[2]
    assert torch.equal(
        lattices[index], x[0, :, phase[0] :: modulus, phase[1] :: modulus, phase[2] :: modulus]
    )


@settings(max_examples=20, deadline=None)
@given(blocks=SIDES, v=st.integers(1, 3), cell=st.integers(1, 3), channels=st.integers(1, 2))
def test_unshuffle_and_shuffle_are_inverse(blocks, v, cell, channels):
    x = torch.randn(2, channels, *(v * cell * b for b in blocks))
    packed = volume_unshuffle(x, v, cell)
    assert packed.shape == (2, channels * v**3, *(cell * b for b in blocks))
    assert torch.equal(volume_shuffle(packed, v, cell), x)


def test_volume_unshuffle_keeps_residue_classes_and_pixel_unshuffle_does_not():
    """With cell = v every packed position holds voxels of its own residue class modulo v (eqs 2–6)."""
    residue = (torch.arange(18) % 3).float().reshape(1, 1, 1, 1, 18).expand(1, 1, 18, 18, 18)
    position = (torch.arange(6) % 3).float().expand(27, 6, 6, 6)
    assert torch.equal(volume_unshuffle(residue, 3, 3)[0], position)
    assert not torch.equal(volume_unshuffle(residue, 3, 1)[0], position)


def test_unshuffle_commutes_with_the_split():
    x = torch.randn(1, 2, 18, 9, 27)
    assert torch.equal(split_lattices(volume_unshuffle(x, 3, 3)), volume_unshuffle(split_lattices(x), 3, 1))


def test_residue_class_mean_against_slices():
    x = torch.randn(2, 3, 6, 9, 12, dtype=torch.float64)
    means = residue_class_mean(x, 3)
    for z, y, w in product(range(3), repeat=3):
        expected = x[:, :, z::3, y::3, w::3].mean((2, 3, 4))
        for part in (means[:, :, z, y, w], means[:, :, z + 3, y + 3, w + 6]):
            assert torch.allclose(part, expected, rtol=0, atol=1e-12)
    assert torch.allclose(residue_class_mean(x, 1), x.mean((2, 3, 4), keepdim=True).expand_as(x), atol=1e-12)


def test_lattice_radius_covers_the_gradient_support():
    network = PhaseLattice(UNet3d(2, 1, width=2, levels=1), width=2).double()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)  # nothing can cancel
    side = 2 * network.receptive_radius + 2 * network.stride
    side += -side % network.stride
    x = torch.rand(1, 1, side, network.stride, network.stride, dtype=torch.float64, requires_grad=True)
    out, reach = network(x), 0
    centre = side // 2 // network.stride * network.stride
    for z in range(centre, centre + network.stride):
        (gradient,) = torch.autograd.grad(out[0, 0, z, 0, 0], x, retain_graph=True)
        seen = gradient.abs().sum((0, 1, 3, 4)).nonzero()[:, 0]
        reach = max(reach, z - int(seen.min()), int(seen.max()) - z)
    assert reach <= network.receptive_radius <= 1.3 * reach + 3


def test_dilated_form_knows_its_stride():
    network = DilatedBlindSpot(VolumeShuffleBackbone((4, 4, 4), blocks=1, modulus=3), width=4)
    assert network.stride == build_network(SMALL["paper"]).stride == 27
