"""Supervised denoising with DnCNN, FFDNet or V-Net, on pairs simulated in the tomogram's own style."""

from vitreous.methods.supervised.method import (
    DnCnn,
    DnCnnConfig,
    FfdNet,
    FfdNetConfig,
    SimulatedObjective,
    Supervised,
    SupervisedConfig,
    VNet,
    VNetConfig,
)

__all__ = [
    "DnCnn",
    "DnCnnConfig",
    "FfdNet",
    "FfdNetConfig",
    "SimulatedObjective",
    "Supervised",
    "SupervisedConfig",
    "VNet",
    "VNetConfig",
]
