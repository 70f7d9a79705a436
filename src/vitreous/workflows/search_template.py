"""What particles are searched with: a structure or map on a tomogram's voxels, and the tomogram's wedge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import InputError, Normalization, Template
from vitreous.fourier import measured_region, volume_contrast_transfer
from vitreous.io import file_sha256
from vitreous.methods.noise_model import estimate_noise_spectrum
from vitreous.methods.wedge.geometry import MissingWedge, check_tilt_range
from vitreous.workflows.inspect.tilts import measured_tilt_range
from vitreous.workflows.simulate.spec import Contradiction, ParticleSpec
from vitreous.workflows.simulate.specimen import MAP_SUFFIXES
from vitreous.workflows.simulate.structures import template_of

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

    def box(self, side: int, defocus_um: float | None = None) -> Tensor:
        """(side, side, side) float32 with the template in the middle, its centre at voxel side // 2.

        As a tomogram of this defocus (in µm, underfocus) shows it, if one is given.

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
        if defocus_um is None:
            return torch.from_numpy(box)
        seen = torch.fft.rfftn(torch.from_numpy(box))
        seen *= volume_contrast_transfer(side, self.template.voxel_spacing_angstrom, defocus_um)
        shown: Tensor = torch.fft.irfftn(seen, s=box.shape)
        return shown


def is_file_of_structure(structure: str) -> bool:
    """Whether a structure is a file rather than a phantom or an entry of the PDB."""
    return not structure.startswith(("phantom:", "pdb:"))


def absolute_structure(structure: str) -> str:
    """A structure with the absolute path of its file, if it is one.

    Examples
    --------
    >>> absolute_structure("phantom:tric")
    'phantom:tric'
    """
    return str(Path(structure).absolute()) if is_file_of_structure(structure) else structure


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


def wedge_of(
    data: NDArray[Any], normalization: Normalization, path: Path | None, given: tuple[float, float] | None
) -> MissingWedge:
    """The missing wedge of a tomogram (z, y, x): as given, or as `inspect` reads it off the spectrum.

    The tilt axis is the one that the noise shows; y where a range is given and the noise shows none.

    Raises
    ------
    InputError
        If the range given makes no sense, or none is given and none can be told.
    """
    spectrum = estimate_noise_spectrum(data, normalization)
    if given is not None:
        check_tilt_range(given)
        return MissingWedge(given, spectrum.tilt_axis if spectrum.tilt_axis_seen else 1)
    found = measured_tilt_range(data, normalization, spectrum)
    if found is None:
        text = "its spectrum shows no missing wedge, so the tilt range cannot be told"
        raise InputError(text, path=path, remedy="give --tilt-range MIN MAX")
    return MissingWedge(found.limits_deg, found.tilt_axis)


def transfer_of(wedge: MissingWedge, side: int) -> Tensor:
    """What a tomogram passes of a box: (side, side, side // 2 + 1), 0 and 1."""
    return measured_region((side,) * 3, wedge.tilt_range_deg, half=True, tilt_axis=wedge.tilt_axis).float()


def digests(files: list[Path]) -> dict[str, str]:
    """SHA-256 by path."""
    return {str(path): file_sha256(path) for path in files}
