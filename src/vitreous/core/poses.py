"""Poses of particles: where each one sits and how it is turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Poses:
    """Rotation (particle → tomogram) and position of n particles, in (z, y, x) coordinates throughout.

    A point p of the particle, measured from its centre, lies at `rotations[i] @ p + positions_angstrom[i]`
    in the tomogram. Positions are measured in Å from the centre of the tomogram's first voxel, so that
    voxel index × voxel spacing is a position.

    Parameters
    ----------
    rotations
        (n, 3, 3), proper rotation matrices that act on (z, y, x) columns.
    positions_angstrom
        (n, 3), zyx, in Å.
    names
        n structure names, such as "pdb:1bxn".
    instances
        n positive labels, as in an instance mask; 1 … n when not given.

    Examples
    --------
    >>> poses = Poses(np.eye(3)[None], np.array([[10.0, 20.0, 30.0]]), ("phantom:ribosome",))
    >>> len(poses), poses.instances.tolist()
    (1, [1])
    """

    rotations: NDArray[np.float64]
    positions_angstrom: NDArray[np.float64]
    names: tuple[str, ...]
    instances: NDArray[np.int32] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        count = len(self.names)
        instances = np.arange(1, count + 1) if self.instances is None else self.instances
        for field, value, shape, kind in (
            ("rotations", self.rotations, (count, 3, 3), np.float64),
            ("positions_angstrom", self.positions_angstrom, (count, 3), np.float64),
            ("instances", instances, (count,), np.int32),
        ):
            array: NDArray[Any] = (
                np.asarray(value, kind).reshape(shape) if count == 0 else np.asarray(value, kind)
            )
            if array.shape != shape:
                raise ValueError(f"{count} poses need {field} of shape {shape}, not {array.shape}")
            object.__setattr__(self, field, array)
        products = self.rotations @ self.rotations.transpose(0, 2, 1)
        if not (np.allclose(products, np.eye(3), atol=1e-5) and (np.linalg.det(self.rotations) > 0).all()):
            raise ValueError("a pose's rotation must be a proper rotation matrix")

    def __len__(self) -> int:
        return len(self.names)

    def select(self, keep: NDArray[Any]) -> Poses:
        """Those poses that an index or boolean array picks, in its order."""
        index = np.arange(len(self))[keep]
        return Poses(
            self.rotations[index],
            self.positions_angstrom[index],
            tuple(self.names[i] for i in index),
            self.instances[index],
        )
