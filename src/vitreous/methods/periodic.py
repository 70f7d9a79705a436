"""Random fields fixed to a volume's coordinates: overlapping tiles see the same of them, so no seams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.training import step_generator

PERIOD = 96


class PeriodicFields:
    """Fields of period 96 voxels, each a function of (seed, index), drawn when first asked for.

    Parameters
    ----------
    draw
        From a shape and a generator to a field of independent voxels.
    seed
        Seed of all fields.
    """

    def __init__(self, draw: Callable[[Sequence[int], torch.Generator], Tensor], seed: int) -> None:
        self.draw, self.seed = draw, seed
        self.fields: list[Tensor] = []

    def cut(self, index: int, coordinates: Sequence[NDArray[np.intp]]) -> Tensor:
        """The field's values on the grid of these coordinates along z, y and x; negative ones are allowed."""
        while len(self.fields) <= index:
            self.fields.append(self.draw((PERIOD,) * 3, step_generator(self.seed, len(self.fields))))
        block = self.fields[index]
        for axis, along in enumerate(coordinates):
            block = block.index_select(axis, torch.from_numpy(np.mod(along, PERIOD)))
        return block
