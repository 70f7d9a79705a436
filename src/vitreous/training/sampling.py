"""Random patches of standardized volumes, a function of (seed, step) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization, inside_mask, read_block

MASK_TRIES = 50


def step_generator(seed: int, step: int, device: torch.device | None = None) -> torch.Generator:
    """The generator of one training step: resuming needs no state but the step's number."""
    mixed = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator(device=device or "cpu").manual_seed(mixed)


@dataclass(frozen=True, eq=False)
class TrainingVolume:
    """A volume patches are drawn from.

    Parameters
    ----------
    data
        (z, y, x) grey values, may be memory-mapped.
    normalization
        Constants that standardize it.
    mask
        Optional specimen mask: patches are centred inside.
    name
        What messages call it.
    target
        Optional second volume of the same shape: the patch's partner (the other half, or the truth).
    """

    data: NDArray[Any]
    normalization: Normalization
    mask: NDArray[np.bool_] | None = None
    name: str = "volume"
    target: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Patch:
    """A standardized crop.

    `values` and the optional `target` are (z, y, x); `inside` is 1 where a voxel is no reflection;
    `volume` is the index of the volume it was cut from, `flips` the axes it was flipped along
    afterwards, `where` the same in words.
    """

    values: Tensor
    inside: Tensor
    volume: int
    flips: tuple[int, ...]
    where: str
    target: Tensor | None = None


class PatchSampler:
    """Draws patches uniformly over the volumes, flipped at random along each axis.

    A side of the patch that is longer than the volume is filled by reflection, and `Patch.inside`
    keeps the filling out of the loss.

    Parameters
    ----------
    volumes
        Where to draw from; a volume is chosen in proportion to its number of voxels.
    side
        Side of the cubic patch in voxels.
    """

    def __init__(self, volumes: Sequence[TrainingVolume], side: int) -> None:
        self.volumes = tuple(volumes)
        self.shape = (side,) * 3
        sizes = np.array([v.data.size for v in self.volumes], dtype=np.float64)
        self._borders = np.cumsum(sizes / sizes.sum())

    def draw(self, generator: torch.Generator) -> Patch:
        """One patch; the same generator state gives the same patch."""
        which = int(
            np.searchsorted(self._borders, torch.rand((), generator=generator, dtype=torch.float64).item())
        )
        which = min(which, len(self.volumes) - 1)
        volume = self.volumes[which]
        start = self._origin(volume, generator)
        flips = tuple(axis for axis in range(3) if torch.rand((), generator=generator).item() < 0.5)

        def crop(data: NDArray[Any]) -> Tensor:
            block = volume.normalization.apply(read_block(data, start, self.shape))
            return torch.from_numpy(block).flip(flips)

        inside = torch.from_numpy(inside_mask(start, self.shape, volume.data.shape).astype(np.float32)).flip(
            flips
        )
        where = f"the patch of {self.shape[0]}³ at z, y, x = {', '.join(map(str, start))} of {volume.name}"
        target = None if volume.target is None else crop(volume.target)
        return Patch(crop(volume.data), inside, which, flips, where, target)

    def _origin(self, volume: TrainingVolume, generator: torch.Generator) -> list[int]:
        for _ in range(MASK_TRIES if volume.mask is not None else 1):
            start = []
            for side, length in zip(self.shape, volume.data.shape, strict=True):
                # A thin axis is centred; elsewhere every fully inside position is equally likely.
                room = max(length - side, 0)
                offset = int(torch.randint(room + 1, (), generator=generator))
                start.append(offset if length >= side else (length - side) // 2)
            centre = [
                min(max(s + n // 2, 0), m - 1)
                for s, n, m in zip(start, self.shape, volume.data.shape, strict=True)
            ]
            if volume.mask is None or volume.mask[tuple(centre)]:
                break
        return start
