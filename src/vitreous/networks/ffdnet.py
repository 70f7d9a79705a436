"""FFDNet in three dimensions: it works on unshuffled voxels, and is told the noise (Zhang et al. 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.networks.dncnn import conv_stack
from vitreous.networks.phase_lattice import volume_shuffle, volume_unshuffle

FACTOR = 2


class FfdNet3d(nn.Module):
    """FFDNet on (batch, 2, z, y, x): a volume and its noise level map; sides must be even.

    The eight voxels of each block of 2³ become channels, the mean noise level of the block a ninth; a
    stack of convolutions maps them to the eight voxels of the clean block.

    Parameters
    ----------
    width
        Channels of the hidden layers; 64 in the paper.
    depth
        Number of convolutions, on the coarse grid; 15 in the paper.
    """

    stride = FACTOR

    def __init__(self, *, width: int = 64, depth: int = 6) -> None:
        super().__init__()
        # A block sees `depth` blocks on either side, and each of its voxels the far ends of those.
        self.receptive_radius = FACTOR * depth + FACTOR - 1
        cells = FACTOR**3
        self.layers = nn.Sequential(*conv_stack(cells + 1, width, cells, depth))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 2, z, y, x), noise deviations in channel 1, to (batch, 1, z, y, x)."""
        volume, level = x[:, :1], x[:, 1:]
        cells = torch.cat([volume_unshuffle(volume, FACTOR), F.avg_pool3d(level, FACTOR)], dim=1)
        return volume_shuffle(self.layers(cells), FACTOR)
