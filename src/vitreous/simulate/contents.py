"""What is to be packed into a box: plain values, nothing drawn yet."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.core import InputError, Template
from vitreous.simulate.grand_model import CLASSES_BESIDE_PARTICLES
from vitreous.simulate.helices import FilamentKind


@dataclass(frozen=True, eq=False)
class Particles:
    """Copies of one structure.

    Parameters
    ----------
    template
        The structure, at the voxel spacing of the box.
    count
        How many. Where `Contents.particle_occupancy` is given, counts are only shares of the mixture.
    """

    template: Template
    count: int


@dataclass(frozen=True)
class Vesicles:
    """Closed membranes.

    Parameters
    ----------
    count
        How many.
    radius_angstrom
        Smallest and largest mean radius, to the middle of the bilayer, in Å.
    deformation
        Deviation from a sphere, relative to the radius (root mean square over shapes).
    """

    count: int = 0
    radius_angstrom: tuple[float, float] = (200.0, 400.0)
    deformation: float = 0.06


@dataclass(frozen=True)
class Sheets:
    """Curved membranes that run through the box.

    Parameters
    ----------
    count
        How many.
    slope
        Root mean square slope against the mean plane; 0 is flat.
    """

    count: int = 0
    slope: float = 0.3


@dataclass(frozen=True)
class Filaments:
    """Filaments of one kind that run through the box.

    Parameters
    ----------
    kind
        `ACTIN`, `MICROTUBULE` or one's own.
    count
        How many.
    max_elevation_deg
        Largest angle out of the (y, x) plane; 90 for any direction.
    """

    kind: FilamentKind
    count: int
    max_elevation_deg: float = 15.0


@dataclass(frozen=True)
class Gold:
    """Fiducial beads.

    Parameters
    ----------
    count
        How many.
    diameter_angstrom
        Mean diameter in Å.
    diameter_spread
        Standard deviation of the diameter, relative to it.
    """

    count: int = 0
    diameter_angstrom: float = 100.0
    diameter_spread: float = 0.08


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything in a box of ice.

    Parameters
    ----------
    particles
        Structures and how many of each; names must differ.
    particle_occupancy
        Share of the slab that particles shall fill, such as 0.2; None to go by their counts.
    vesicles, sheets, filaments, gold
        What stands beside the particles. Every kind of filament at most once.
    slab_voxels
        First and one past the last plane along z that may hold anything; None for the whole box.
    gap_voxels
        Least distance between solid voxels of different instances; 0 lets them touch.
    overlap_tolerance_voxels
        Solid voxels that a newly placed particle may share with what is already there.
    """

    particles: tuple[Particles, ...] = ()
    particle_occupancy: float | None = None
    vesicles: Vesicles = Vesicles()
    sheets: Sheets = Sheets()
    filaments: tuple[Filaments, ...] = ()
    gold: Gold = Gold()
    slab_voxels: tuple[int, int] | None = None
    gap_voxels: int = 0
    overlap_tolerance_voxels: int = 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class label i is `class_names[i - 1]`; labels beside the particles do not depend on counts."""
        return (*(p.template.name for p in self.particles), *CLASSES_BESIDE_PARTICLES)

    def check(self, shape: tuple[int, int, int], voxel_spacing_angstrom: float) -> None:
        """Refuse what contradicts itself or the box.

        Raises
        ------
        InputError
            For a negative count, names or kinds that occur twice, an unknown kind of filament, another
            voxel spacing, an occupancy outside 0 … 1 or without particles, membranes too deformed, or a slab
            outside the box.
        """
        counts = [p.count for p in self.particles] + [f.count for f in self.filaments]
        counts += [self.vesicles.count, self.sheets.count, self.gold.count]
        if min([*counts, self.gap_voxels, self.overlap_tolerance_voxels]) < 0:
            raise InputError("counts, the gap and the overlap tolerance must not be negative")
        if len(set(self.class_names)) < len(self.class_names):
            raise InputError("two structures have the same name", remedy="give every structure its own")
        kinds = [f.kind.name for f in self.filaments]
        if len(set(kinds)) < len(kinds) or not set(kinds) <= set(CLASSES_BESIDE_PARTICLES):
            raise InputError(f"filaments must be actin or microtubule, each once, not {', '.join(kinds)}")
        low, high = self.vesicles.radius_angstrom
        if not 0 < low <= high or not self.gold.diameter_angstrom > 0:
            raise InputError("radii and diameters must be positive, the smallest first")
        if not (0 <= self.vesicles.deformation <= 0.2 and 0 <= self.sheets.slope <= 1):
            raise InputError("vesicles deform by 0 to 0.2 of their radius, sheets have a slope of 0 to 1")
        for particles in self.particles:
            spacing = particles.template.voxel_spacing_angstrom
            if abs(spacing / voxel_spacing_angstrom - 1) > 1e-3:
                name = particles.template.name
                raise InputError(f"{name} has voxels of {spacing} Å, the box of {voxel_spacing_angstrom} Å")
        occupancy = self.particle_occupancy
        if occupancy is not None and not (0 < occupancy < 1 and any(p.count for p in self.particles)):
            raise InputError(f"an occupancy of {occupancy} needs particles and must lie between 0 and 1")
        first, stop = self.slab_voxels or (0, shape[0])
        if not 0 <= first < stop <= shape[0]:
            raise InputError(f"the slab {first} … {stop} must lie within the {shape[0]} planes of the box")
