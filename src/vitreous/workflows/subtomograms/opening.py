"""Find subtomograms: a store, a folder, a STAR file, or a tomogram with picks; read one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Poses, Volume, read_block
from vitreous.io import open_volume, read_pose_table, read_relion_particles, read_star
from vitreous.io.names import files_called, own_name, tomogram_name
from vitreous.io.relion import read_particle_tomograms
from vitreous.io.subtomograms import open_subtomogram_zarr, read_subtomogram
from vitreous.io.volumes import MRC_SUFFIXES
from vitreous.workflows.run_directory import RunDirectory
from vitreous.workflows.subtomograms.files import STORE, TABLE

IMAGE, PIXEL = "rlnImageName", ("rlnImagePixelSize", "rlnTomoTiltSeriesPixelSize")
DENSITIES, MASKS = "densities", "masks"
UNEQUAL = 1.01  # spacings of the axes that differ by less come from rounding


@dataclass(frozen=True, eq=False)
class Box:
    """One subtomogram that has not been read yet.

    Parameters
    ----------
    title
        What messages call it.
    kind
        Name of the structure in it, "" if it is not known.
    density
        Reads grey values (z, y, x), with their voxel spacing.
    mask
        Reads the mask of the particle; None where there is none.
    """

    title: str
    kind: str
    density: Callable[[], Volume]
    mask: Callable[[], NDArray[Any]] | None = None


@dataclass(frozen=True, eq=False)
class BoxSource:
    """Subtomograms of one origin.

    Parameters
    ----------
    path
        Where they come from.
    boxes
        All of them, in order.
    spacing_angstrom, shape
        Edge of a voxel and (z, y, x) of the first.
    protein
        "dark" or "bright" where the origin says so.
    skipped
        Those that cannot be used, with the reason.
    """

    path: Path
    boxes: Sequence[Box]
    spacing_angstrom: float
    shape: tuple[int, ...]
    protein: str | None = None
    skipped: tuple[str, ...] = ()


def open_boxes(
    path: Path,
    *,
    picks: Path | None = None,
    edge_angstrom: float = 320.0,
    voxel_size: float | None = None,
) -> BoxSource:
    """Subtomograms of a path, whatever it is.

    Parameters
    ----------
    path
        A subtomogram store; a folder that `vitreous simulate subtomograms` wrote; a folder of MRC files; a
        STAR file whose particles are volumes; or, with `picks`, a tomogram.
    picks
        STAR file or table of poses: where the particles of the tomogram are.
    edge_angstrom
        Of boxes cut from a tomogram.
    voxel_size
        Edge of a voxel in Å where files have none.

    Raises
    ------
    InputError
        If nothing is found, or the voxel spacing is not known or differs between axes.
    """
    if picks is not None:
        return boxes_of_tomogram(path, picks, edge_angstrom, voxel_size)
    if not path.exists():
        raise InputError("does not exist", path=path, remedy="name a folder, a store or a STAR file")
    if path.suffix.lower() == ".star":
        return boxes_of_star(path, voxel_size)
    if path.suffix == ".zarr":
        return boxes_of_store(path, voxel_size)
    if not path.is_dir():
        remedy = "add --picks to cut boxes from a tomogram, or name a folder, a store or a STAR file"
        raise InputError("is no set of subtomograms", path=path, remedy=remedy)
    if (path / STORE).is_dir():
        return boxes_of_store(path / STORE, voxel_size)
    return boxes_of_folder(path, voxel_size)


def is_set(path: Path) -> bool:
    """Whether a path is a set of subtomograms, not one volume."""
    if path.suffix.lower() == ".star":
        return True
    if path.suffix != ".zarr":
        return path.is_dir()
    return any((path / name).is_dir() for name in (DENSITIES, MASKS, "labels"))


def boxes_of_store(path: Path, voxel_size: float | None) -> BoxSource:
    """Subtomograms of a Zarr store; structures and contrast from what lies beside it, if it is ours."""
    arrays, spacing = open_subtomogram_zarr(path)
    name = DENSITIES if DENSITIES in arrays else next(iter(arrays))
    kinds = kinds_beside(path.parent, arrays[name].shape[0])

    known = known_spacing(voxel_size or spacing, path)

    def read(array: Any, number: int) -> NDArray[Any]:
        return read_subtomogram(array, number, path)

    def volume(number: int) -> Volume:
        return Volume(read(arrays[name], number), (known,) * 3)

    masks = arrays.get(MASKS)
    boxes = [
        Box(
            f"{path}, number {number + 1}",
            kinds[number],
            partial(volume, number),
            None if masks is None else partial(read, masks, number),
        )
        for number in range(arrays[name].shape[0])
    ]
    return BoxSource(path, boxes, known, tuple(arrays[name].shape[1:]), protein_beside(path.parent))


def boxes_of_folder(path: Path, voxel_size: float | None) -> BoxSource:
    """Subtomograms of a folder of MRC files, or of one with `densities` and `masks`."""
    folder = path / DENSITIES if (path / DENSITIES).is_dir() else path
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in MRC_SUFFIXES and f.is_file())
    if not files:
        raise InputError("holds no subtomograms", path=path, remedy="name a folder with MRC files")
    kinds = kinds_beside(path, len(files))
    boxes = []
    for file, kind in zip(files, kinds, strict=True):
        mask = path / MASKS / file.name
        mask_file = mask if folder != path and mask.is_file() else None
        boxes.append(file_box(file, kind, mask_file, voxel_size))
    return source_of_files(path, boxes, protein_beside(path))


def boxes_of_star(path: Path, voxel_size: float | None) -> BoxSource:
    """Subtomograms that a RELION STAR file names in `rlnImageName`.

    Raises
    ------
    InputError
        If it names none, or images that are no volumes.
    """
    tables = read_star(path)
    table = next((t for t in tables.values() if IMAGE in t), None)
    if table is None or not len(table):
        remedy = "give a STAR file of extracted subtomograms"
        raise InputError(f"names no subtomograms ({IMAGE})", path=path, remedy=remedy)
    names = table.text(IMAGE)
    flat = next((n for n in names if "@" in n or n.lower().endswith((".mrcs", ".st"))), None)
    if flat is not None:
        remedy = "extract subtomograms as volumes"
        raise InputError(f"{flat} is a stack of images, no volume", path=path, remedy=remedy)
    files = [beside(path, name) for name in names]
    pixels = [t.numbers(p)[0, 0] for p in PIXEL for t in tables.values() if p in t and len(t)]
    spacing = voxel_size or next((float(p) for p in pixels), None)
    return source_of_files(path, [file_box(file, "", None, spacing) for file in files], None)


def boxes_of_tomogram(path: Path, picks: Path, edge_angstrom: float, voxel_size: float | None) -> BoxSource:
    """Boxes cut from a tomogram around picks; those that leave it are skipped."""
    volume = open_volume(path, voxel_spacing_angstrom=voxel_size)
    spacing = even_spacing(volume, path)
    side = 2 * math.ceil(edge_angstrom / spacing / 2 - 1e-3)
    extent = tuple(float(n * spacing) for n in volume.shape)
    poses = picked_poses(picks, path, (extent[0], extent[1], extent[2]))
    centres = np.rint(poses.positions_angstrom / spacing).astype(int)
    boxes, skipped = [], []
    for number, (centre, kind) in enumerate(zip(centres, poses.names, strict=True), 1):
        start = centre - side // 2
        title = f"{picks}, pick {number}"
        if (start < 0).any() or (start + side > volume.shape).any():
            skipped.append(f"{title}: its box leaves the tomogram")
            continue
        read = partial(cut_box, volume, tuple(int(s) for s in start), side)
        boxes.append(Box(title, "" if kind == "particle" else kind, read))
    return BoxSource(path, boxes, spacing, (side,) * 3, protein_beside(path.parent), tuple(skipped))


def picked_poses(picks: Path, tomogram: Path, extent_angstrom: tuple[float, float, float]) -> Poses:
    """The poses of a STAR file or table that are of one tomogram."""
    if picks.suffix.lower() in (".csv", ".tsv"):
        return read_pose_table(picks)
    names = read_particle_tomograms(picks)
    own = [name for name in names if own_name(tomogram) == name]
    fitting = own or [name for name in names if files_called(name, [tomogram])]
    if len(fitting) != 1 and len(names) != 1:
        count, called = len(fitting) or "none", tomogram_name(tomogram)
        text = f"holds particles of {len(names)} tomograms, and {count} of them is called {called}"
        raise InputError(text, path=picks, remedy="name the tomogram's file as rlnTomoName says")
    (name,) = fitting or names
    found = read_relion_particles(picks, sizes_angstrom={name: extent_angstrom}, tomogram=name)
    return found.poses[name]


def cut_box(volume: Volume, start: tuple[int, ...], side: int) -> Volume:
    """A cube of a tomogram."""
    return Volume(read_block(volume.data, start, (side,) * 3), volume.voxel_spacing_angstrom)


def file_box(file: Path, kind: str, mask: Path | None, voxel_size: float | None) -> Box:
    """A subtomogram that is a file of its own."""

    def read_mask() -> NDArray[Any]:
        return np.asarray(open_volume(mask or file, allow_damaged=True).data)

    read = partial(open_volume, file, voxel_spacing_angstrom=voxel_size)
    return Box(str(file), kind, read, None if mask is None else read_mask)


def source_of_files(path: Path, boxes: list[Box], protein: str | None) -> BoxSource:
    """Files as a source, described by the first of them."""
    first = boxes[0].density()
    return BoxSource(path, boxes, even_spacing(first, Path(boxes[0].title)), first.shape, protein)


def even_spacing(volume: Volume, path: Path) -> float:
    """The edge of a volume's voxels; InputError if it is not known or differs between axes."""
    axes = volume.voxel_spacing_angstrom
    if axes is None or max(axes) > UNEQUAL * min(axes):
        text = "the voxel spacing is unknown" if axes is None else "the voxel spacing differs between axes"
        raise InputError(text, path=path, remedy="give --voxel-size in Å")
    return float(volume.mean_spacing_angstrom or 0)


def known_spacing(spacing: float | None, path: Path) -> float:
    """The spacing; InputError if there is none."""
    if spacing is None:
        raise InputError("the voxel spacing is unknown", path=path, remedy="give --voxel-size in Å")
    return spacing


def kinds_beside(folder: Path, count: int) -> list[str]:
    """Structures as our table beside the volumes has them, empty names without it."""
    table = folder / TABLE
    if not table.is_file():
        return [""] * count
    names = read_pose_table(table).names
    if len(names) != count:
        text = f"has {len(names)} lines for {count} subtomograms"
        raise InputError(text, path=table, remedy="make the set again, or remove the table")
    return list(names)


def protein_beside(folder: Path) -> str | None:
    """The contrast that our own simulation recorded, if the folder is one."""
    run = RunDirectory(folder)
    if not run.exists():
        return None
    facts = run.read()
    asked = facts["request"].get("settings", facts["request"].get("spec", {}).get("reconstruction", {}))
    if facts["kind"] not in ("subtomograms", "simulate", "simulated-tomogram") or "invert" not in asked:
        return None
    return "bright" if asked["invert"] else "dark"


def beside(star: Path, name: str) -> Path:
    """A file that a STAR file names, from its own folder or one above it."""
    if Path(name).is_absolute():
        return Path(name)
    found: Iterator[Path] = (folder / name for folder in star.absolute().parents)
    place = next((p for p in found if p.exists()), None)
    if place is None:
        remedy = "put the STAR file where its paths begin"
        raise InputError(f"{name} is not there", path=star, remedy=remedy)
    return place
