"""VoxResNet: a residual network that segments from four scales at once (voxresnet)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from vitreous.networks.convolution import Conv3d
from vitreous.networks.normalization import GroupNorm

Norm = Literal["group", "batch", "none"]

SCALES = (1, 2, 4, 8)
GROUP = 4  # channels


class VoxRes(nn.Module):
    """Two 3³ convolutions, each after normalization and ReLU, added to what came in."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                layer
                for _ in range(2)
                for layer in (
                    normalization(channels, norm),
                    nn.ReLU(inplace=norm != "none"),  # what came in is still needed
                    Conv3d(channels, channels, 3, padding=1),
                )
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, z, y, x) to the same shape."""
        out: Tensor = x + self.layers(x)
        return out


class VoxResNet(nn.Module):
    """Segment volumes (n, 1, z, y, x) whose sides are multiples of `stride`.

    Two convolutions, then three stages of a strided convolution and two `VoxRes` modules. What comes
    after the second convolution and after each stage is a tap. Every tap is brought to full size by a
    transposed convolution and classified; the logits are summed.

    Parameters
    ----------
    classes
        Number of classes, the background included.
    width
        Channels at full resolution, twice that in the stages; 32 in the paper.
    norm
        "batch" as published, "group", which is the same for any batch and any mixture of domains, or
        "none".

    Attributes
    ----------
    stride
        What the sides of a volume must be multiples of.
    fused_channels
        Channels of `fused`.

    Examples
    --------
    >>> network = VoxResNet(3, width=4)
    >>> volumes = torch.zeros(2, 1, 16, 16, 24)
    >>> network(volumes).shape, [tuple(tap.shape[1:]) for tap in network.taps(volumes)]
    (torch.Size([2, 3, 16, 16, 24]), [(4, 16, 16, 24), (8, 8, 8, 12), (8, 4, 4, 6), (8, 2, 2, 3)])
    """

    def __init__(self, classes: int, *, width: int = 8, norm: Norm = "group") -> None:
        super().__init__()
        self.classes, self.stride = classes, SCALES[-1]
        self.first = nn.Sequential(
            Conv3d(1, width, 3, padding=1),
            normalization(width, norm),
            nn.ReLU(inplace=True),
            Conv3d(width, width, 3, padding=1),
            normalization(width, norm),
            nn.ReLU(inplace=True),
        )
        wide = [width, *(2 * width for _ in SCALES[1:])]
        self.stages = nn.ModuleList(
            nn.Sequential(
                Conv3d(below, above, 3, stride=2, padding=1), VoxRes(above, norm), VoxRes(above, norm)
            )
            for below, above in pairwise(wide)
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(channels, width, scale, stride=scale) if scale > 1 else nn.Identity()
            for channels, scale in zip(wide, SCALES, strict=True)
        )
        self.heads = nn.ModuleList(Conv3d(width, classes, 1) for _ in SCALES)
        self.fused_channels = width * len(SCALES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes, z, y, x) of standardized volumes (n, 1, z, y, x)."""
        return self.classified(self.fused(self.taps(x)))

    def taps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features at full, half, quarter and eighth size."""
        found = [self.first(x)]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return tuple(found)

    def fused(self, taps: Sequence[Tensor]) -> Tensor:
        """All taps at full size, one after the other: (n, fused_channels, z, y, x)."""
        ups = [torch.relu(up(tap)) for up, tap in zip(self.ups, taps, strict=True)]
        return torch.cat(ups, dim=1)

    def branches(self, fused: Tensor) -> tuple[Tensor, ...]:
        """Logits of each tap alone, (n, classes, z, y, x), for deep supervision."""
        parts = fused.chunk(len(SCALES), dim=1)
        return tuple(head(part) for head, part in zip(self.heads, parts, strict=True))

    def classified(self, fused: Tensor) -> Tensor:
        """Logits of fused features: the sum of all branches."""
        return torch.stack(self.branches(fused)).sum(0)


def normalization(channels: int, norm: Norm) -> nn.Module:
    """The layer that `norm` names."""
    if norm == "group":
        return GroupNorm(1 if channels % GROUP else channels // GROUP, channels)
    return nn.BatchNorm3d(channels) if norm == "batch" else nn.Identity()


def voxresnet_bytes_per_voxel(width: int) -> float:
    """Peak memory of a forward pass without gradients for each voxel, float32 (rounded up)."""
    return 64.0 * width
