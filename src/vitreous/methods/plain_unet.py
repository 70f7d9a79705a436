"""What methods share that train the plain U-Net on the volume as it is."""

from __future__ import annotations

from typing import TypeVar

import torch
from pydantic import NonNegativeInt
from torch import nn

from vitreous.methods.method import LearnedConfig, VolumeIndependent
from vitreous.networks import UNet3d
from vitreous.networks.unet3d import unet_bytes_per_voxel


class UNetConfig(LearnedConfig):
    """Settings of methods with a U-Net; `levels` is its number of halvings."""

    levels: NonNegativeInt = 2


UNetConfigT = TypeVar("UNetConfigT", bound=UNetConfig)


class PlainUNet(VolumeIndependent[UNetConfigT]):
    """A U-Net from one volume to one volume, the same as the noise model's."""

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return unet_bytes_per_voxel(self.config.width)

    def build_network(self, seed: int) -> nn.Module:
        """The U-Net of the configuration."""
        torch.manual_seed(seed)
        return UNet3d(width=self.config.width, levels=self.config.levels)
