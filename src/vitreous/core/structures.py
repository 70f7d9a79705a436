"""Atomic models and the densities made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class AtomicModel:
    """Atoms of one biological assembly.

    Parameters
    ----------
    name
        What it is called, such as "pdb:1bxn".
    positions_angstrom
        (n, 3), zyx, in Å.
    elements
        (n,) element symbols, such as "C" or "ZN".
    b_factors
        (n,) isotropic displacement parameters in Å².
    weights
        (n,) occupancies: 1 for an atom that is always there.
    """

    name: str
    positions_angstrom: NDArray[np.float64]
    elements: NDArray[np.str_]
    b_factors: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Template:
    """The density of one structure, protein positive, its centre of mass at the cube's centre voxel.

    Parameters
    ----------
    name
        What it is called, such as "phantom:ribosome".
    density
        (side, side, side) float32, odd side, centre at index side // 2; contrast against the solvent,
        zero outside the structure. In volts for structures of atoms and beads.
    voxel_spacing_angstrom
        Edge of a voxel in Å, the same along every axis.
    """

    name: str
    density: NDArray[np.float32]
    voxel_spacing_angstrom: float

    def __post_init__(self) -> None:
        sides = set(self.density.shape)
        if self.density.ndim != 3 or len(sides) != 1 or not next(iter(sides)) % 2:
            raise ValueError(f"a template is a cube of odd side, not {self.density.shape}")
        if not self.voxel_spacing_angstrom > 0:
            raise ValueError(f"the voxel spacing must be positive, not {self.voxel_spacing_angstrom}")

    @property
    def side(self) -> int:
        """Voxels along an edge."""
        return int(self.density.shape[0])
