"""The specimen of a simulation: tables of the specification for the box and what is in it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAP_SUFFIXES = (".mrc", ".map", ".rec", ".zarr")
MODEL_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")
Voxels = Annotated[int, Field(ge=16, le=8192)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Contradiction(ValueError):
    """A key that cannot stand beside another one.

    Parameters
    ----------
    problem
        In words.
    place
        Where the key is, from the value that refuses it, such as ("particles", 2, "name").
    """

    def __init__(self, problem: str, *place: str | int) -> None:
        super().__init__(problem)
        self.place = place


class Part(BaseModel):
    """A table of the specification: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(Part):
    """The volume that is filled, and the volume that is reconstructed.

    Parameters
    ----------
    shape
        (z, y, x) in voxels; z is along the beam at tilt 0, y is the tilt axis.
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    slab
        First and one past the last plane along z that may hold anything; None for the whole box.
    """

    shape: tuple[Voxels, Voxels, Voxels] = (64, 128, 128)
    voxel_spacing_angstrom: Positive = 10.0
    slab: tuple[Count, Count] | None = None

    @model_validator(mode="after")
    def _holds_its_slab(self) -> Self:
        if self.slab is not None and not self.slab[0] < self.slab[1] <= self.shape[0]:
            first, stop = self.slab
            planes = self.shape[0]
            raise Contradiction(f"the slab {first} … {stop} is not within the {planes} planes", "slab")
        return self

    @property
    def slab_planes(self) -> int:
        """Planes along z that may hold anything."""
        return self.shape[0] if self.slab is None else self.slab[1] - self.slab[0]


class ParticleSpec(Part):
    """Copies of one structure.

    Parameters
    ----------
    structure
        "phantom:NAME", "pdb:ID", or the path of an atomic model or a density map.
    count
        How many; with `Packing.occupancy` its share of the mixture, 1 if None.
    name
        What its class is called; from `structure` if None.
    mass_kda
        Mass in kDa, which a density map needs, as its grey values are no potential.
    """

    structure: Annotated[str, Field(min_length=1)]
    count: Count | None = None
    name: Annotated[str, Field(min_length=1, pattern=r"^\S+$")] | None = None
    mass_kda: Positive | None = None

    @property
    def source(self) -> Literal["pdb", "phantom", "model", "map"] | None:
        """Where the structure comes from; None if that cannot be told."""
        prefix, colon, _ = self.structure.partition(":")
        if prefix in ("pdb", "phantom") and colon:
            return "pdb" if prefix == "pdb" else "phantom"
        suffixes = {suffix.lower() for suffix in PurePath(self.structure).suffixes[-2:]}
        if suffixes & set(MODEL_SUFFIXES):
            return "model"
        return "map" if suffixes & set(MAP_SUFFIXES) else None

    @property
    def class_name(self) -> str:
        """What its class is called."""
        if self.name is not None:
            return self.name
        is_file = self.source in ("model", "map")
        return PurePath(self.structure).name.split(".")[0] if is_file else self.structure

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if self.source is None:
            kinds = "phantom:NAME, pdb:ID, or a .pdb, .cif or .mrc file"
            raise Contradiction(f"{self.structure!r} is no structure: give {kinds}", "structure")
        if self.source == "map" and self.mass_kda is None:
            raise Contradiction(f"the map {self.structure} needs its mass: add mass_kda", "structure")
        if self.source != "map" and self.mass_kda is not None:
            raise Contradiction("mass_kda belongs to a density map: atoms and beads have theirs", "mass_kda")
        return self


class Packing(Part):
    """How densely particles are packed.

    Parameters
    ----------
    occupancy
        Share of the slab that particles shall fill, such as 0.2; None to go by their counts.
    gap_voxels
        Least distance between solid voxels of different instances.
    overlap_tolerance_voxels
        Solid voxels that a particle may share with what is already there.
    """

    occupancy: Annotated[float, Field(gt=0, lt=1)] | None = None
    gap_voxels: Annotated[int, Field(ge=0, le=64)] = 1
    overlap_tolerance_voxels: Count = 0


class VesicleSpec(Part):
    """Closed membranes; see `vitreous.simulate.Vesicles`."""

    count: Count = 0
    radius_angstrom: tuple[Positive, Positive] = (200.0, 400.0)
    deformation: Annotated[float, Field(ge=0, le=0.2)] = 0.06

    @model_validator(mode="after")
    def _is_sorted(self) -> Self:
        if self.radius_angstrom[0] > self.radius_angstrom[1]:
            raise Contradiction("the smallest radius comes first", "radius_angstrom")
        return self


class SheetSpec(Part):
    """Curved membranes through the box; see `vitreous.simulate.Sheets`."""

    count: Count = 0
    slope: Annotated[float, Field(ge=0, le=1)] = 0.3


class FilamentSpec(Part):
    """Filaments of one kind through the box; see `vitreous.simulate.Filaments`."""

    kind: Literal["actin", "microtubule"]
    count: Count
    max_elevation_deg: Annotated[float, Field(ge=0, le=90)] = 15.0


class GoldSpec(Part):
    """Fiducial beads; see `vitreous.simulate.Gold`."""

    count: Count = 0
    diameter_angstrom: Positive = 100.0
    diameter_spread: Annotated[float, Field(ge=0, le=0.5)] = 0.08


class IceSpec(Part):
    """The ice around everything; see `vitreous.simulate.IceLayer`.

    Parameters
    ----------
    thickness_angstrom
        At the middle; as thick as the slab if None.
    gradient
        (y, x) change of thickness per distance.
    meniscus_angstrom
        How much thicker than in its middle the ice is at the rim of its hole.
    """

    thickness_angstrom: Positive | None = None
    gradient: tuple[float, float] = (0.0, 0.0)
    meniscus_angstrom: float = 0.0
