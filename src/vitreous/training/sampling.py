"""Random patches of standardized volumes, a function of (seed, step) alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization, inside_mask, read_block

MASK_TRIES = 50

Place = tuple[int, list[int]]  # index of a volume, and where a patch starts in it


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
    voxel_spacing_angstrom
        Edge of a voxel in Å, None if unknown.
    """

    data: NDArray[Any]
    normalization: Normalization
    mask: NDArray[np.bool_] | None = None
    name: str = "volume"
    target: NDArray[Any] | None = None
    voxel_spacing_angstrom: float | None = None


@dataclass(frozen=True, eq=False)
class Patch:
    """A standardized crop.

    `values` and the optional `target` are (z, y, x); `inside` is 1 where a voxel is no reflection;
    `volume` is the index of the volume it was cut from, `start` where, `flips` the axes it was flipped
    along afterwards, `where` the same in words.
    """

    values: Tensor
    inside: Tensor
    volume: int
    start: tuple[int, ...]
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
    held_share
        Share of the patches that are never drawn and make up `held_out`. The patches then lie side by
        side on a grid, as overlapping ones would let the drawn know the held; too few hold none.
    """

    def __init__(self, volumes: Sequence[TrainingVolume], side: int, held_share: float = 0.0) -> None:
        self.volumes = tuple(volumes)
        self.shape = (side,) * 3
        sizes = np.array([v.data.size for v in self.volumes], dtype=np.float64)
        self._borders = np.cumsum(sizes / sizes.sum())
        self._drawn, self._held = self._shared_out(held_share) if held_share else ([], [])

    def draw(self, generator: torch.Generator) -> Patch:
        """One patch; the same generator state gives the same patch."""
        if self._drawn:
            which, start = self._drawn[int(torch.randint(len(self._drawn), (), generator=generator))]
        else:
            which = int(
                np.searchsorted(
                    self._borders, torch.rand((), generator=generator, dtype=torch.float64).item()
                )
            )
            which = min(which, len(self.volumes) - 1)
            start = self._origin(which, generator)
        flips = tuple(axis for axis in range(3) if torch.rand((), generator=generator).item() < 0.5)
        return self._cut(which, start, flips)

    def held_out(self) -> Iterator[Patch]:
        """The patches that `draw` never gives, as they lie in the volumes."""
        return (self._cut(which, start, ()) for which, start in self._held)

    def _cut(self, which: int, start: Sequence[int], flips: tuple[int, ...]) -> Patch:
        volume = self.volumes[which]

        def crop(data: NDArray[Any]) -> Tensor:
            block = volume.normalization.apply(read_block(data, start, self.shape))
            return torch.from_numpy(block).flip(flips)

        inside = torch.from_numpy(inside_mask(start, self.shape, volume.data.shape).astype(np.float32)).flip(
            flips
        )
        where = f"the patch of {self.shape[0]}³ at z, y, x = {', '.join(map(str, start))} of {volume.name}"
        target = None if volume.target is None else crop(volume.target)
        return Patch(crop(volume.data), inside, which, tuple(start), flips, where, target)

    def _shared_out(self, held_share: float) -> tuple[list[Place], list[Place]]:
        """Places on a grid to draw from, and those held; both in the order of the grid."""
        places = [
            (which, list(start))
            for which, volume in enumerate(self.volumes)
            for start in product(
                *(_grid(n, side) for n, side in zip(volume.data.shape, self.shape, strict=True))
            )
        ]
        places = [p for p in places if self._in_mask(*p)] or places
        count = min(round(held_share * len(places)), len(places) - 1)
        held = set(np.random.default_rng(0).permutation(len(places))[:count].tolist())
        return (
            [p for i, p in enumerate(places) if i not in held],
            [p for i, p in enumerate(places) if i in held],
        )

    def _origin(self, which: int, generator: torch.Generator) -> list[int]:
        volume = self.volumes[which]
        for _ in range(MASK_TRIES if volume.mask is not None else 1):
            start = []
            for side, length in zip(self.shape, volume.data.shape, strict=True):
                # A thin axis is centred; elsewhere every fully inside position is equally likely.
                room = max(length - side, 0)
                offset = int(torch.randint(room + 1, (), generator=generator))
                start.append(offset if length >= side else (length - side) // 2)
            if self._in_mask(which, start):
                break
        return start

    def _in_mask(self, which: int, start: Sequence[int]) -> bool:
        """Whether the patch at `start` is centred inside the specimen mask, if there is one."""
        mask = self.volumes[which].mask
        centre = tuple(
            min(max(s + n // 2, 0), m - 1)
            for s, n, m in zip(start, self.shape, self.volumes[which].data.shape, strict=True)
        )
        return mask is None or bool(mask[centre])


def _grid(length: int, side: int) -> list[int]:
    """Starts of patches side by side along an axis, spread over it; a single one is centred."""
    count = max(1, length // side)
    if count == 1:
        return [(length - side) // 2]
    return [round(i * (length - side) / (count - 1)) for i in range(count)]
