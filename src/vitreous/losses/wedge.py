"""A loss in Fourier space for networks that fill a missing wedge (key: deepdewedge)."""

from __future__ import annotations

import torch
from torch import Tensor


def measured_fourier_loss(
    difference: Tensor, kept: Tensor, measured: Tensor, filled_weight: float = 2.0
) -> Tensor:
    """Mean of |F(difference)|² over what the target holds, heavier where the input was emptied.

    With M the region kept in the input and M_φ the one measured in the target:
    |(M·M_φ)·F(d)|² + w·|((1 - M)·M_φ)·F(d)|².

    Parameters
    ----------
    difference
        (b, 1, z, y, x) prediction minus target.
    kept, measured
        M and M_φ, float, in the order of `torch.fft.rfftn`, broadcasting to (b, 1, z, y, x // 2 + 1).
    filled_weight
        w, 2 in METHODS of wedge filling.

    Returns
    -------
    Scalar; it is the mean square of the difference where M and M_φ are one everywhere.

    Examples
    --------
    >>> one = torch.ones(1)
    >>> d = torch.randn(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(measured_fourier_loss(d, one, one), d.square().mean())
    True
    """
    transform = torch.fft.rfftn(difference.float(), dim=(-3, -2, -1), norm="ortho")
    side = difference.shape[-1]
    twice = torch.full((side // 2 + 1,), 2.0, device=difference.device)  # k and -k, of which rfftn gives one
    twice[0] = 1.0
    if side % 2 == 0:
        twice[-1] = 1.0
    power = (transform.real.square() + transform.imag.square()) * twice
    weights = measured * (kept + filled_weight * (1 - kept))
    loss: Tensor = (power * weights).sum() / difference.numel()
    return loss
