"""Templates: what atoms, beads or a density map scatter more than the ice they displace."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import gemmi
import numpy as np
import scipy.constants
import scipy.ndimage as ndi
import torch
from numpy.typing import NDArray

from vitreous.core import AtomicModel, Template
from vitreous.fourier import frequency_radius, resample
from vitreous.fourier.resample import cosine_edge

# h²/2πme, which turns scattering amplitudes in Å into integrated potentials: 47.88 V Å²
_VOLTS = scipy.constants.h**2 / (2 * np.pi * scipy.constants.m_e * scipy.constants.e) * 1e20

ICE_POTENTIAL_VOLTS = 4.53
"""Mean inner potential of amorphous ice at 0.93 g/cm³ as isolated atoms, like the structures themselves."""

# Å³ displaced by an atom. Metals take the volume of a small ion.
_DISPLACED_VOLUME = {"C": 16.44, "H": 5.15, "D": 5.15, "N": 2.49, "O": 9.13, "P": 5.73, "S": 19.86}
_OTHER_VOLUME = 10.0

_COARSEST_SAMPLING = 2.0  # Å
_BLUR = 40.0  # B factor, in squares of the fine spacing, that makes even point atoms safe to sample
_MARGIN = 3  # voxels around the structure, for what the edge smears
_SUPPORT = 0.02  # of the maximum: what is more than two voxels away from this is outside

Array = NDArray[np.float64]
Grid = NDArray[np.float32]


def template_from_atoms(
    model: AtomicModel, voxel_spacing_angstrom: float, *, solvent_potential_volts: float = ICE_POTENTIAL_VOLTS
) -> Template:
    """Electrostatic potential of an atomic model against the ice around it, in volts.

    Each atom contributes its electron scattering factor [peng] with its B factor and occupancy,
    less the solvent it displaces, a Gaussian of the atom's volume [fraser]. Ice counts
    4.53 V [vulovic], the value of isolated atoms; measured values are lower, as are those of
    protein. Hydrogens missing from the model are no loss: one has 25 V Å³ of potential and displaces
    ice of 23 V Å³.

    Parameters
    ----------
    model
        Positions (n, 3), zyx, in Å.
    voxel_spacing_angstrom
        Of the template. Atoms are drawn on a grid of 2 Å or finer, which is then cut in Fourier space.
    solvent_potential_volts
        Mean inner potential of the solvent; 0 gives the structure in vacuum.

    Raises
    ------
    ValueError
        If the model has no atoms, or they scatter no more than the solvent.

    Examples
    --------
    >>> one = np.ones(1)
    >>> carbon = AtomicModel("carbon", np.zeros((1, 3)), np.array(["C"]), 20 * one, one)
    >>> template = template_from_atoms(carbon, 2.0, solvent_potential_volts=0)
    >>> round(float(template.density.sum()) * 2.0**3)  # V Å³
    120
    """
    if not len(model.elements):
        raise ValueError(f"{model.name} has no atoms")
    names, kinds = np.unique(model.elements, return_inverse=True)
    elements = [gemmi.Element(str(name)) for name in names]
    volumes = np.array([_DISPLACED_VOLUME.get(str(name), _OTHER_VOLUME) for name in names])
    scattering = np.array([sum(element.c4322.a) for element in elements])
    solvent = -solvent_potential_volts / _VOLTS * volumes
    displaced_b = 4 * np.pi * volumes ** (2 / 3)  # exp(-π r² / v^⅔), as a B factor

    def draw(calculator: gemmi.DensityCalculatorE, positions: Array) -> None:
        atom = gemmi.Atom()
        for position, kind, b_factor, weight in zip(
            positions.tolist(), kinds.tolist(), model.b_factors.tolist(), model.weights.tolist(), strict=True
        ):
            atom.pos, atom.element, atom.occ = gemmi.Position(*position), elements[kind], weight
            atom.b_iso = b_factor
            calculator.add_atom_density_to_grid(atom)
            atom.b_iso = b_factor + displaced_b[kind]
            calculator.add_c_contribution_to_grid(atom, solvent[kind])

    shares = model.weights * (scattering + solvent)[kinds]
    return _render(model.name, model.positions_angstrom, shares, draw, voxel_spacing_angstrom)


def template_from_gaussians(
    name: str,
    positions_angstrom: Array,
    potentials: Array,
    sigma_angstrom: float,
    voxel_spacing_angstrom: float,
) -> Template:
    """Sum of equally wide Gaussians.

    Parameters
    ----------
    name
        Of the template.
    positions_angstrom
        (n, 3), zyx, in Å.
    potentials
        (n,) integrals in V Å³.
    sigma_angstrom
        Standard deviation of each, in Å.
    voxel_spacing_angstrom
        Of the template.
    """

    def draw(calculator: gemmi.DensityCalculatorE, positions: Array) -> None:
        atom = gemmi.Atom()
        atom.b_iso = 8 * np.pi**2 * sigma_angstrom**2
        for position, potential in zip(positions.tolist(), potentials.tolist(), strict=True):
            atom.pos = gemmi.Position(*position)
            calculator.add_c_contribution_to_grid(atom, potential / _VOLTS)

    return _render(name, positions_angstrom, potentials, draw, voxel_spacing_angstrom)


def _render(
    name: str,
    positions: Array,
    shares: Array,
    draw: Callable[[gemmi.DensityCalculatorE, Array], None],
    spacing: float,
) -> Template:
    """Draw on a fine grid about the centre of mass, weighted by `shares`, and cut it to `spacing`."""
    if not spacing > 0:
        raise ValueError(f"the voxel spacing must be positive, not {spacing}")
    if not shares.sum() > 0:
        raise ValueError(f"{name} scatters no more than the solvent it displaces")
    centred = positions - np.average(positions, axis=0, weights=shares)
    half = ceil(float(np.linalg.norm(centred, axis=1).max()) / spacing) + _MARGIN
    factor = max(2, ceil(spacing / _COARSEST_SAMPLING))
    fine, side = spacing / factor, 2 * (half + 1)
    calculator = gemmi.DensityCalculatorE()
    calculator.grid.set_size(*(side * factor,) * 3)
    # The cell is a cube and atoms are round: gemmi's first axis may as well be z.
    calculator.grid.set_unit_cell(gemmi.UnitCell(*(side * spacing,) * 3, 90, 90, 90))
    calculator.grid.spacegroup = gemmi.SpaceGroup("P 1")
    calculator.blur = _BLUR * fine**2
    draw(calculator, centred + (half + 1) * spacing)
    drawn = torch.from_numpy(np.array(calculator.grid.array)) * _VOLTS
    coarse = _without_blur(resample(drawn, (side,) * 3), calculator.blur / spacing**2)
    return Template(name, _outside_removed(coarse[1:, 1:, 1:].numpy()), spacing)


def _without_blur(volume: torch.Tensor, blur: float) -> torch.Tensor:
    """Take a B factor (in squared voxels) off; a cosine to zero at Nyquist leaves no ringing."""
    radius = frequency_radius(volume.shape)
    gain = torch.exp(blur * radius.clamp(max=0.5) ** 2 / 4) * cosine_edge(radius, 1.0)
    sharpened: torch.Tensor = torch.fft.ifftn(torch.fft.fftn(volume) * gain).real
    return sharpened


def _outside_removed(density: Grid) -> Grid:
    """Zero beyond two voxels from the structure; its integral is kept."""
    inside = ndi.binary_dilation(density > _SUPPORT * density.max(), iterations=2)
    cleaned = np.where(inside, density, 0)
    return np.ascontiguousarray(cleaned * (density.sum() / cleaned.sum()), np.float32)


def template_from_density(
    density: Grid, spacing_angstrom: float, voxel_spacing_angstrom: float, name: str
) -> Template:
    """A density map on another sampling, without its background, centred.

    The background is the map's median; four of its standard deviations above it the structure begins,
    and all that lies further than two voxels from that is set to zero.

    Parameters
    ----------
    density
        (z, y, x), the structure brighter than its surroundings.
    spacing_angstrom
        Of the map, in Å, the same along every axis.
    voxel_spacing_angstrom
        Of the template.
    name
        Of the template.

    Returns
    -------
    Template
        In the grey values of the map, at its own resolution or, on coarser voxels, filtered as atoms are.

    Raises
    ------
    ValueError
        If nothing rises above the background.
    """
    structure = _background_removed(np.asarray(density, np.float32))
    weights = np.maximum(structure, 0)
    if not weights.any():
        raise ValueError(f"{name} has no density above its background")
    where = np.argwhere(weights > 0)
    mass = weights[tuple(where.T)].astype(np.float64)
    centre = np.average(where, axis=0, weights=mass)
    radius = float(np.linalg.norm(where - centre, axis=1).max()) * spacing_angstrom
    half = ceil(radius / voxel_spacing_angstrom) + _MARGIN
    side, fine_side = _matching_sides(2 * (half + 1), spacing_angstrom, voxel_spacing_angstrom)
    box = _cut(structure, np.round(centre).astype(int), fine_side)
    # The structure's centre, in the box, is to lie where the new grid has its middle voxel.
    target = side // 2 * voxel_spacing_angstrom / spacing_angstrom
    shift = target - (centre - np.round(centre) + fine_side // 2)
    moved = np.fft.ifftn(ndi.fourier_shift(np.fft.fftn(box), shift)).real.astype(np.float32)
    coarse = resample(torch.from_numpy(moved), (side,) * 3)
    if voxel_spacing_angstrom > spacing_angstrom:
        coarse = _without_blur(coarse, 0.0)
    middle = slice(side // 2 - half, side // 2 + half + 1)
    return Template(name, _outside_removed(coarse[middle, middle, middle].numpy()), voxel_spacing_angstrom)


def _background_removed(density: Grid) -> Grid:
    background = np.median(density)
    below = density[density <= background] - background
    noise = float(np.sqrt(np.mean(below**2)))
    above = density - background
    inside = ndi.binary_dilation(above > max(4 * noise, _SUPPORT * above.max()), iterations=2)
    return np.where(inside, above, np.float32(0)).astype(np.float32)


def _matching_sides(least: int, spacing: float, new_spacing: float) -> tuple[int, int]:
    """Even sides on the new and the old grid that span the same field, to a part in a thousand or so."""
    sides = range(least, least + 40, 2)
    field = {side: 2 * round(side * new_spacing / spacing / 2) for side in sides}
    best = min(sides, key=lambda side: round(abs(field[side] * spacing / (side * new_spacing) - 1), 3))
    return best, field[best]


def _cut(volume: Grid, centre: NDArray[np.int_], side: int) -> Grid:
    """A cube about `centre`, filled up with zeros; `centre` comes to lie at index side // 2."""
    cube = np.zeros((side,) * 3, np.float32)
    start = centre - side // 2
    inside = [(max(0, s), min(n, s + side)) for s, n in zip(start, volume.shape, strict=True)]
    source = tuple(slice(low, high) for low, high in inside)
    target = tuple(slice(low - s, high - s) for (low, high), s in zip(inside, start, strict=True))
    cube[target] = volume[source]
    return cube
