"""How weights begin."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils import parametrize


def initialize_orthogonally(network: nn.Module) -> None:
    """Orthogonal kernels and zero biases for every convolution and linear layer, in place (dual).

    The random numbers are those of torch's global generator.

    Examples
    --------
    >>> import torch
    >>> layer = nn.Linear(3, 3)
    >>> initialize_orthogonally(layer)
    >>> bool(torch.allclose(layer.weight @ layer.weight.T, torch.eye(3), atol=1e-5))
    True
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d, nn.Linear)):
            own: Any = module.parametrizations if parametrize.is_parametrized(module, "weight") else None
            nn.init.orthogonal_(module.weight if own is None else own.weight.original)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
