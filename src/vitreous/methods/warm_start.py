"""A U-Net that begins with what it learned from simulated tomograms; `tools/pretrain.py` made the weights."""

from __future__ import annotations

from functools import cache
from importlib import resources

import torch
from pydantic import NonNegativeInt
from safetensors.torch import load
from torch import Tensor

from vitreous.methods.method import LearnedConfig
from vitreous.networks import UNet3d

WIDTH, LEVELS = 16, 2  # of the network whose weights ship with the package


class WarmConfig(LearnedConfig):
    """Settings of methods whose U-Net may begin with the shipped weights.

    `levels` is the number of halvings. `warm_start`: begin with weights that have denoised simulated
    tomograms of many styles, where the network has their width of 16 and 2 levels; others begin at random.
    """

    levels: NonNegativeInt = LEVELS
    warm_start: bool = True

    @property
    def is_warm(self) -> bool:
        """Whether the network begins with the shipped weights."""
        return self.warm_start and (self.width, self.levels) == (WIDTH, LEVELS)

    @property
    def beginning(self) -> dict[str, str]:
        """What a report says about it: nothing of random weights."""
        return {"network begins with": "weights trained on simulated tomograms"} if self.is_warm else {}

    def build_unet(self, seed: int) -> UNet3d:
        """The U-Net with the shipped weights, or with random ones drawn from `seed`.

        Examples
        --------
        >>> WarmConfig().build_unet(0).receptive_radius
        18
        """
        torch.manual_seed(seed)
        network = UNet3d(width=self.width, levels=self.levels)
        if self.is_warm:
            network.load_state_dict(shipped_weights())
        return network


@cache
def shipped_weights() -> dict[str, Tensor]:
    """Weights of the shipped network, float32; not to be written to."""
    data = resources.files("vitreous.methods").joinpath("weights", "unet.safetensors").read_bytes()
    return {name: tensor.float() for name, tensor in load(data).items()}
