"""The identity whose gradient changes its sign: two sides of a game in one descent (dann)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gradient_reversed(x: Tensor, strength: float = 1.0) -> Tensor:
    """`x` itself; what flows back through it is multiplied by -`strength` (dann, eqs 14 and 15).

    Examples
    --------
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> gradient_reversed(x, 0.5).square().backward()
    >>> float(x.grad)
    -3.0
    """
    result: Tensor = _Reversed.apply(x, strength)  # type: ignore[no-untyped-call]
    return result


class _Reversed(torch.autograd.Function):
    """See `gradient_reversed`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None
