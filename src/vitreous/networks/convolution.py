"""Convolutions that torch does wrongly, or slowly, on CPUs."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


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


class DepthwiseConv3d(nn.Conv3d):
    """A convolution of each channel with a kernel of its own, odd, that keeps the volume's shape.

    Torch 2.13 trains it slowly on CPUs: for 32 channels in 27 volumes of 18³ (bfloat16) the gradients of
    input and weights take 40 and 190 ms and the convolution itself 2. Here they are a convolution with the
    mirrored kernel (2 ms), and products of shifted volumes (50 ms).
    """

    def __init__(self, channels: int, kernel_size: int, *, dilation: int = 1) -> None:
        reach = dilation * (kernel_size // 2)
        super().__init__(channels, channels, kernel_size, padding=reach, dilation=dilation, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, channels, z, y, x)."""
        if x.device.type != "cpu":
            return super().forward(x)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        layout = torch.channels_last_3d
        x, weight, bias = x.to(dtype).contiguous(memory_format=layout), self.weight.to(dtype), self.bias
        out: Tensor = _Depthwise.apply(x, weight, self.dilation[0])  # type: ignore[no-untyped-call]
        return out if bias is None else out + bias.to(dtype)[:, None, None, None]


class _Depthwise(torch.autograd.Function):
    """The convolution and its first derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return _depthwise(x, weight, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        slope = slope.contiguous(memory_format=torch.channels_last_3d)
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            of_input = _depthwise(slope, weight.flip(2, 3, 4), ctx.dilation)
        if ctx.needs_input_grad[1]:
            of_weight = _products(x, slope, weight.shape[-1], ctx.dilation).reshape(weight.shape)
        return of_input, of_weight, None


def _depthwise(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv3d(x, weight, padding=padding, dilation=dilation, groups=x.shape[1])


def _products(x: Tensor, slope: Tensor, side: int, dilation: int) -> Tensor:
    """Sums (channels, side³) of a slope times the input as each weight of a kernel has seen it."""
    reach = dilation * (side // 2)
    last, other = x.movedim(1, -1), slope.movedim(1, -1).contiguous()
    padded = F.pad(last, (0, 0, *(reach,) * 6)).contiguous()
    sums, both = [], torch.empty_like(other)  # once: fresh memory costs more than the products
    for start in product(*([range(0, dilation * side, dilation)] * 3)):
        z, y, w = (slice(first, first + n) for first, n in zip(start, x.shape[2:], strict=True))
        torch.mul(padded[:, z, y, w], other, out=both)
        sums.append(both.flatten(0, 3).sum(0))
    return torch.stack(sums, dim=1)
