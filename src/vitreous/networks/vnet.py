"""V-Net: an encoder and a decoder of residual stages with strided convolutions (Milletari et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitreous.networks.convolution import Conv3d


class ResidualStage(nn.Module):
    """Convolutions with PReLU; the stage's input is added before the last activation."""

    def __init__(self, channels: int, convolutions: int, side: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            Conv3d(channels, channels, side, padding=side // 2) for _ in range(convolutions)
        )
        self.activations = nn.ModuleList(nn.PReLU(channels) for _ in range(convolutions))

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Map (b, channels, z, y, x) to the same shape; `residual` has it too."""
        *hidden, last = zip(self.convolutions, self.activations, strict=True)
        for convolution, activation in hidden:
            x = activation(convolution(x))
        convolution, activation = last
        out: Tensor = activation(convolution(x) + residual)
        return out


class VNet3d(nn.Module):
    """V-Net on (batch, 1, z, y, x) with one output channel; sides must be multiples of `stride`.

    Like the published one it has no normalization layers, so that tiles give what the whole volume
    would. The first stage sees its input in every channel.

    Parameters
    ----------
    width
        Channels at full resolution, doubled at every level; 16 in the paper.
    levels
        Number of halvings; 4 in the paper.
    kernel_side
        Of the convolutions in the stages, odd; 5 in the paper.
    """

    def __init__(self, *, width: int = 16, levels: int = 2, kernel_side: int = 3) -> None:
        super().__init__()
        if not kernel_side % 2:
            raise ValueError(f"kernels must have an odd side, not {kernel_side}")
        widths = [width * 2**level for level in range(levels + 1)]
        counts = [min(level + 1, 3) for level in range(levels + 1)]  # convolutions of a stage
        self.width = width
        self.stride = 2**levels
        self.receptive_radius = _receptive_radius(counts, kernel_side // 2)
        self.encoders = nn.ModuleList(
            ResidualStage(w, n, kernel_side) for w, n in zip(widths, counts, strict=True)
        )
        self.downs = nn.ModuleList(
            nn.Sequential(Conv3d(w, 2 * w, 2, stride=2), nn.PReLU(2 * w)) for w in widths[:-1]
        )
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        below = widths[-1]
        for w, n in list(zip(widths, counts, strict=True))[-2::-1]:
            self.ups.append(nn.Sequential(nn.ConvTranspose3d(below, w, 2, stride=2), nn.PReLU(w)))
            self.decoders.append(ResidualStage(2 * w, n, kernel_side))
            below = 2 * w
        self.head = Conv3d(below, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, z, y, x) to the same shape."""
        x = x.expand(-1, self.width, -1, -1, -1)
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(x, x)
            if level < len(self.downs):
                skips.append(x)
                x = self.downs[level](x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = torch.cat([up(x), skips.pop()], dim=1)
            x = decoder(x, x)
        head: Tensor = self.head(x)
        return head


def _receptive_radius(counts: Sequence[int], half: int) -> int:
    """Voxels of the input that an output can see on either side, over all phases of the stride.

    Follows the deepest path back from an output: `counts` convolutions that reach `half` voxels.
    """
    stride, radius = 2 ** (len(counts) - 1), 0
    for phase in range(stride):
        low = high = phase
        for count in counts[:-1]:  # a decoder, then the transposed convolution below it
            low, high = (low - count * half) // 2, (high + count * half) // 2
        low, high = low - counts[-1] * half, high + counts[-1] * half
        for count in reversed(counts[:-1]):  # a strided convolution, then the encoder above it
            low, high = 2 * low - count * half, 2 * high + 1 + count * half
        radius = max(radius, phase - low, high - phase)
    return radius
