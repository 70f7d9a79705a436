"""Crops of tomograms, and labelled ones of simulated specimens under a tomogram's own noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import read_block
from vitreous.fourier import NoiseGenerator

WRAP = 16  # drawn noise is periodic: a crop is cut from a block this much larger
CENTRED_SHARE = 0.75  # of the crops have a labelled thing in their middle
STRENGTHS = (0.5, 2.0)
PROPER = ((), (0, 2), (0, 1), (1, 2))  # axes to flip: half turns, which leave hands as they are


@dataclass(frozen=True, eq=False)
class LabelledBox:
    """A simulated specimen without noise, or a tomogram of one.

    Parameters
    ----------
    values
        (z, y, x) float32 in units of the standardized tomogram, its mean zero.
    labels
        (z, y, x) integers: 0 is background, i the class i - 1 of those that are told apart.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        if self.values.shape != self.labels.shape:
            raise ValueError("values and labels of a box must have the same shape")


class TomogramSamples:
    """Draws labelled crops: a piece of a simulated specimen, more or less strong, under fresh noise.

    Most crops have a voxel of a class in their middle, every class of the boxes as often as any other:
    background comes along by itself.

    Parameters
    ----------
    boxes
        Specimens, each with sides of at least `side`.
    noise
        Power spectrum (z, y, x) of the noise, FFT-ordered, in units of the standardized tomogram's variance;
        None where the boxes have theirs.
    side
        Of the cubic crops, in voxels.
    strengths
        Lowest and highest factor on the signal, drawn on a logarithmic scale: how strong it is in the
        tomogram is an estimate, which depends on how crowded that is.
    turns
        Axes along which a crop may be flipped, each time one of these: all of `PROPER` where the tilt range
        is symmetric, else those that leave its wedge in place.
    """

    def __init__(
        self,
        boxes: Sequence[LabelledBox],
        noise: Tensor | None,
        side: int,
        *,
        strengths: tuple[float, float] = STRENGTHS,
        turns: Sequence[tuple[int, ...]] = PROPER,
    ) -> None:
        if not boxes or any(min(box.values.shape) < side for box in boxes):
            raise ValueError(f"crops of {side}³ need boxes at least as large")
        self.boxes, self.side, self.strengths, self.turns = boxes, side, strengths, tuple(turns)
        self.noise = None if noise is None else NoiseGenerator(noise, (side + WRAP,) * 3)
        found = sorted({int(label) for box in boxes for label in np.unique(box.labels)} - {0})
        self.places = [_places(boxes, label) for label in found]

    @property
    def original(self) -> TomogramSamples:
        """These: nothing is scaled."""
        return self

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Values (count, 1, z, y, x) float32 and labels (count, z, y, x) int64."""
        crops = [self._crop(generator) for _ in range(count)]
        return torch.stack([c[0] for c in crops])[:, None], torch.stack([c[1] for c in crops])

    def _crop(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        def integer(stop: int) -> int:
            return int(torch.randint(stop, (), generator=generator))

        def uniform() -> float:
            return float(torch.rand((), generator=generator))

        which, middle = integer(len(self.boxes)), None
        if self.places and uniform() < CENTRED_SHARE:
            places = self.places[integer(len(self.places))]
            which, *middle = places[integer(len(places))].tolist()
        box = self.boxes[which]
        start = []
        for axis, length in enumerate(box.values.shape):
            room = length - self.side
            wanted = integer(room + 1)
            if middle is not None:  # anywhere in the middle half of the crop
                wanted = middle[axis] - self.side // 4 - integer(self.side // 2)
            start.append(min(max(wanted, 0), room))
        cut = tuple(slice(s, s + self.side) for s in start)
        flips = self.turns[integer(len(self.turns))]
        low, high = (math.log(s) for s in self.strengths)
        strength = math.exp(low + (high - low) * uniform())
        values = torch.from_numpy(np.ascontiguousarray(box.values[cut])).flip(flips) * strength
        if self.noise is not None:
            values = values + self.noise.draw(generator)[0][(slice(0, self.side),) * 3]
        labels = torch.from_numpy(box.labels[cut].astype(np.int64)).flip(flips)
        return values, labels


class UnlabelledCrops:
    """Draws crops of a tomogram of which nothing is known; see `training.UnlabelledSamples`.

    Parameters
    ----------
    tomogram
        (z, y, x) float32, standardized; reflected where a side is shorter than `side`.
    side, turns
        As for `TomogramSamples`.
    """

    def __init__(
        self, tomogram: NDArray[np.float32], side: int, *, turns: Sequence[tuple[int, ...]] = PROPER
    ) -> None:
        self.tomogram, self.side, self.turns = tomogram, side, tuple(turns)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Values (count, 1, z, y, x) float32."""

        def integer(stop: int) -> int:
            return int(torch.randint(stop, (), generator=generator))

        crops = []
        for _ in range(count):
            starts = [integer(max(0, length - self.side) + 1) for length in self.tomogram.shape]
            crop = torch.from_numpy(read_block(self.tomogram, starts, (self.side,) * 3))
            crops.append(crop.flip(self.turns[integer(len(self.turns))]))
        return torch.stack(crops)[:, None]


def class_weights(boxes: Sequence[LabelledBox], classes: int) -> tuple[float, ...]:
    """Inverse roots of each class's share of all voxels; 1 for the most common one, 0 for what is nowhere.

    Examples
    --------
    >>> labels = np.repeat([0, 1], [16, 4]).reshape(1, 4, 5)
    >>> class_weights([LabelledBox(np.zeros((1, 4, 5), np.float32), labels)], 3)
    (1.0, 2.0, 0.0)
    """
    counts = np.sum([np.bincount(box.labels.ravel(), minlength=classes) for box in boxes], axis=0)
    shares = counts / counts.max()
    return tuple(float(share**-0.5) if share > 0 else 0.0 for share in shares)


def _places(boxes: Sequence[LabelledBox], label: int, most: int = 20_000) -> NDArray[np.int64]:
    """Where a label is: rows of box, z, y, x, thinned to `most`."""
    rows = []
    for index, box in enumerate(boxes):
        voxels = np.argwhere(box.labels == label)
        rows.append(np.column_stack([np.full(len(voxels), index), voxels]))
    places = np.concatenate(rows)
    return places[:: max(1, -(-len(places) // most))]
