"""Frequency grids in FFT order, in cycles per voxel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def frequency_axes(
    shape: Sequence[int], *, half: bool = False, device: torch.device | None = None
) -> tuple[Tensor, ...]:
    """Frequencies of every axis in cycles/voxel, shaped to broadcast against each other.

    Parameters
    ----------
    shape
        Side lengths of the real-space array, any rank.
    half
        If true the last axis holds only the non-negative frequencies of `torch.fft.rfftn`.
    device
        Where the tensors are made.

    Returns
    -------
    One tensor per axis, in FFT order.

    Examples
    --------
    >>> [tuple(f.shape) for f in frequency_axes((4, 6), half=True)]
    [(4, 1), (1, 4)]
    """
    axes = []
    for axis, side in enumerate(shape):
        last = axis == len(shape) - 1
        f = (
            torch.fft.rfftfreq(side, device=device)
            if half and last
            else torch.fft.fftfreq(side, device=device)
        )
        axes.append(f.reshape([-1 if i == axis else 1 for i in range(len(shape))]))
    return tuple(axes)


def frequency_radius(shape: Sequence[int], *, half: bool = False) -> Tensor:
    """|k| in cycles/voxel on the FFT grid of `shape`.

    Examples
    --------
    >>> round(float(frequency_radius((4, 4)).max()), 4)
    0.7071
    """
    return sum((f**2 for f in frequency_axes(shape, half=half)), torch.zeros(())).sqrt()


def shell_means(values: Tensor, edges: Sequence[float], weights: Tensor | None = None) -> Tensor:
    """Mean of `values` (FFT order) over shells of |k| between successive `edges`, in cycles/voxel.

    Shells that hold no frequency (or no weight) are NaN.

    Parameters
    ----------
    values
        Real tensor on a full FFT grid.
    edges
        Increasing shell borders, n + 1 of them.
    weights
        Optional weights of the same shape.

    Returns
    -------
    Tensor of n means, float64.
    """
    radius = frequency_radius(values.shape).flatten()
    shell = torch.bucketize(radius.double(), torch.tensor(list(edges), dtype=torch.float64), right=True)
    w = torch.ones(values.numel(), dtype=torch.float64) if weights is None else weights.flatten().double()
    total = torch.zeros(len(edges) + 1, dtype=torch.float64).index_add_(0, shell, w)
    sums = torch.zeros(len(edges) + 1, dtype=torch.float64).index_add_(
        0, shell, values.flatten().double() * w
    )
    return (sums / total)[1:-1]
