"""A plain 3-D U-Net, without normalization layers unless they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitreous.networks.convolution import Conv3d
from vitreous.networks.normalization import InstanceNorm3d


class ConvPair(nn.Sequential):
    """Two 3³ convolutions with leaky ReLU; the first may halve the grid."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, norm: bool = False) -> None:
        super().__init__(
            *_convolution(inputs, outputs, stride=stride, norm=norm),
            *_convolution(outputs, outputs, stride=1, norm=norm),
        )


def _convolution(inputs: int, outputs: int, *, stride: int, norm: bool) -> list[nn.Module]:
    """A 3³ convolution and its leaky ReLU, instance normalization between them if asked for."""
    convolution = Conv3d(inputs, outputs, 3, stride=stride, padding=1)
    normalization = [InstanceNorm3d(outputs, affine=True)] if norm else []
    return [convolution, *normalization, nn.LeakyReLU(0.1, inplace=True)]


class UNet3d(nn.Module):
    """U-Net on (batch, channel, z, y, x); sides must be multiples of `stride`.

    Without `norm` it has no global statistics: each output depends on inputs at most `receptive_radius`
    away, so that tiles with that margin give what the whole volume would.

    Parameters
    ----------
    inputs, outputs
        Channels in and out.
    width
        Channels at full resolution; doubled at every level.
    levels
        Number of halvings.
    norm
        Whether instance normalization follows every 3³ convolution: outputs then depend on the mean and
        deviation of the whole block, and blocks must be as large as those of the training.
    """

    def __init__(
        self, inputs: int = 1, outputs: int = 1, *, width: int = 16, levels: int = 2, norm: bool = False
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels + 1)]
        self.classes, self.stride, self.fused_channels = outputs, 2**levels, width
        self.receptive_radius = _receptive_radius(levels)
        self.encoders = nn.ModuleList([ConvPair(inputs, widths[0], norm=norm)])
        for level in range(levels):
            self.encoders.append(ConvPair(widths[level], widths[level + 1], stride=2, norm=norm))
        self.ups = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for level in reversed(range(levels)):
            self.ups.append(nn.ConvTranspose3d(widths[level + 1], widths[level], 2, stride=2))
            self.decoders.append(
                nn.Sequential(*_convolution(2 * widths[level], widths[level], stride=1, norm=norm))
            )
        self.head = Conv3d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, z, y, x) to (batch, outputs, z, y, x)."""
        return self.classified(self.fused(self.taps(x)))

    def taps(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the encoder finds at each level, from fine to coarse: (batch, channels, …)."""
        found = []
        for encoder in self.encoders:
            x = encoder(x)
            found.append(x)
        return tuple(found)

    def fused(self, taps: Sequence[Tensor]) -> Tensor:
        """What the decoder makes of them, (batch, fused_channels, z, y, x)."""
        *skips, x = taps
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(torch.cat([skips.pop(), up(x)], dim=1))
        return x

    def branches(self, fused: Tensor) -> tuple[Tensor, ...]:
        """Logits of parts of the network: there are none."""
        return ()

    def classified(self, fused: Tensor) -> Tensor:
        """The outputs, (batch, outputs, z, y, x)."""
        head: Tensor = self.head(fused)
        return head


def _receptive_radius(levels: int) -> int:
    """Voxels of the input that an output can see on either side, counted along the deepest path."""
    radius, scale = 2, 1
    for _ in range(levels):  # a strided and a plain convolution: one old and one new voxel
        radius += scale + 2 * scale
        scale *= 2
    radius += scale  # an upsampled voxel stands for a whole block
    for _ in range(levels):
        scale //= 2
        radius += scale
    return radius


def unet_bytes_per_voxel(width: int) -> float:
    """Peak memory of a forward pass without gradients for each voxel, float32 (measured, rounded up)."""
    return 28.0 * width
