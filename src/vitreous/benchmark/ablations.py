"""Tables 5 and 7 of the volume-shuffle paper: the blind spot without one of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.benchmark.cases import Case, CaseKind, make_case
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record
from vitreous.benchmark.scores import score
from vitreous.core import Progress
from vitreous.inference import choose_device
from vitreous.methods.blindspot import BlindSpot, BlindSpotConfig
from vitreous.methods.blindspot.network import LossWeights
from vitreous.networks import UNet3d
from vitreous.networks.convolution import Conv3d
from vitreous.networks.phase_lattice import (
    MODULUS,
    DilatedBlindSpot,
    DilatedChannelAttention,
    PhaseLattice,
    VolumeShuffleBackbone,
)
from vitreous.workflows.denoise import DenoiseSettings, Source, denoise_source, untrained

WIDTH = 16  # of the published 24: the dearest row stays within a quarter of an hour on two cores
PLAIN = "U-Net"
COMPONENT_SIDE = 54  # voxels of a patch at least
COMPONENT_STEPS = 300  # the published network takes five times as long for a step as the default one
PAPER = BlindSpotConfig.paper().losses
LOSSES: Mapping[str, LossWeights] = {
    "without edge": PAPER.model_copy(update={"edge": 0.0}),
    "without guidance": PAPER.model_copy(update={"guidance": 0.0}),
    "without total variation": PAPER.model_copy(update={"total_variation": 0.0}),
    "reconstruction alone": LossWeights(),
    "all four losses": PAPER,
}
SELF_GRADIENT_SIDE = 48
PROBES = ((6, 6, 6), (13, 17, 11), (27, 9, 30))  # voxels whose self-gradient is measured


def measure_losses(kind: CaseKind, seed: int, name: str, progress: Progress) -> Record:
    """The default network with one choice of losses."""
    config = BlindSpotConfig(losses=LOSSES[name])
    return measured(make_case(kind, seed), config, None, seed, progress)[0]


def measure_component(kind: CaseKind, seed: int, name: str, progress: Progress) -> Record:
    """One arrangement of the paper's network, with its self-gradient after training."""
    torch.manual_seed(seed)
    network = COMPONENTS[name](WIDTH)
    stride: int = network.stride  # type: ignore[assignment]
    config = BlindSpotConfig(
        # What pools over all that it sees predicts in blocks of the training size, as the paper's network.
        backbone="unet" if name == PLAIN else "volume-shuffle",
        patch_side=-(-COMPONENT_SIDE // stride) * stride,
        losses=PAPER,
        steps=COMPONENT_STEPS,
    )
    record, trained = measured(make_case(kind, seed), config, network, seed, progress)
    return {**record, "self_gradient": self_gradient(trained)}


def measured(
    case: Case, config: BlindSpotConfig, network: nn.Module | None, seed: int, progress: Progress
) -> tuple[Record, nn.Module]:
    """Scores of a blind-spot method with a network of its own, and the trained network."""
    model = untrained(BlindSpot, config, choose_device("auto"), seed)
    if network is not None:
        model = replace(model, network=network)
    settings = DenoiseSettings(seed=seed, method="blindspot")
    with measured_cost() as cost:
        outcome = denoise_source(Source(case.volume), settings, progress, model=model)
    assert outcome.model is not None  # a learned method has one
    return {**score(case, outcome.data), **cost}, outcome.model.network


def self_gradient(network: nn.Module) -> float:
    """Largest |d out(v) / d in(v)| over the largest gradient with respect to any voxel, float64.

    Examples
    --------
    >>> self_gradient(PhaseLattice(UNet3d(2, 1, width=2, levels=1), width=2))
    0.0
    """
    network = network.to("cpu", torch.float64).eval()
    own, any_voxel = 0.0, 0.0
    generator = torch.Generator().manual_seed(0)
    stride: int = network.stride  # type: ignore[assignment]
    sides = (-(-SELF_GRADIENT_SIDE // stride) * stride,) * 3
    noise = torch.randn((1, 1, *sides), generator=generator, dtype=torch.float64)
    for z, y, x in PROBES:
        volume = noise.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(volume)[0, 0, z, y, x], volume)
        own = max(own, float(gradient[0, 0, z, y, x].abs()))
        any_voxel = max(any_voxel, float(gradient.abs().max()))
    return own / any_voxel


class DilatedBlock(nn.Module):
    """A residual 3³ convolution whose dilation keeps residue classes apart (D-BSN's block)."""

    def __init__(self, channels: int, *, modulus: int) -> None:
        super().__init__()
        self.first = Conv3d(channels, channels, 3, padding=modulus, dilation=modulus)
        self.second = nn.Conv3d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, z, y, x) to the same shape."""
        out: Tensor = x + self.second(F.leaky_relu(self.first(x), 0.1))
        return out


class PooledBackbone(nn.Module):
    """DCA blocks in a U-Net with max pooling and trilinear upsampling: residue classes mix."""

    def __init__(self, width: int, *, modulus: int = 3) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        self.stride = 4 * modulus  # every residue class is as large at the coarsest of three levels
        # It sees further, since it pools; a wider margin would leave a tile of 60³ a core of 12³.
        self.receptive_radius = self.stride - (MODULUS - 1)
        self.encoders = nn.ModuleList(DilatedChannelAttention(w, modulus=modulus) for w in widths)
        self.widen = nn.ModuleList(nn.Conv3d(w, 2 * w, 1) for w in widths[:-1])
        self.narrow = nn.ModuleList(nn.Conv3d(3 * w, w, 1) for w in widths[:-1])
        self.head = nn.Conv3d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, width, z, y, x) to (b, 1, z, y, x)."""
        skips = []
        for encoder, widen in zip(self.encoders, self.widen, strict=False):
            skips.append(encoder(x))
            x = widen(F.max_pool3d(skips[-1], 2))
        x = self.encoders[-1](x)
        for narrow in reversed(self.narrow):
            x = F.interpolate(x, scale_factor=2, mode="trilinear")
            x = narrow(torch.cat([x, skips.pop()], dim=1))
        out: Tensor = self.head(x)
        return out


COMPONENTS: Mapping[str, Callable[[int], nn.Module]] = {
    PLAIN: lambda width: DilatedBlindSpot(UNet3d(width, 1, width=width, levels=2), width=width),
    "DCA + U-Net": lambda width: DilatedBlindSpot(PooledBackbone(width), width=width),
    "D-BSN + shuffle": lambda width: PhaseLattice(
        VolumeShuffleBackbone((width, 2 * width, 4 * width), block=DilatedBlock), width=width
    ),
    "DCA + shuffle": lambda width: PhaseLattice(
        VolumeShuffleBackbone((width, 2 * width, 4 * width)), width=width
    ),
}
