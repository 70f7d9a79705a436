"""Packing a box of ice with membranes, filaments, particles and gold, none in another's place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous.core import InputError, Interrupted, Poses, Progress, SilentProgress, Template
from vitreous.simulate.canvas import SOLID_SHARE, Canvas, Mask, Piece
from vitreous.simulate.contents import Contents, Filaments
from vitreous.simulate.fiducials import make_gold
from vitreous.simulate.filaments import place_filament
from vitreous.simulate.free_space import find_free
from vitreous.simulate.grand_model import GrandModel, Tally
from vitreous.simulate.membranes import Bilayer, Sheet, free_height, lay_sheet, make_vesicle
from vitreous.simulate.rotation import Turnable, make_turnable, random_rotation, turn

TRIES = 4  # orientations or shapes, each tested at every place, before a kind is given up


@dataclass(eq=False)
class _Placed:
    """Poses of one table while it grows."""

    rotations: list[NDArray[np.float64]] = field(default_factory=list)
    positions_voxel: list[NDArray[np.float64]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    instances: list[int] = field(default_factory=list)

    def add(
        self, rotation: NDArray[np.float64], position_voxel: NDArray[np.float64], name: str, instance: int
    ) -> None:
        self.rotations.append(rotation)
        self.positions_voxel.append(position_voxel)
        self.names.append(name)
        self.instances.append(instance)

    def poses(self, first_plane: int, voxel_spacing_angstrom: float) -> Poses:
        """In the coordinates of the whole box."""
        positions = np.array(self.positions_voxel).reshape(-1, 3) + np.array([first_plane, 0, 0])
        return Poses(
            np.array(self.rotations).reshape(-1, 3, 3),
            positions * voxel_spacing_angstrom,
            tuple(self.names),
            np.array(self.instances, np.int32),
        )


@dataclass(eq=False)
class _Packer:
    """Fills a canvas: one method per kind, each places one instance or says that it cannot."""

    canvas: Canvas
    contents: Contents
    voxel_spacing_angstrom: float
    rng: np.random.Generator
    particles: _Placed = field(default_factory=_Placed)
    others: _Placed = field(default_factory=_Placed)

    def label_of(self, name: str) -> int:
        return self.contents.class_names.index(name) + 1

    def sheet(self) -> bool:
        bilayer = Bilayer(self.voxel_spacing_angstrom)
        half = bilayer.half_solid_angstrom / self.voxel_spacing_angstrom + self.contents.gap_voxels
        for _ in range(TRIES):
            sheet = Sheet.random(self.canvas.shape, self.contents.sheets.slope, self.rng)
            height = free_height(sheet, self.canvas.occupied, half, self.rng)
            if height is not None:
                lay_sheet(self.canvas, sheet, height, bilayer, self.canvas.begin(self.label_of("membrane")))
                return True
        return False

    def filament(self, filaments: Filaments) -> bool:
        return place_filament(
            self.canvas,
            filaments.kind,
            self.label_of(filaments.kind.name),
            self.rng,
            voxel_spacing_angstrom=self.voxel_spacing_angstrom,
            max_elevation_deg=filaments.max_elevation_deg,
            gap_voxels=self.contents.gap_voxels,
        )

    def vesicle(self, radius_angstrom: float) -> bool:
        bilayer = Bilayer(self.voxel_spacing_angstrom)
        for _ in range(TRIES):
            piece = make_vesicle(bilayer, radius_angstrom, self.contents.vesicles.deformation, self.rng)
            centre = self._put(piece, "vesicle", 0)
            if centre is not None:
                self.others.add(np.eye(3), centre, "vesicle", len(self.canvas.classes))
                return True
        return False

    def particle(self, template: Template, turnable: Turnable) -> bool:
        for _ in range(TRIES):
            rotation, shift = random_rotation(self.rng), self.rng.uniform(-0.5, 0.5, size=3)
            piece = Piece.of_density(turn(turnable, rotation, shift), turnable.high)
            centre = self._put(piece, template.name, self.contents.overlap_tolerance_voxels)
            if centre is not None:
                self.particles.add(rotation, centre + shift, template.name, len(self.canvas.classes))
                return True
        return False

    def bead(self) -> bool:
        gold = self.contents.gold
        spread = np.clip(self.rng.normal() * gold.diameter_spread, -0.5, 0.5)
        template = make_gold(gold.diameter_angstrom * (1 + spread), self.voxel_spacing_angstrom)
        shift = self.rng.uniform(-0.5, 0.5, size=3)
        piece = Piece.of_density(turn(make_turnable(template), np.eye(3), shift))
        centre = self._put(piece, "gold", 0)
        if centre is not None:
            self.others.add(np.eye(3), centre + shift, "gold", len(self.canvas.classes))
        return centre is not None

    def _put(self, piece: Piece, name: str, tolerance_voxels: int) -> NDArray[np.float64] | None:
        """Lay a piece down at a free place; the voxel of its middle, or None without one."""
        there = np.argwhere(piece.solid)
        low, high = there.min(axis=0), there.max(axis=0) + 1
        footprint = piece.solid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        gap = self.contents.gap_voxels
        corner = find_free(
            self.canvas.occupied,
            _widened(footprint, gap),
            self.rng,
            overhang=(gap,) * 3,
            tolerance_voxels=tolerance_voxels,
        )
        if corner is None:
            return None
        start = np.array(corner) + gap - low
        self.canvas.lay(piece, start.tolist(), self.canvas.begin(self.label_of(name)))
        return np.asarray(start + np.array(piece.density.shape) // 2, np.float64)


def pack(
    shape: Sequence[int],
    voxel_spacing_angstrom: float,
    contents: Contents,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> GrandModel:
    """Fill a box of ice.

    Large things come first: sheets, filaments, vesicles, particles by size, gold. Each goes to a place that
    is free for certain and is drawn from all free ones of a region (`find_free`), so nothing is placed by
    trial and error. What finds no room is counted in `GrandModel.shortfalls` and warned of.

    Parameters
    ----------
    shape
        (z, y, x) in voxels.
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    contents
        What to pack.
    rng
        Draws everything; the same state gives the same bytes.
    progress
        Told about every placement, and asked whether to stop.

    Raises
    ------
    InputError
        If the contents contradict themselves or the box.
    Interrupted
        If `progress` asks to stop.

    Examples
    --------
    >>> from vitreous.simulate import Contents, Gold, pack
    >>> model = pack((32, 64, 64), 10.0, Contents(gold=Gold(count=3)), np.random.default_rng(0))
    >>> model.tallies
    (Tally(name='gold', requested=3, placed=3),)
    """
    depth, height, width = shape
    if min(shape) < 1 or not voxel_spacing_angstrom > 0:
        raise InputError(f"a box of {tuple(shape)} voxels of {voxel_spacing_angstrom} Å cannot be packed")
    contents.check((depth, height, width), voxel_spacing_angstrom)
    progress = progress or SilentProgress()
    first, stop = contents.slab_voxels or (0, depth)
    whole = Canvas.empty(shape)
    packer = _Packer(whole.cropped(first, stop), contents, voxel_spacing_angstrom, rng)
    tasks = _tasks(packer)
    progress.start("packing", sum(len(places) for _, places in tasks))
    tallies = tuple(_fill(name, places, progress) for name, places in tasks)
    return GrandModel(
        whole.density,
        whole.instance_mask,
        whole.occupied,
        np.array(whole.classes, np.int16),
        np.array(whole.thresholds_volt, np.float32),
        contents.class_names,
        packer.particles.poses(first, voxel_spacing_angstrom),
        packer.others.poses(first, voxel_spacing_angstrom),
        tallies,
        voxel_spacing_angstrom,
    )


Place = Callable[[], bool]


def _tasks(packer: _Packer) -> list[tuple[str, list[Place]]]:
    """Kinds in the order of packing, each with one call per instance."""
    contents = packer.contents
    radii = sorted(
        packer.rng.uniform(*contents.vesicles.radius_angstrom, size=contents.vesicles.count), reverse=True
    )
    turnables = [make_turnable(p.template) for p in contents.particles]
    volumes = [_solid_volume(turnable) for turnable in turnables]
    counts = _counts(contents, volumes, packer.canvas.density.size)
    tasks: list[tuple[str, list[Place]]] = [("membrane", [packer.sheet] * contents.sheets.count)]
    for filaments in sorted(contents.filaments, key=lambda f: -f.kind.radius_voxels(1.0)):
        tasks.append((filaments.kind.name, [partial(packer.filament, filaments)] * filaments.count))
    tasks.append(("vesicle", [partial(packer.vesicle, radius) for radius in radii]))
    for index in sorted(range(len(volumes)), key=lambda i: -volumes[i]):
        template = contents.particles[index].template
        place = partial(packer.particle, template, turnables[index])
        tasks.append((template.name, [place] * counts[index]))
    tasks.append(("gold", [packer.bead] * contents.gold.count))
    return [(name, places) for name, places in tasks if places]


def _solid_volume(turnable: Turnable) -> float:
    """Voxels that a structure excludes, averaged over a few orientations."""
    rng = np.random.default_rng(0)
    turned = [turn(turnable, random_rotation(rng), rng.uniform(-0.5, 0.5, size=3)) for _ in range(4)]
    return float(np.mean([(density >= SOLID_SHARE * turnable.high).sum() for density in turned]))


def _counts(contents: Contents, volumes: Sequence[float], room: int) -> list[int]:
    """How many of each structure: as given, or scaled so that together they fill the share asked for."""
    counts = [particles.count for particles in contents.particles]
    if contents.particle_occupancy is None:
        return counts
    filled = sum(count * volume for count, volume in zip(counts, volumes, strict=True))
    return [round(count * contents.particle_occupancy * room / filled) for count in counts]


def _fill(name: str, places: Sequence[Place], progress: Progress) -> Tally:
    """Place one kind until all are placed or one finds no room: then the next would find none either.

    Vesicles get smaller, so each of them is tried.
    """
    placed = 0
    for place in places:
        if progress.should_stop():
            raise Interrupted
        found = place()
        placed += found
        progress.advance()
        if not found and name != "vesicle":
            break
    if placed < len(places):
        progress.warn(f"no room for {len(places) - placed} of {len(places)} {name}")
    return Tally(name, len(places), placed)


def _widened(footprint: Mask, gap: int) -> Mask:
    """The footprint and all voxels at most `gap` away from it, `gap` voxels larger on every side."""
    padded = np.pad(footprint, gap)
    if not gap:
        return padded
    widened: Mask = ndi.distance_transform_edt(~padded) <= gap
    return widened
