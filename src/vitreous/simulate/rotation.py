"""Turning a template: cubic splines, and exactly the rotation and shift that the pose will state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous.core import Template

MARGIN = 2  # voxels around the structure, for the reach of a cubic spline and of a shift by half a voxel


@dataclass(frozen=True, eq=False)
class Turnable:
    """A template made ready to be turned many times.

    Parameters
    ----------
    coefficients
        Cubic spline coefficients of the padded density, computed once.
    low, high
        Smallest and largest density in volts; what overshoots them after turning is ringing.
    radius_voxels
        Distance from the centre to the furthest voxel that is not zero.
    """

    coefficients: NDArray[np.float32]
    low: float
    high: float
    radius_voxels: float

    @property
    def side(self) -> int:
        """Voxels along the edge of the cube that holds every rotation; odd."""
        return 2 * (int(np.ceil(self.radius_voxels)) + MARGIN) + 1


def make_turnable(template: Template, negligible: float = 1e-3) -> Turnable:
    """Prepare a template for `turn`.

    Parameters
    ----------
    template
        The structure; its density must be positive somewhere.
    negligible
        Share of the largest density below which a voxel counts as zero.

    Raises
    ------
    ValueError
        If the density is nowhere positive or not finite.
    """
    density = template.density
    if not np.isfinite(density).all() or not density.max() > 0:
        raise ValueError(f"the template {template.name} has no finite positive density")
    low, high = float(density.min()), float(density.max())
    there = np.argwhere(np.abs(density) > negligible * high) - template.side // 2
    radius = float(np.sqrt((there**2).sum(axis=1).max()))
    coefficients = ndi.spline_filter(np.pad(density, MARGIN), order=3, output=np.float32)
    return Turnable(coefficients, min(low, 0.0), high, radius)


def turn(
    turnable: Turnable, rotation: NDArray[np.float64], shift_voxels: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The density of a template, turned about its centre, then shifted.

    Parameters
    ----------
    turnable
        From `make_turnable`.
    rotation
        (3, 3), acts on (z, y, x) columns: what lies at p from the centre comes to `rotation @ p + shift`.
    shift_voxels
        (3,), zyx, each within half a voxel.

    Returns
    -------
    (side, side, side) float32 in volts, the centre of rotation at side // 2 + shift; zero where nothing is.
    """
    side = turnable.side
    inverse = rotation.T  # the output voxel at p reads the template at the inverse rotation of p
    offset = np.full(3, turnable.coefficients.shape[0] // 2) - inverse @ (side // 2 + shift_voxels)
    turned: NDArray[np.float32] = ndi.affine_transform(
        turnable.coefficients, inverse, offset, (side,) * 3, order=3, prefilter=False, output=np.float32
    )
    np.clip(turned, turnable.low, turnable.high, out=turned)
    turned[np.abs(turned) < 1e-3 * turnable.high] = 0
    return turned


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A (3, 3) rotation matrix, uniform over all rotations (from a uniform unit quaternion)."""
    w, *axis = rng.normal(size=4)
    vector = np.array(axis)
    cross = np.array(
        [[0, -vector[2], vector[1]], [vector[2], 0, -vector[0]], [-vector[1], vector[0], 0]], np.float64
    )
    rotation: NDArray[np.float64] = np.eye(3) + 2 * (w * cross + cross @ cross) / (w * w + vector @ vector)
    return rotation
