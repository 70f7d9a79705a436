"""Cubes cut from volumes at random rotations, with what the tilt series measured of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import inside_mask
from vitreous.training import TrainingVolume

SPLINE_MARGIN = 8  # voxels: what lies further away does not matter to a cubic spline
CENTRE_TRIES = 50  # until a patch is centred inside the specimen mask

Array = NDArray[np.float32]
Read = Callable[[Sequence[int], Sequence[int]], Array]
Turn = Callable[[torch.Generator], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a cube lies in a volume: its voxel g, counted from its middle, is at centre + rotation·g.

    Parameters
    ----------
    volume
        Index of the volume.
    rotation
        (3, 3) orthogonal, on (z, y, x) columns; mirror images are among them.
    centre
        Of the cube, in voxels of the volume.
    side
        Of the cube.
    """

    volume: int
    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    side: int

    @property
    def start(self) -> tuple[int, ...]:
        """First voxel of the block that holds the cube."""
        reach = np.abs(self.rotation).sum(1) * (self.side - 1) / 2 + SPLINE_MARGIN
        return tuple(int(v) for v in np.floor(self.centre - reach))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of that block."""
        reach = np.abs(self.rotation).sum(1) * (self.side - 1) / 2 + SPLINE_MARGIN
        stop = np.ceil(self.centre + reach) + 1
        return tuple(int(v) for v in stop - self.start)

    @property
    def is_exact(self) -> bool:
        """Whether the cube's voxels are voxels of the volume, so that nothing is interpolated."""
        return is_exact(self.rotation)

    def cut(self, block: Array) -> Array:
        """The cube out of its block, by cubic splines."""
        offset = self.centre - self.start - self.rotation @ np.full(3, (self.side - 1) / 2)
        order = 0 if self.is_exact else 3
        cube: Array = ndi.affine_transform(
            block, self.rotation, offset, (self.side,) * 3, order=order, mode="mirror", output=np.float32
        )
        return cube

    def inside(self, volume_shape: Sequence[int]) -> Array:
        """One where the cube lies in the volume, (side, side, side)."""
        mask = inside_mask(self.start, self.shape, volume_shape)
        if mask.all():
            return np.ones((self.side,) * 3, np.float32)
        offset = self.centre - self.start - self.rotation @ np.full(3, (self.side - 1) / 2)
        cube: Array = ndi.affine_transform(
            mask.astype(np.float32), self.rotation, offset, (self.side,) * 3, order=1, output=np.float32
        )
        return cube

    @property
    def where(self) -> str:
        """In words."""
        at = ", ".join(f"{v:.0f}" for v in self.centre)
        return f"the rotated patch of {self.side}³ around z, y, x = {at}"


class RotatedPatches:
    """Draws placements uniformly over volumes and rotations.

    A cube keeps within the volume where that is large enough for its rotation, else along that axis it
    is centred.

    Parameters
    ----------
    volumes
        Where to draw from; a volume is chosen in proportion to its number of voxels.
    side
        Of the cubes in voxels; even.
    """

    def __init__(self, volumes: Sequence[TrainingVolume], side: int) -> None:
        self.volumes, self.side = tuple(volumes), side
        self.sizes = torch.tensor([float(v.data.size) for v in volumes])

    def draw(self, generator: torch.Generator, turn: Turn | None = None) -> Placement:
        """One placement, its rotation drawn by `turn`, or of all there are.

        Where that leaves axes axes, the cube's voxels are voxels of the volume.
        """
        which = int(torch.multinomial(self.sizes, 1, generator=generator))
        rotation = (turn or random_rotation)(generator)
        whole = is_exact(rotation)
        volume = self.volumes[which]
        for _ in range(1 if volume.mask is None else CENTRE_TRIES):
            centre = self._centre(volume.data.shape, rotation, generator, whole=whole)
            if volume.mask is None or volume.mask[tuple(centre.astype(int))]:
                break
        return Placement(which, rotation, centre, self.side)

    def _centre(
        self,
        shape: Sequence[int],
        rotation: NDArray[np.float64],
        generator: torch.Generator,
        *,
        whole: bool,
    ) -> NDArray[np.float64]:
        last = np.array(shape, np.float64) - 1
        reach = np.abs(rotation).sum(1) * (self.side - 1) / 2
        room = np.maximum(last - 2 * reach, 0)
        share = torch.rand(3, generator=generator, dtype=torch.float64).numpy()
        centre: NDArray[np.float64] = last / 2 + (share - 0.5) * room
        if whole:  # the middle of an even cube lies between two voxels
            first = np.rint(last / 2 - room / 2 - reach) + np.floor(share * (np.rint(room) + 1))
            centre = first + (self.side - 1) / 2
        return centre


def is_exact(rotation: NDArray[np.float64]) -> bool:
    """Whether a rotation takes axes to axes."""
    return bool(np.isin(rotation, (-1.0, 0.0, 1.0)).all())


def mirroring(generator: torch.Generator) -> NDArray[np.float64]:
    """Each axis turned over or not, (3, 3)."""
    signs = torch.randint(2, (3,), generator=generator).double() * 2 - 1
    diagonal: NDArray[np.float64] = np.diag(signs.numpy())
    return diagonal


def right_angles(generator: torch.Generator) -> NDArray[np.float64]:
    """One of the twenty rotations by right angles that take the wedge elsewhere, (3, 3) [isonet]."""
    while True:
        order = torch.randperm(3, generator=generator).numpy()
        rotation: NDArray[np.float64] = mirroring(generator)[order]
        if np.linalg.det(rotation) > 0 and (order != np.arange(3)).any():
            return rotation


def random_rotation(generator: torch.Generator) -> NDArray[np.float64]:
    """A rotation drawn uniformly, and half of the time a point reflection after it; (3, 3)."""
    w, x, y, z = torch.nn.functional.normalize(
        torch.randn(4, generator=generator, dtype=torch.float64), dim=0
    ).tolist()
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    sign = -1.0 if torch.rand((), generator=generator).item() < 0.5 else 1.0
    mirrored: NDArray[np.float64] = sign * rotation
    return mirrored


def emptied(cube: Tensor, region: Tensor) -> Tensor:
    """A cube (…, z, y, x) with nothing left outside a region in the order of `torch.fft.rfftn`."""
    axes = (-3, -2, -1)
    kept: Tensor = torch.fft.irfftn(torch.fft.rfftn(cube, dim=axes) * region, s=cube.shape[-3:], dim=axes)
    return kept
