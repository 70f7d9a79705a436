"""DnCNN in three dimensions: a plain stack of convolutions that predicts the noise (Zhang et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


class DnCnn3d(nn.Module):
    """DnCNN on (batch, 1, z, y, x): the input less what `depth` convolutions of 3³ take for noise.

    Batch normalization, as published: at prediction its statistics are constants, so that tiles give
    what the whole volume would. Without it the loss after 120 steps on two patches of 24³ was three times
    as high. The last layer begins at zero: a network that first had to learn to leave its input alone
    stayed there, at the loss of no denoising, for 300 steps where the noise is weak.

    Parameters
    ----------
    width
        Channels of the hidden layers; 64 in the paper.
    depth
        Number of convolutions; 17 in the paper.
    """

    stride = 1

    def __init__(self, *, width: int = 16, depth: int = 10) -> None:
        super().__init__()
        self.receptive_radius = depth
        *hidden, last = conv_stack(1, width, 1, depth)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.layers = nn.Sequential(*hidden, last)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, z, y, x) to the same shape."""
        return x - self.layers(x)  # type: ignore[no-any-return]


def conv_stack(inputs: int, width: int, outputs: int, depth: int) -> Iterator[nn.Module]:
    """`depth` convolutions of 3³ with ReLU between them, all but the first and last normalized.

    Raises
    ------
    ValueError
        If `depth` is less than 2.
    """
    if depth < 2:
        raise ValueError(f"a stack of {depth} convolutions has no hidden layer")
    yield nn.Conv3d(inputs, width, 3, padding=1)
    yield nn.ReLU(inplace=True)
    for _ in range(depth - 2):
        yield nn.Conv3d(width, width, 3, padding=1, bias=False)  # the normalization has one
        yield nn.BatchNorm3d(width)
        yield nn.ReLU(inplace=True)
    yield nn.Conv3d(width, outputs, 3, padding=1)
