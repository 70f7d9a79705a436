"""What a simulated tomogram truly holds: density, labels and poses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Poses

CLASSES_BESIDE_PARTICLES = ("membrane", "vesicle", "actin", "microtubule", "gold")


@dataclass(frozen=True)
class Tally:
    """How many of one kind were asked for and how many found room.

    Parameters
    ----------
    name
        The kind, as in `GrandModel.class_names`.
    requested, placed
        Counts.
    """

    name: str
    requested: int
    placed: int


@dataclass(frozen=True, eq=False)
class GrandModel:
    """Noise-free packed density with labels and poses, all arrays (z, y, x).

    An instance owns the voxels where its own density reaches its threshold, so `density` reaches it there
    too. No voxel has two owners, and the class of a voxel is by construction the class of its instance.

    Parameters
    ----------
    density
        float32 contrast against the ice, in volts.
    instance_mask
        int32 labels 1 … n; 0 belongs to nothing.
    occupancy
        bool; where something solid excludes everything else. Reaches a little further than the instances,
        and fills the lumen of microtubules.
    instance_classes
        (n,) int16; class label of instance i at index i - 1.
    instance_thresholds_volt
        (n,) float32; the density that every voxel of the instance reaches, in volts.
    class_names
        Class label i is called `class_names[i - 1]`: first the particles, then `CLASSES_BESIDE_PARTICLES`.
    poses
        Of the particles; their `instances` are labels of `instance_mask`.
    other_poses
        Centres of vesicles and gold beads, not rotated.
    tallies
        Requested against placed for each kind that was asked for.
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    """

    density: NDArray[np.float32]
    instance_mask: NDArray[np.int32]
    occupancy: NDArray[np.bool_]
    instance_classes: NDArray[np.int16]
    instance_thresholds_volt: NDArray[np.float32]
    class_names: tuple[str, ...]
    poses: Poses
    other_poses: Poses
    tallies: tuple[Tally, ...]
    voxel_spacing_angstrom: float

    def __post_init__(self) -> None:
        if not self.density.shape == self.instance_mask.shape == self.occupancy.shape:
            raise ValueError("density, instance mask and occupancy must have the same shape")
        if len(self.instance_classes) != len(self.instance_thresholds_volt):
            raise ValueError("every instance needs a class and a threshold")

    @cached_property
    def class_mask(self) -> NDArray[np.int16]:
        """(z, y, x) int16 class labels; 0 is ice."""
        return np.concatenate([np.zeros(1, np.int16), self.instance_classes])[self.instance_mask]

    @property
    def shortfalls(self) -> tuple[Tally, ...]:
        """The kinds of which fewer were placed than requested."""
        return tuple(tally for tally in self.tallies if tally.placed < tally.requested)
