"""SC-Net on one volume: some voxels predict the others, and the prediction is to be sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from vitreous.losses import total_variation
from vitreous.methods.masking import MaskedObjective, with_means
from vitreous.methods.method import PreparedVolume, placed
from vitreous.methods.plain_unet import PlainUNet, UNetConfig


class ScNetConfig(UNetConfig):
    """Settings of SC-Net.

    `hidden_share` of a patch, in cubes of `spot_side` voxels, is hidden at a time. `sparsity` weighs the
    mean absolute gradient of the prediction.

    Published are cubes of 3 voxels and a weight of 0.01 to 0.8. Measured on white noise after 250 steps:
    cubes of 1, 2 and 3 voxels give 30.8, 28.4 and 26.4 dB, weights of 0, 0.01, 0.1 and 0.2 give 30.7,
    30.8, 31.1 and 30.7. Larger cubes are for noise that is not independent between voxels; for
    back-projected noise they help (18.9 instead of 17.1 dB), and not enough (a Gaussian: 26.0).
    """

    hidden_share: float = Field(0.25, gt=0, lt=1)
    spot_side: int = Field(1, ge=1, le=7)
    sparsity: NonNegativeFloat = 0.1


class ScNet(PlainUNet[ScNetConfig]):
    """Train a U-Net from part of the voxels to the others, with a penalty on its gradient (sc-net).

    The idea is that of the paper: a volumetric blind spot, hidden in the input; a loss on what was
    hidden alone; and a prior that the gradient of a specimen is sparse, an L1 norm. Ours, where the texts
    at hand leave it open: which voxels are hidden is drawn independently for each cube, and means of the
    visible neighbours take their place; the published code shifts cubes by a voxel, which leaves what
    is hidden in view. A reconstruction of filtered projections, whose gradients it is guided by, is left
    out: one volume has no projections. The result is what the network makes of all voxels at once, which
    measured better (30.8 dB) than predicting each while it is hidden (30.5).
    """

    name: ClassVar[str] = "sc-net"
    config_type = ScNetConfig

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> MaskedObjective:
        """Prediction of hidden voxels and its sparsity, on random patches of all volumes."""
        sources = [v.volume for v in volumes]
        return MaskedObjective(
            placed(network, device), sources, self.config, device, hide=self.hide, penalty=self.penalty
        )

    def hide(self, values: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Values (z, y, x) with some of them replaced, and which: the same shape, boolean."""
        config = self.config
        hidden = random_spots(values.shape, config.spot_side, config.hidden_share, generator)
        return with_means(values, hidden, config.spot_side), hidden

    def penalty(self, prediction: Tensor, inside: Tensor) -> Tensor:
        """The sparsity constraint on a prediction (b, 1, z, y, x)."""
        return self.config.sparsity * total_variation(prediction, inside)


def random_spots(shape: Sequence[int], side: int, share: float, generator: torch.Generator) -> Tensor:
    """Cubes of `side` voxels on a grid of random origin, each chosen with probability `share`.

    Returns
    -------
    Boolean tensor of `shape` (z, y, x).

    Examples
    --------
    >>> spots = random_spots((4, 6, 8), 2, 0.5, torch.Generator().manual_seed(0))
    >>> spots.shape, spots.dtype
    (torch.Size([4, 6, 8]), torch.bool)
    """
    chosen = torch.rand([n // side + 2 for n in shape], generator=generator) < share
    origin = torch.randint(side, (3,), generator=generator).tolist()
    for axis, (start, n) in enumerate(zip(origin, shape, strict=True)):
        chosen = chosen.repeat_interleave(side, axis).narrow(axis, start, n)
    return chosen
