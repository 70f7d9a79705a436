"""Cut particles at their poses, turn them back and average: this tells mirror images and axes apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous.core import Poses
from vitreous.metrics import fourier_shell_correlation

Array = NDArray[np.float32]
HALF_NYQUIST = 0.25  # cycles/voxel
SWAP = np.eye(3)[[2, 1, 0]]  # exchanges z and x


def unrotated(
    coefficients: Array, rotation: NDArray[np.float64], position_voxel: NDArray[np.float64], side: int
) -> Array:
    """One particle in its own frame, its centre at index side // 2.

    Parameters
    ----------
    coefficients
        Cubic spline coefficients of a volume (z, y, x), from `scipy.ndimage.spline_filter`.
    rotation
        (3, 3), particle → volume, acts on (z, y, x) columns.
    position_voxel
        (3,), zyx, of the particle's centre in the volume.
    side
        Voxels along the edge of the result.

    Returns
    -------
    (side, side, side); 0 where the volume ends.
    """
    offset = position_voxel - rotation @ np.full(3, side // 2)
    turned: Array = ndi.affine_transform(
        coefficients, rotation, offset, (side,) * 3, order=3, prefilter=False, output=np.float32
    )
    return turned


def unrotated_average(volume: Array, poses: Poses, voxel_spacing_angstrom: float, side: int) -> Array:
    """Mean of all particles of a volume (z, y, x), each in its own frame."""
    coefficients = ndi.spline_filter(volume, order=3, output=np.float32)
    positions = poses.positions_angstrom / voxel_spacing_angstrom
    return average(
        unrotated(coefficients, r, p, side) for r, p in zip(poses.rotations, positions, strict=True)
    )


def average(volumes: Iterable[Array]) -> Array:
    """Mean of equally large volumes, of which only one is in memory at a time."""
    total, count = np.zeros((), np.float64), 0
    for volume in volumes:
        total, count = total + volume, count + 1
    mean: Array = (total / count).astype(np.float32)
    return mean


def wrong_poses(poses: Poses, extent_angstrom: NDArray[np.float64]) -> dict[str, Poses]:
    """Poses as a reader with a typical mistake would understand them.

    Parameters
    ----------
    poses
        The true ones.
    extent_angstrom
        (3,), zyx; position of the last voxel in Å.
    """
    mirror = np.diag([-1.0, 1.0, 1.0])
    mirrored = poses.positions_angstrom @ mirror + extent_angstrom * [1, 0, 0]
    rotations, positions = poses.rotations, poses.positions_angstrom
    changes = {
        "inverse rotations": (rotations.transpose(0, 2, 1), positions),
        "z and x swapped in rotations": (SWAP @ rotations @ SWAP, positions),
        "z and x swapped": (SWAP @ rotations @ SWAP, positions @ SWAP),
        "z mirrored": (mirror @ rotations @ mirror, mirrored),
    }
    return {name: Poses(r, p, poses.names, poses.instances) for name, (r, p) in changes.items()}


def wrong_templates(template: Array) -> Mapping[str, Array]:
    """The template mirrored along each axis, and with axes exchanged."""
    flips = {f"mirrored along {axis}": np.flip(template, n) for n, axis in enumerate("zyx")}
    swaps = {
        "z and x exchanged": template.transpose(2, 1, 0),
        "axes in another order": template.transpose(1, 2, 0),
    }
    return flips | swaps


def lowest_fsc(first: Array, second: Array) -> float:
    """Lowest FSC of all shells up to half Nyquist."""
    frequency, curve = fourier_shell_correlation(first, second)
    return float(curve[frequency <= HALF_NYQUIST].min())


def highest_fine_fsc(first: Array, second: Array) -> float:
    """Highest FSC between a quarter and half of Nyquist; coarser than that, mirror images look alike."""
    frequency, curve = fourier_shell_correlation(first, second)
    return float(curve[(frequency > HALF_NYQUIST / 2) & (frequency <= HALF_NYQUIST)].max())
