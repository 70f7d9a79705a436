"""The volume under construction: densities are laid down one instance at a time, labels follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
SOLID_SHARE = 0.05  # share of a structure's largest density from which it excludes others
LABEL_SHARE = 0.25  # share of it from which a voxel belongs to the instance


@dataclass(frozen=True, eq=False)
class Piece:
    """One instance, ready to be laid down somewhere.

    Parameters
    ----------
    density
        (z, y, x) float32, volts.
    label
        Voxels that will belong to the instance.
    solid
        Voxels that exclude everything else.
    """

    density: NDArray[np.float32]
    label: Mask
    solid: Mask

    def __post_init__(self) -> None:
        if not self.density.shape == self.label.shape == self.solid.shape:
            raise ValueError("density, label and solid of a piece must have the same shape")

    @classmethod
    def of_density(cls, density: NDArray[np.float32], peak_volt: float | None = None) -> Piece:
        """A piece whose label and solid are shares of the peak: of the density itself unless given."""
        peak = float(density.max()) if peak_volt is None else peak_volt
        return cls(density, density >= LABEL_SHARE * peak, density >= SOLID_SHARE * peak)


@dataclass(eq=False)
class Canvas:
    """Arrays (z, y, x) of a grand model in the making; the only mutable value here.

    Parameters
    ----------
    density, instance_mask, occupied
        Written in place by `lay`.
    classes, thresholds_volt
        One entry per instance laid down so far.
    """

    density: NDArray[np.float32]
    instance_mask: NDArray[np.int32]
    occupied: Mask
    classes: list[int] = field(default_factory=list)
    thresholds_volt: list[float] = field(default_factory=list)

    @classmethod
    def empty(cls, shape: Sequence[int]) -> Canvas:
        """Nothing but ice."""
        sides = tuple(shape)
        return cls(np.zeros(sides, np.float32), np.zeros(sides, np.int32), np.zeros(sides, bool))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sides in voxels."""
        z, y, x = self.density.shape
        return z, y, x

    def cropped(self, first: int, stop: int) -> Canvas:
        """A canvas that writes into planes first … stop - 1 of this one, with the same instances."""
        cut = slice(first, stop)
        return Canvas(
            self.density[cut], self.instance_mask[cut], self.occupied[cut], self.classes, self.thresholds_volt
        )

    def begin(self, class_label: int) -> int:
        """A new instance of a class, and its label."""
        self.classes.append(class_label)
        self.thresholds_volt.append(np.inf)
        return len(self.classes)

    def lay(self, piece: Piece, corner: Sequence[int], instance: int) -> None:
        """Lay (a part of) an instance down with its first voxel at `corner`; what leaves the box is cut off.

        Where two densities meet, the higher one counts: matter does not add up in one place. So a voxel
        never falls below what its owner brought there.
        """
        target = tuple(
            slice(max(0, c), max(0, c + side)) for c, side in zip(corner, piece.density.shape, strict=True)
        )
        density = self.density[target]
        source = tuple(
            slice(max(0, -c), max(0, -c) + side) for c, side in zip(corner, density.shape, strict=True)
        )
        new = piece.density[source]
        both = (new != 0) & (density != 0)
        density[...] = np.where(both, np.maximum(new, density), new + density)
        label = piece.label[source] & (self.instance_mask[target] == 0)
        self.instance_mask[target][label] = instance
        self.occupied[target] |= piece.solid[source]
        lowest = float(new.min(initial=np.inf, where=label))
        self.thresholds_volt[instance - 1] = min(self.thresholds_volt[instance - 1], lowest)
