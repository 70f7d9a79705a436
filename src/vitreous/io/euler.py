"""Euler angles of other programs' files, and our rotations of (z, y, x) columns."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


def from_zyz(angles_deg: NDArray[Any]) -> NDArray[np.float64]:
    """Rotations (particle → tomogram) of RELION's and Warp's rot, tilt and psi.

    Parameters
    ----------
    angles_deg
        (n, 3) in degrees. The intrinsic z-y'-z'' rotation of the three takes the tomogram's axes to
        the particle's, so that its inverse takes points of the particle into the tomogram.

    Returns
    -------
    (n, 3, 3) that act on (z, y, x) columns.

    Examples
    --------
    A tilt of 90° brings the particle's +x to +z of the tomogram:

    >>> (from_zyz(np.array([[0, 90, 0]]))[0] @ [0, 0, 1]).round(6)  # zyx
    array([1., 0., 0.])
    """
    return _reordered(_matrices("ZYZ", angles_deg).transpose(0, 2, 1))


def to_zyz(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """RELION's rot, tilt and psi in degrees, (n, 3), of rotations (n, 3, 3) of (z, y, x) columns."""
    return _angles("ZYZ", _reordered(rotations).transpose(0, 2, 1))


def from_zxz(angles_deg: NDArray[Any]) -> NDArray[np.float64]:
    """Rotations (particle → tomogram) that are the intrinsic z-x'-z'' rotation of three angles.

    Parameters
    ----------
    angles_deg
        (n, 3) in degrees; the third turns the particle first: R = Rz(a)·Rx(b)·Rz(c).

    Returns
    -------
    (n, 3, 3) that act on (z, y, x) columns.

    Examples
    --------
    >>> (from_zxz(np.array([[90, 0, 0]]))[0] @ [0, 0, 1]).round(6)  # zyx: +x comes to +y
    array([0., 1., 0.])
    """
    return _reordered(_matrices("ZXZ", angles_deg))


def to_zxz(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """The three angles of `from_zxz`, (n, 3) in degrees, of rotations (n, 3, 3) of (z, y, x) columns."""
    return _angles("ZXZ", _reordered(rotations))


def _matrices(order: str, angles_deg: NDArray[Any]) -> NDArray[np.float64]:
    angles = np.asarray(angles_deg, np.float64).reshape(-1, 3)
    if not len(angles):  # not every SciPy takes none
        return np.empty((0, 3, 3))
    matrices: NDArray[np.float64] = Rotation.from_euler(order, angles, degrees=True).as_matrix()
    return matrices


def _angles(order: str, matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(matrices):
        return np.empty((0, 3))
    with warnings.catch_warnings():  # where only a sum of two angles counts, either choice is right
        warnings.filterwarnings("ignore", message="Gimbal lock")
        angles: NDArray[np.float64] = Rotation.from_matrix(matrices).as_euler(order, degrees=True)
    return angles


def _reordered(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between matrices of (x, y, z) and of (z, y, x) columns; both ways are the same."""
    return np.ascontiguousarray(matrices.reshape(-1, 3, 3)[:, ::-1, ::-1])
