"""Templates that are not the structure, to compare it with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Template

BILAYER_ANGSTROM = 40.0  # between the head groups of a membrane

Array = NDArray[np.float32]


def mirror_image(density: Array) -> Array:
    """The other hand of a structure."""
    return np.ascontiguousarray(density[::-1])


def slab_of(template: Template) -> Template:
    """A patch of membrane as large as a structure: two leaflets across z, cut to a disc."""
    side, spacing = template.side, template.voxel_spacing_angstrom
    z, y, x = np.meshgrid(*[(np.arange(side) - side // 2) * spacing] * 3, indexing="ij")
    width = max(10.0, 0.5 * spacing)
    leaflets = sum(np.exp(-0.5 * ((z - sign * BILAYER_ANGSTROM / 2) / width) ** 2) for sign in (-1, 1))
    reach = 0.42 * side * spacing
    disc = 1 / (1 + np.exp((np.hypot(y, x) - reach) / (0.5 * spacing)))
    return Template("membrane", (leaflets * disc).astype(np.float32), spacing)
