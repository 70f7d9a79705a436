"""What the transfer table trains and tests on: two microscopes, labelled specimens, and crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import measure_voxels
from vitreous.simulate import ImagingSettings, TiltScheme, crowd, image, weighted_back_projection

STRUCTURES = ("ribosome", "26s", "tric")
SPACING_ANGSTROM = 10.0
OCCUPANCY = 0.2
GRAND, UNLABELLED = 300, 400  # seeds of grand models to train on, and of the target's tomograms for DUAL
CENTRED_SHARE = 0.75  # of the crops hold a particle in their middle half, all classes as often
PLACES = 20_000
# Half turns: about any of the axes, and none. A half turn about x or z mirrors kz against kx, as a wedge that
# is symmetric allows; those of both microscopes are.
HALF_TURNS = ((), (-3, -1), (-3, -2), (-2, -1))

Array = NDArray[np.float32]
Labels = NDArray[np.uint8]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Microscope:
    """How tomograms are taken: tilts, underfocus and noise/signal (ratio of deviations)."""

    highest_deg: float
    step_deg: float
    defocus_um: float
    noise_to_signal: float

    def tomogram(self, density: Array, seed: int) -> Array:
        """A weighted back-projection of a tilt series, standardized; protein is dark."""
        tilts = TiltScheme(lowest_deg=-self.highest_deg, highest_deg=self.highest_deg, step_deg=self.step_deg)
        settings = ImagingSettings(tilts=tilts, defocus_um=self.defocus_um, snr=1 / self.noise_to_signal**2)
        series = image(density, SPACING_ANGSTROM, settings, seed=seed)
        return standardized(weighted_back_projection(series.images, series.tilt_angles_deg, density.shape[0]))


SOURCE = Microscope(60.0, 3.0, 3.0, 2.0)
TARGET = Microscope(48.0, 4.0, 6.0, 3.0)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Density (z, y, x) in volts, and labels: 0 for ice, i for `STRUCTURES[i - 1]`."""

    density: Array
    labels: Labels


@lru_cache(maxsize=16)
def labelled(shape: Shape, seed: int) -> Labelled:
    """A box of its own for each seed, packed with all structures in equal numbers."""
    model = crowd(shape, occupancy=OCCUPANCY, seed=seed, structures=STRUCTURES)
    classes = np.concatenate([[0], model.instance_classes]).astype(np.uint8)
    return Labelled(model.density, classes[model.instance_mask])


@lru_cache(maxsize=16)
def taken(microscope: Microscope, shape: Shape, seed: int) -> Array:
    """The tomogram of the box of a seed."""
    return microscope.tomogram(labelled(shape, seed).density, 1000 + seed)


def standardized(volume: Array) -> Array:
    """Outliers clipped, mean 0 and deviation 1, as a whole."""
    return measure_voxels(volume).normalization.apply(volume)


class CropSamples:
    """Labelled crops of volumes in memory: satisfies `methods.adaptation.LabelledSamples`.

    Parameters
    ----------
    values
        Volumes (z, y, x), standardized.
    labels
        Of the same shapes.
    side
        Of the crops.
    """

    def __init__(self, values: Sequence[Array], labels: Sequence[Labels], side: int) -> None:
        self.values = [torch.from_numpy(np.ascontiguousarray(v)) for v in values]
        self.labels = [torch.from_numpy(np.ascontiguousarray(v)) for v in labels]
        self.side = side
        classes = sorted({int(k) for volume in labels for k in np.unique(volume)} - {0})
        self.places = [places_of(labels, number) for number in classes]

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Values (count, 1, z, y, x) float32 and labels (count, z, y, x) int64."""
        pairs = [self._crop(generator) for _ in range(count)]
        return torch.stack([v for v, _ in pairs])[:, None], torch.stack([k for _, k in pairs]).long()

    def _crop(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        def integer(stop: int) -> int:
            return int(torch.randint(stop, (), generator=generator))

        which = integer(len(self.values))
        sides = [length - self.side for length in self.values[which].shape]
        start = [integer(room + 1) for room in sides]
        if self.places and float(torch.rand((), generator=generator)) < CENTRED_SHARE:
            places = self.places[integer(len(self.places))]
            which, *middle = places[integer(len(places))].tolist()
            sides = [length - self.side for length in self.values[which].shape]
            wanted = [m - self.side // 4 - integer(self.side // 2) for m in middle]
            start = [min(max(w, 0), room) for w, room in zip(wanted, sides, strict=True)]
        cut = tuple(slice(s, s + self.side) for s in start)
        turn = HALF_TURNS[integer(len(HALF_TURNS))]
        return self.values[which][cut].flip(turn), self.labels[which][cut].flip(turn)


def places_of(labels: Sequence[Labels], number: int) -> NDArray[np.int64]:
    """Where a class is: rows of volume, z, y, x, thinned."""
    rows = [
        np.column_stack([np.full(len(found), index), found])
        for index, found in enumerate(np.argwhere(volume == number) for volume in labels)
    ]
    places = np.concatenate(rows)
    return places[:: max(1, -(-len(places) // PLACES))]
