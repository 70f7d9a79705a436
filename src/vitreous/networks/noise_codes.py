"""Noise code from a tomogram, and noise mask from a code (dual, Fig. 1)."""

from __future__ import annotations

from torch import Tensor, nn

from vitreous.networks.convolution import Conv3d

SMALLEST_STEP = 8  # three halvings or doublings


class NoiseEncoder(nn.Module):
    """Stride-2 convolutions, a mean over what is left, and a linear layer to a code of `codes` numbers."""

    def __init__(self, codes: int, *, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Conv3d(1, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            Conv3d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            Conv3d(2 * width, 4 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.head = nn.Linear(4 * width, codes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, z, y, x) to codes (batch, codes)."""
        code: Tensor = self.head(self.layers(x).mean(dim=(2, 3, 4)))
        return code


class NoiseDecoder(nn.Module):
    """A linear layer and three transposed convolutions: a mask of `side`³ voxels from a code.

    Parameters
    ----------
    codes
        Numbers in a code.
    side
        Of the mask, a multiple of 8.
    width
        Channels before the last layer; four times as many after the linear one.
    """

    def __init__(self, codes: int, side: int, *, width: int) -> None:
        super().__init__()
        if side % SMALLEST_STEP:
            raise ValueError(f"masks have a side that is a multiple of {SMALLEST_STEP}, not {side}")
        self.coarse = (4 * width, *(side // SMALLEST_STEP,) * 3)
        count = 1
        for n in self.coarse:
            count *= n
        self.first = nn.Linear(codes, count)
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2, inplace=True),
            nn.ConvTranspose3d(4 * width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.ConvTranspose3d(2 * width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.ConvTranspose3d(width, 1, 4, stride=2, padding=1),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (batch, codes) to masks (batch, 1, side, side, side)."""
        mask: Tensor = self.layers(self.first(codes).unflatten(1, self.coarse))
        return mask
