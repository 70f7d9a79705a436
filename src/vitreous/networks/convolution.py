"""A convolution whose gradient can be trusted whatever the volume's depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """`nn.Conv3d`, in float32 where a volume has fewer planes than the kernel.

    There torch 2.13 on CPUs that multiply bfloat16 returns memory that nothing was written to as the
    gradient of the weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, inputs, z, y, x)."""
        if x.device.type != "cpu" or x.shape[2] >= self.kernel_size[0]:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.to(self.weight.dtype))
