"""Gold beads. Their halo comes with the CTF and the reconstruction, not from here."""

from __future__ import annotations

from math import ceil

import numpy as np
from scipy.special import erf

from vitreous.core import Template

# 0.059 neutral gold atoms per Å³ scatter with 10.6 Å (47.88 V·Å² each): 29.9 V, less 4.5 V of ice.
GOLD_VOLT = 25.4
EDGE_ANGSTROM = 3.0  # roughness of the surface, as a Gaussian's sigma


def make_gold(diameter_angstrom: float, voxel_spacing_angstrom: float) -> Template:
    """A solid gold sphere, its edge averaged over a voxel.

    Parameters
    ----------
    diameter_angstrom
        Of the bead; 100 Å is usual.
    voxel_spacing_angstrom
        Edge of a voxel in Å.

    Examples
    --------
    >>> bead = make_gold(100.0, 10.0)
    >>> round(float(bead.density.max()), 1), round(float(bead.density.sum() * 1000 / 25.4 / 523599), 1)
    (25.4, 1.0)
    """
    width = np.hypot(EDGE_ANGSTROM, voxel_spacing_angstrom / np.sqrt(12)) * np.sqrt(2)
    half = ceil((diameter_angstrom / 2 + 2 * width) / voxel_spacing_angstrom) + 1
    z, y, x = np.ogrid[-half : half + 1, -half : half + 1, -half : half + 1]
    away = voxel_spacing_angstrom * np.sqrt(z**2 + y**2 + x**2)
    density = (GOLD_VOLT / 2 * (1 - erf((away - diameter_angstrom / 2) / width))).astype(np.float32)
    density[density < 1e-3 * GOLD_VOLT] = 0
    return Template("gold", density, voxel_spacing_angstrom)
