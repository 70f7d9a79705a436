"""Blind-spot networks: a masked convolution, then anything that keeps the phases of a lattice apart.

After a 5³ convolution whose inner 3³ is zero, a voxel's features hold voxels that differ from it by
exactly two steps along at least one axis. If everything that follows combines only positions with
equal coordinates modulo 3, the voxel itself can never come back: its offset along that axis is
2 + 3m, which is never zero. `PhaseLattice` enforces this by giving the backbone each of the
27 phase lattices as a separate batch element (volume-shuffle paper, § 4.2, in lattice form).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.networks.convolution import DepthwiseConv3d

MODULUS = 3


class MaskedConv3d(nn.Conv3d):
    """A 5³ convolution with its inner 3³ weights held at zero; the border is padded with zeros.

    Reflecting or replicating the border would let border voxels see themselves.
    """

    mask: Tensor

    def __init__(
        self, inputs: int, outputs: int, *, padding_mode: Literal["zeros", "reflect"] = "zeros"
    ) -> None:
        super().__init__(inputs, outputs, 2 * MODULUS - 1, padding=MODULUS - 1, padding_mode=padding_mode)
        mask = torch.ones(1, 1, *self.kernel_size)
        mask[..., 1:-1, 1:-1, 1:-1] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, inputs, z, y, x) with the masked kernel."""
        out: Tensor = self._conv_forward(x, self.weight * self.mask, self.bias)
        return out


def split_lattices(x: Tensor, modulus: int = MODULUS) -> Tensor:
    """Split (b, c, z, y, x) into its modulus³ phase lattices, (b·modulus³, c, z/m, y/m, x/m).

    Examples
    --------
    >>> split_lattices(torch.arange(27.).reshape(1, 1, 3, 3, 3)).flatten().tolist()[:4]
    [0.0, 1.0, 2.0, 3.0]
    """
    b, c, z, y, w = x.shape
    m = modulus
    # Channels stay innermost in memory: the layout that convolutions of the lattices are fastest in.
    voxels = x.movedim(1, -1).reshape(b, z // m, m, y // m, m, w // m, m, c)
    lattices = voxels.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(b * m**3, z // m, y // m, w // m, c)
    return lattices.movedim(-1, 1)


def merge_lattices(x: Tensor, modulus: int = MODULUS) -> Tensor:
    """Inverse of `split_lattices`."""
    n, c, z, y, w = x.shape
    m = modulus
    merged = x.reshape(n // m**3, m, m, m, c, z, y, w).permute(0, 4, 5, 1, 6, 2, 7, 3)
    return merged.reshape(n // m**3, c, z * m, y * m, w * m)


class PhaseLattice(nn.Module):
    """A blind-spot network by construction, whatever the backbone does within a lattice.

    The backbone must treat batch elements independently (no batch normalization) and offer
    `stride`, the number its input sides must be multiples of, and `receptive_radius`.

    Parameters
    ----------
    backbone
        Maps (n, width, z, y, x) to (n, 1, z, y, x).
    width
        Channels between the masked convolution and the backbone.
    """

    def __init__(self, backbone: nn.Module, *, width: int) -> None:
        super().__init__()
        self.masked = MaskedConv3d(1, width)
        self.backbone = backbone
        self.stride = MODULUS * int(backbone.stride)  # type: ignore[arg-type]
        self.receptive_radius = MODULUS * int(backbone.receptive_radius) + MODULUS - 1  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, z, y, x), sides multiples of `stride`, to the same shape."""
        check_sides(x, self.stride)
        return merge_lattices(self.backbone(split_lattices(self.masked(x))))


class DilatedBlindSpot(nn.Module):
    """The paper's own arrangement: no split, a backbone that dilates by 3 instead.

    Kept as the independent form that `PhaseLattice` is tested and timed against.
    """

    def __init__(self, backbone: nn.Module, *, width: int) -> None:
        super().__init__()
        self.masked = MaskedConv3d(1, width)
        self.backbone = backbone
        self.stride = int(backbone.stride)  # type: ignore[arg-type]
        self.receptive_radius = int(backbone.receptive_radius) + MODULUS - 1  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, z, y, x), sides multiples of `stride`, to the same shape."""
        check_sides(x, self.stride)
        out: Tensor = self.backbone(self.masked(x))
        return out


def check_sides(x: Tensor, stride: int) -> None:
    """Raise ValueError unless every spatial side is a multiple of `stride`."""
    if any(side % stride for side in x.shape[2:]):
        raise ValueError(f"sides {tuple(x.shape[2:])} must be multiples of {stride}")


def volume_unshuffle(x: Tensor, v: int, cell: int = 1) -> Tensor:
    """Move the v³ cells of side `cell` of every block of side v·cell to channels.

    With cell = v this is the paper's volume-unshuffle (eqs 2–6, with v² for the misprinted v³);
    with cell = 1 it is what the same operation becomes on a phase lattice.

    Parameters
    ----------
    x
        (b, c, z, y, x), sides multiples of v·cell.
    v
        Cells per block and axis.
    cell
        Side of a cell in voxels.

    Returns
    -------
    Tensor (b, c·v³, z/v, y/v, x/v).
    """
    b, c, *sides = x.shape
    split = [part for side in sides for part in (side // (v * cell), v, cell)]
    y = x.reshape(b, c, *split).permute(0, 1, 3, 6, 9, 2, 4, 5, 7, 8, 10)
    return y.reshape(b, c * v**3, *(side // v for side in sides))


def volume_shuffle(x: Tensor, v: int, cell: int = 1) -> Tensor:
    """Inverse of `volume_unshuffle`."""
    b, c, *sides = x.shape
    blocks = [part for side in sides for part in (side // cell, cell)]
    y = x.reshape(b, c // v**3, v, v, v, *blocks).permute(0, 1, 5, 2, 6, 7, 3, 8, 9, 4, 10)
    return y.reshape(b, c // v**3, *(side * v for side in sides))


def residue_class_mean(x: Tensor, modulus: int) -> Tensor:
    """Mean over all positions with equal coordinates modulo `modulus`, broadcast back to `x`'s shape.

    With modulus = 1 this is global average pooling. Pooling over all positions of a full grid
    would carry each voxel's value to itself.
    """
    b, c, *sides = x.shape
    split = [part for side in sides for part in (side // modulus, modulus)]
    means = x.reshape(b, c, *split).mean((2, 4, 6))
    return means.repeat(1, 1, *(side // modulus for side in sides))


class VoxelNorm(nn.Module):
    """Layer normalization over the channels of each voxel alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (b, c, z, y, x) over c."""
        return F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias).movedim(-1, 1)


class DilatedChannelAttention(nn.Module):
    """The paper's DCA block: gated depthwise convolution with channel attention, then a gated 1³ half.

    `modulus` is the dilation of the depthwise convolution and the class count of the attention's
    pooling: 3 on the full grid, 1 on a phase lattice.
    """

    def __init__(self, channels: int, *, modulus: int) -> None:
        super().__init__()
        self.modulus = modulus
        self.norm = VoxelNorm(channels)
        self.expand = nn.Conv3d(channels, 2 * channels, 1)
        self.depthwise = DepthwiseConv3d(2 * channels, 3, dilation=modulus)
        self.attention = nn.Conv3d(channels, channels, 1)
        self.project = nn.Conv3d(channels, channels, 1)
        self.feed_norm = VoxelNorm(channels)
        self.feed_expand = nn.Conv3d(channels, 2 * channels, 1)
        self.feed_project = nn.Conv3d(channels, channels, 1)
        self.scale = nn.Parameter(torch.full((1, channels, 1, 1, 1), 1e-2))
        self.feed_scale = nn.Parameter(torch.full((1, channels, 1, 1, 1), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, z, y, x) to the same shape."""
        left, right = self.depthwise(self.expand(self.norm(x))).chunk(2, dim=1)
        gated = left * right
        gated = gated * self.attention(residue_class_mean(gated, self.modulus))
        x = x + self.scale * self.project(gated)
        left, right = self.feed_expand(self.feed_norm(x)).chunk(2, dim=1)
        out: Tensor = x + self.feed_scale * self.feed_project(left * right)
        return out


class VolumeShuffleBackbone(nn.Module):
    """The paper's U-shape of DCA blocks between volume-unshuffles and -shuffles (v = 3).

    Parameters
    ----------
    widths
        Channels at full, third and ninth resolution; the first is also the input's.
    blocks
        DCA blocks per stage.
    modulus
        3 for the dilated form on the full grid, 1 for the same network on a phase lattice.
    block
        What a stage is made of: `block(channels, modulus=modulus)`.
    """

    def __init__(
        self,
        widths: Sequence[int] = (24, 48, 96),
        *,
        blocks: int = 2,
        modulus: int = 1,
        block: Callable[..., nn.Module] = DilatedChannelAttention,
    ) -> None:
        super().__init__()
        self.modulus = modulus
        self.stride = modulus * 3 ** (len(widths) - 1)
        # Attention pools over the whole input: no margin makes tiles exact, so predict with the patch size.
        # One less than a stride, so that with the masked convolution the margin is a stride and not two.
        self.receptive_radius = modulus * (3 ** (len(widths) - 1) - 1)

        def stage(channels: int) -> nn.Sequential:
            return nn.Sequential(*(block(channels, modulus=modulus) for _ in range(blocks)))

        self.encoders = nn.ModuleList(stage(w) for w in widths[:-1])
        self.downs = nn.ModuleList(nn.Conv3d(27 * a, b, 1) for a, b in pairwise(widths))
        self.middle = stage(widths[-1])
        self.ups = nn.ModuleList(nn.Conv3d(b, 27 * a, 1) for a, b in pairwise(widths))
        self.merges = nn.ModuleList(nn.Conv3d(2 * w, w, 1) for w in widths[:-1])
        self.decoders = nn.ModuleList(stage(w) for w in widths[:-1])
        self.head = nn.Sequential(
            nn.Conv3d(2 * widths[0], widths[0], 1), nn.GELU(), nn.Conv3d(widths[0], 1, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, widths[0], z, y, x) to (b, 1, z, y, x)."""
        x, skips = features, []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(volume_unshuffle(x, 3, self.modulus))
        x = self.middle(x)
        for up, merge, decoder in reversed(list(zip(self.ups, self.merges, self.decoders, strict=True))):
            x = volume_shuffle(up(x), 3, self.modulus)
            x = decoder(merge(torch.cat([x, skips.pop()], dim=1)))
        out: Tensor = self.head(torch.cat([x, features], dim=1))
        return out
