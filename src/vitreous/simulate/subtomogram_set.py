"""Many subtomograms as arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Poses
from vitreous.simulate.subtomograms import Array, Subtomogram, SubtomogramSimulator, Which


@dataclass(frozen=True, eq=False)
class SubtomogramSet:
    """n subtomograms with their truth.

    Parameters
    ----------
    densities, noise_free
        (n, z, y, x) float32; contrast with and without noise.
    masks
        (n, z, y, x) uint8; 1 where the target alone is above a quarter of its maximum.
    poses
        Of the targets, each in its own box: positions in Å from the centre of the first voxel. Names are
        those of the structures, instances are 1 … n in the whole set.
    classes
        (n,) int16; 1 for the first structure of the set.
    requested_snrs, snrs
        (n,); variance of the signal over that of the noise, as asked for and as measured.
    neighbours
        Names of the particles beside each target.
    """

    densities: Array
    noise_free: Array
    masks: NDArray[np.uint8]
    poses: Poses
    classes: NDArray[np.int16]
    requested_snrs: NDArray[np.float64]
    snrs: NDArray[np.float64]
    neighbours: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.poses)

    @classmethod
    def of(
        cls,
        simulator: SubtomogramSimulator,
        wanted: Sequence[Which],
        made: Iterable[Subtomogram],
        first: int = 1,
    ) -> SubtomogramSet:
        """The subtomograms `wanted`, as `made` by the simulator; `first` is the first one's instance."""
        side, count = simulator.settings.side, len(wanted)
        densities, noise_free = np.empty((2, count, side, side, side), np.float32)
        masks = np.empty((count, side, side, side), np.uint8)
        rest = []
        for n, one in enumerate(made):
            densities[n], noise_free[n], masks[n] = one.density, one.noise_free, one.mask
            rest.append((one.rotation, one.position_voxel, one.snr, one.neighbours))
        rotations, positions, snrs, neighbours = zip(*rest, strict=True)
        poses = Poses(
            np.array(rotations),
            np.array(positions) * simulator.settings.voxel_spacing_angstrom,
            tuple(simulator.templates[which.structure].name for which in wanted),
            np.arange(first, first + count, dtype=np.int32),
        )
        classes = np.array([which.structure + 1 for which in wanted], np.int16)
        requested = np.array([simulator.settings.snrs[which.snr] for which in wanted])
        return cls(densities, noise_free, masks, poses, classes, requested, np.array(snrs), neighbours)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays of numbers and text."""
        return {
            "densities": self.densities,
            "noise_free": self.noise_free,
            "masks": self.masks,
            "rotations": self.poses.rotations,
            "positions_angstrom": self.poses.positions_angstrom,
            "names": np.array(self.poses.names),
            "instances": self.poses.instances,
            "classes": self.classes,
            "requested_snrs": self.requested_snrs,
            "snrs": self.snrs,
            "neighbours": np.array([json.dumps(names) for names in self.neighbours]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> SubtomogramSet:
        """Inverse of `to_arrays`.

        Raises
        ------
        LookupError, ValueError
            If something is missing or contradicts itself.
        """
        names = tuple(str(name) for name in arrays["names"])
        poses = Poses(arrays["rotations"], arrays["positions_angstrom"], names, arrays["instances"])
        neighbours = tuple(tuple(json.loads(str(text))) for text in arrays["neighbours"])
        return cls(
            arrays["densities"],
            arrays["noise_free"],
            arrays["masks"],
            poses,
            arrays["classes"],
            arrays["requested_snrs"],
            arrays["snrs"],
            neighbours,
        )
