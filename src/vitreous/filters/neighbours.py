"""Weighted means over neighbours: what the bilateral and the non-local means filters share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from vitreous.core.blocks import reflected_indices

CHUNK_VOXELS = 2**18  # computed at once on a CPU, whose cache then holds the temporaries

Shift = tuple[int, ...]


@torch.no_grad()
def neighbour_mean(
    volume: Tensor,
    *,
    radius: int,
    scale: float,
    offset: Callable[[Shift], float],
    window: int = 1,
    padding: Literal["replicate", "reflect"] = "replicate",
    guides: Sequence[Tensor] = (),
) -> Tensor:
    """Mean of the voxels around each voxel, those that resemble it weighing more.

    A neighbour at the shift δ weighs exp(min(0, offset(δ) - scale · Σ (v(x + p) - v(x + δ + p))²)), where
    p runs over a window around the voxel; the voxel itself weighs 1. As the weight is the same both
    ways, every pair is looked at once. No gradients pass.

    Parameters
    ----------
    volume
        (..., z, y, x); leading axes are batches.
    radius
        Largest shift along each axis.
    scale, offset
        See above; `offset` must be even in δ.
    window
        Side of the window; an even one reaches one voxel further up than down.
    padding
        How the volume and the guides go on beyond their faces.
    guides
        What likeness is judged by instead of the volume, the squares of all of them summed; same shape.

    Returns
    -------
    Tensor of the same shape.
    """
    flat = volume.reshape(-1, *volume.shape[-3:])
    low, high = radius + (window - 1) // 2, radius + window // 2
    padded = extended(flat, low, high, padding)
    judged = [extended(g.reshape(flat.shape), low, high, padding) for g in guides] or [padded]
    total, weights = flat.clone(), torch.ones_like(flat)
    shape = flat.shape[1:]
    for shift in product(range(-radius, radius + 1), repeat=3):
        if shift <= (0, 0, 0):
            continue  # the opposite shift sees the same pairs
        back = tuple(-s for s in shift)
        constant = torch.tensor(offset(shift), dtype=flat.dtype, device=flat.device)
        for start, stop in _chunks(flat, shift):
            reach = [(a - (window - 1) // 2, b + window // 2) for a, b in zip(start, stop, strict=True)]
            weight = constant
            for guide in judged:
                difference = _cut(guide, reach, (0, 0, 0), low) - _cut(guide, reach, shift, low)
                if window == 1:
                    weight = torch.addcmul(weight, difference, difference, value=-scale)
                else:
                    squares = window_sums(difference.mul_(difference), window)
                    weight = torch.add(weight, squares, alpha=-scale)
            weight = weight.clamp_max_(0).exp_()
            # The voxel x sees the one at x + shift, and that one sees x.
            for own, other in (((0, 0, 0), shift), (shift, back)):
                spans = zip(start, stop, own, shape, strict=True)
                where = [(max(0, a + s), min(n, b + s)) for a, b, s, n in spans]
                if all(a < b for a, b in where):
                    seen = _cut(weight, where, [-a - s for a, s in zip(start, own, strict=True)])
                    _cut(total, where).addcmul_(seen, _cut(padded, where, other, low))
                    _cut(weights, where).add_(seen)
    return total.div_(weights).reshape(volume.shape)


def _chunks(flat: Tensor, shift: Shift) -> Iterator[tuple[list[int], list[int]]]:
    """Blocks of those voxels x of which x or x + shift lies inside, in planes along z."""
    start = [min(0, -s) for s in shift]
    stop = [n + max(0, -s) for n, s in zip(flat.shape[1:], shift, strict=True)]
    plane = flat.shape[0] * (stop[1] - start[1]) * (stop[2] - start[2])
    thickness = max(1, CHUNK_VOXELS // plane) if flat.device.type == "cpu" else stop[0] - start[0]
    for z in range(start[0], stop[0], thickness):
        yield [z, *start[1:]], [min(z + thickness, stop[0]), *stop[1:]]


def _cut(
    array: Tensor, where: Sequence[tuple[int, int]], shift: Sequence[int] = (0, 0, 0), margin: int = 0
) -> Tensor:
    """The voxels `where` + `shift` of (n, z, y, x) that begins `margin` voxels before the volume."""
    spans = zip(where, shift, strict=True)
    return array[(slice(None), *(slice(a + s + margin, b + s + margin) for (a, b), s in spans))]


def extended(volume: Tensor, low: int, high: int, padding: Literal["replicate", "reflect"]) -> Tensor:
    """A volume with `low` more voxels before and `high` behind along its last three axes.

    Unlike torch's padding it may exceed the volume: thin volumes are mirrored to and fro.

    Examples
    --------
    >>> extended(torch.arange(3.0).reshape(1, 1, 3), 3, 4, "reflect")[0, 0].int().tolist()
    [1, 2, 1, 0, 1, 2, 1, 0, 1, 2]
    """
    for axis in (-3, -2, -1):
        side = volume.shape[axis]
        if padding == "replicate":
            index = torch.arange(-low, side + high).clamp(0, side - 1)
        else:
            index = torch.from_numpy(reflected_indices(-low, low + side + high, side))
        volume = volume.index_select(axis, index.to(volume.device))
    return volume


def window_sums(values: Tensor, side: int) -> Tensor:
    """Sums over all windows of `side` voxels along each of the last three axes, as many as fit.

    Sums of 1, 2, 4, … voxels are doubled up and put together, so that a side of n costs 2·log₂ n additions.

    Examples
    --------
    >>> window_sums(torch.ones(4, 5, 6), 3)[0, 0].tolist()
    [27.0, 27.0, 27.0, 27.0]
    """
    for axis in (-3, -2, -1):
        count = values.shape[axis] - side + 1
        total, begun, width = None, 0, 1
        while begun < side:
            if side & width:
                part = values.narrow(axis, begun, count)
                total = part if total is None else total + part
                begun += width
            if begun < side:
                left = values.shape[axis] - width
                values = values.narrow(axis, 0, left) + values.narrow(axis, width, left)
                width *= 2
        assert total is not None
        values = total
    return values
