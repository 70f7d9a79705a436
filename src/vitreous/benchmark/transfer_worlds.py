"""What the transfer table trains and tests on: two microscopes and labelled specimens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Poses, measure_voxels
from vitreous.simulate import ImagingSettings, TiltScheme, crowd, image, weighted_back_projection

STRUCTURES = ("ribosome", "26s", "tric")
SPACING_ANGSTROM = 10.0
OCCUPANCY = 0.2
# Seeds of grand models to train on, of the target's tomograms for DUAL, and of those to average from.
GRAND, UNLABELLED, AVERAGED = 300, 400, 1000

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
    """Density (z, y, x) in volts, labels (0 for ice, i for `STRUCTURES[i - 1]`), and where particles are."""

    density: Array
    labels: Labels
    poses: Poses


@lru_cache(maxsize=16)
def labelled(shape: Shape, seed: int) -> Labelled:
    """A box of its own for each seed, packed with all structures in equal numbers."""
    model = crowd(shape, occupancy=OCCUPANCY, seed=seed, structures=STRUCTURES)
    classes = np.concatenate([[0], model.instance_classes]).astype(np.uint8)
    return Labelled(model.density, classes[model.instance_mask], model.poses)


@lru_cache(maxsize=16)
def taken(microscope: Microscope, shape: Shape, seed: int) -> Array:
    """The tomogram of the box of a seed."""
    return microscope.tomogram(labelled(shape, seed).density, 1000 + seed)


def standardized(volume: Array) -> Array:
    """Outliers clipped, mean 0 and deviation 1, as a whole."""
    return measure_voxels(volume).normalization.apply(volume)
