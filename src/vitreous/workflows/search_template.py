"""What particles are searched with: a structure or map on a tomogram's voxels, and the tomogram's wedge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import InputError, Template
from vitreous.fourier import measured_region, patch_spectra
from vitreous.io import file_sha256
from vitreous.methods.wedge.geometry import MissingWedge, missing_wedge
from vitreous.workflows.simulate.spec import Contradiction, ParticleSpec
from vitreous.workflows.simulate.specimen import MAP_SUFFIXES
from vitreous.workflows.simulate.structures import template_of

PATCH, PATCHES = 32, 64  # of which the spectrum is made that shows the tilt range
SOLID = 0.1  # share of a template's maximum at which its extent is measured


@dataclass(frozen=True, eq=False)
class SearchTemplate:
    """A template with its size.

    Parameters
    ----------
    template
        Protein bright, centred.
    diameter_angstrom
        Twice the distance from the centre to the furthest solid voxel.
    """

    template: Template
    diameter_angstrom: float

    def box(self, side: int) -> Tensor:
        """(side, side, side) float32 with the template in the middle, its centre at voxel side // 2.

        Raises
        ------
        InputError
            If it does not fit.
        """
        own = self.template.side
        if self.diameter_angstrom / self.template.voxel_spacing_angstrom > side - 2:
            raise InputError(
                f"{self.template.name} is {self.diameter_angstrom:.0f} Å wide and does not fit a box of "
                f"{side} voxels",
                remedy="give a larger --box",
            )
        box = np.zeros((side,) * 3, np.float32)
        first = side // 2 - own // 2
        inner = slice(max(0, first), min(side, first + own))
        outer = slice(inner.start - first, inner.stop - first)
        box[inner, inner, inner] = self.template.density[outer, outer, outer]
        return torch.from_numpy(box)


def is_file_of_structure(structure: str) -> bool:
    """Whether a structure is a file rather than a phantom or an entry of the PDB."""
    return not structure.startswith(("phantom:", "pdb:"))


def open_template(structure: str, voxel_spacing_angstrom: float) -> SearchTemplate:
    """Build the template of a structure or a density map at a voxel spacing.

    Parameters
    ----------
    structure
        "phantom:NAME", "pdb:ID", or the path of an atomic model or of a density map, protein bright.
    voxel_spacing_angstrom
        That of the tomogram: a map of another one is resampled.

    Raises
    ------
    InputError
        If it cannot be read or is none of these.
    """
    suffixes = {suffix.lower() for suffix in PurePath(structure).suffixes[-2:]}
    is_map = is_file_of_structure(structure) and bool(suffixes & set(MAP_SUFFIXES))
    try:
        spec = ParticleSpec(structure=structure, mass_kda=1.0 if is_map else None)
    except (Contradiction, ValueError) as error:
        kinds = "phantom:NAME, pdb:ID, or a .pdb, .cif or .mrc file"
        raise InputError("is no structure", path=structure, remedy=f"give {kinds}") from error
    template = template_of(spec, voxel_spacing_angstrom)
    there = np.argwhere(template.density > SOLID * template.density.max()) - template.side // 2
    radius = float(np.linalg.norm(there, axis=1).max()) * voxel_spacing_angstrom
    return SearchTemplate(template, 2 * radius)


def structure_files(structure: str | None) -> list[Path]:
    """The file that a structure is read from, if it is one."""
    return [Path(structure)] if structure is not None and is_file_of_structure(structure) else []


def wedge_of(data: NDArray[Any], name: str, given: tuple[float, float] | None) -> MissingWedge:
    """The missing wedge of a tomogram (z, y, x): as given, or read off its spectrum far from the centre.

    Raises
    ------
    InputError
        If it is not given and cannot be told.
    """
    side = min(PATCH, *(s // 2 * 2 for s in data.shape))
    if given is not None:
        return missing_wedge(torch.ones(side, side, side), name, tilt_range_deg=given, tilt_axis=1)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, np.array(data.shape) - side + 1, (PATCHES, 3))
    cuts = (tuple(slice(int(c), int(c) + side) for c in corner) for corner in corners)
    patches = (torch.from_numpy(np.nan_to_num(np.asarray(data[cut], np.float32))) for cut in cuts)
    return missing_wedge(patch_spectra(patches).mean(0), name)


def transfer_of(wedge: MissingWedge, side: int) -> Tensor:
    """What a tomogram passes of a box: (side, side, side // 2 + 1), 0 and 1."""
    return measured_region((side,) * 3, wedge.tilt_range_deg, half=True, tilt_axis=wedge.tilt_axis).float()


def digests(files: list[Path]) -> dict[str, str]:
    """SHA-256 by path."""
    return {str(path): file_sha256(path) for path in files}
