"""Boxes of ice crowded with well-known complexes: the specimens of benchmarks and tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from vitreous.core import Template
from vitreous.simulate.bead_models import bead_model, template_from_beads
from vitreous.simulate.complexes import SHREC_STRUCTURES
from vitreous.simulate.contents import Contents, Filaments, Particles, Sheets, Vesicles
from vitreous.simulate.grand_model import GrandModel
from vitreous.simulate.packing import pack


def crowd(
    shape: Sequence[int],
    *,
    occupancy: float,
    seed: int,
    structures: Sequence[str] = SHREC_STRUCTURES,
    sheets: int = 0,
    vesicles: int = 0,
    filaments: Sequence[Filaments] = (),
    voxel_spacing_angstrom: float = 10.0,
) -> GrandModel:
    """Fill a box with bead models, the same number of each as far as there is room.

    Parameters
    ----------
    shape
        (z, y, x) in voxels.
    occupancy
        Share of the box that the particles shall fill, such as 0.1. What finds no room is left out and
        counted in `GrandModel.shortfalls`.
    seed
        Draws positions and orientations; the same one gives the same bytes.
    structures
        Names of bead models, such as "rubisco"; small ones for small boxes.
    sheets, vesicles, filaments
        Membranes that run through the box, closed ones, and filaments, on top of the particles.
    voxel_spacing_angstrom
        Edge of a voxel in Å.

    Raises
    ------
    InputError
        For an unknown name, a name given twice, or an occupancy outside 0 … 1.

    Examples
    --------
    >>> box = crowd((24, 40, 40), occupancy=0.1, seed=0, structures=("rubisco", "hsp90"))
    >>> box.class_names[:2], box.shortfalls
    (('phantom:rubisco', 'phantom:hsp90'), ())
    """
    contents = Contents(
        tuple(Particles(_template(name, voxel_spacing_angstrom), 1) for name in structures),
        particle_occupancy=occupancy,
        sheets=Sheets(sheets),
        vesicles=Vesicles(vesicles),
        filaments=tuple(filaments),
    )
    return pack(shape, voxel_spacing_angstrom, contents, np.random.default_rng(seed))


@cache
def _template(name: str, voxel_spacing_angstrom: float) -> Template:
    """Density of a bead model; shared, not to be written to."""
    return template_from_beads(bead_model(name), voxel_spacing_angstrom)
