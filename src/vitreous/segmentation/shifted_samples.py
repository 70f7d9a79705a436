"""Subtomograms shifted at random, so that a network cannot know that particles sit in the middle."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.training import LabelledSamples, UnlabelledSamples

AXES = (-3, -2, -1)


class ShiftedLabelled:
    """Labelled samples, each rolled by up to `reach` voxels along each axis; what leaves comes in again."""

    def __init__(self, samples: LabelledSamples, reach: int) -> None:
        self.samples, self.reach = samples, reach

    @property
    def original(self) -> LabelledSamples:
        """The volumes as they are."""
        return self.samples.original

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As the samples'; labels go along."""
        values, labels = self.samples.draw(count, generator)
        shifts = drawn_shifts(count, self.reach, generator)
        return rolled(values, shifts), rolled(labels, shifts)


class ShiftedUnlabelled:
    """The same for samples without labels."""

    def __init__(self, samples: UnlabelledSamples, reach: int) -> None:
        self.samples, self.reach = samples, reach

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """As the samples'."""
        values = self.samples.draw(count, generator)
        return rolled(values, drawn_shifts(count, self.reach, generator))


def drawn_shifts(count: int, reach: int, generator: torch.Generator) -> list[list[int]]:
    """Shifts along z, y and x of each volume, from -reach to reach."""
    shifts: list[list[int]] = torch.randint(-reach, reach + 1, (count, 3), generator=generator).tolist()
    return shifts


def rolled(volumes: Tensor, shifts: list[list[int]]) -> Tensor:
    """Volumes (n, …, z, y, x), each rolled by its own shift.

    Examples
    --------
    >>> rolled(torch.arange(4).reshape(1, 1, 1, 4), [[0, 0, 1]]).flatten().tolist()
    [3, 0, 1, 2]
    """
    return torch.stack([v.roll(tuple(shift), AXES) for v, shift in zip(volumes, shifts, strict=True)])
