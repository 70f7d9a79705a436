"""Open and write volumes whatever their format: the door of this layer."""

from __future__ import annotations

import math
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from vitreous.core.errors import InputError
from vitreous.core.volume import Spacing, Volume, as_spacing
from vitreous.io.atomic import is_zarr_folder
from vitreous.io.mrc import read_layout, read_mrc, unreadable, write_mrc
from vitreous.io.ome_zarr import read_ome_zarr, read_zarr_layout
from vitreous.io.ome_zarr_writer import write_ome_zarr

MRC_SUFFIXES = (".mrc", ".rec", ".map", ".st", ".mrcs", ".ali")
_COMPRESSED_SUFFIXES = (".gz", ".bz2")
WRITTEN_SUFFIXES = (".mrc", ".rec", ".map", ".zarr")
_ZARR_DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "uint8", "uint16", "uint32")
_DEFAULT_LABEL = "vitreous"
_PLAUSIBLE_ANGSTROM = (0.1, 1000.0)
_GIVE_SPACING = "give --voxel-size in Å"


def open_volume(
    path: str | Path,
    *,
    voxel_spacing_angstrom: float | Sequence[float] | None = None,
    allow_damaged: bool = False,
) -> Volume:
    """Open a tomogram as a `Volume` of voxels (z, y, x).

    An uncompressed MRC file is memory-mapped read-only and keeps its type and byte order (modes 0, 1,
    2, 6 and 12); a file stored with other axes is presented transposed. Compressed MRC files and
    OME-Zarr folders (full-resolution level) are read into memory.

    Parameters
    ----------
    path
        MRC (`.mrc`, `.rec`, `.map`, `.st`, `.mrcs`, `.ali`, or those with `.gz` or `.bz2`; others if
        they hold MRC data) or an OME-Zarr folder.
    voxel_spacing_angstrom
        Spacing in Å, one number or (z, y, x), that overrides what the file says.
    allow_damaged
        Accept a file with no usable voxel spacing: `Volume.voxel_spacing_angstrom` is then None.

    Returns
    -------
    Volume
        With the header of the file. `volume_warnings` tells what was doubtful.

    Raises
    ------
    InputError
        If the file is missing, unreadable, empty, truncated, corrupt, no volume of real numbers
        (2-D, 4-D, complex, text, …) or, unless `allow_damaged`, has no usable voxel spacing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_volume(Path(folder) / "a.mrc", Volume(np.ones((2, 3, 4)), 10.0))
    ...     volume = open_volume(file)
    ...     volume.shape, volume.voxel_spacing_angstrom
    ((2, 3, 4), (10.0, 10.0, 10.0))
    """
    file = Path(path)
    try:
        given = as_spacing(voxel_spacing_angstrom)
    except ValueError as fault:
        raise InputError(str(fault), remedy=_GIVE_SPACING) from fault
    volume, problem = _read(file)
    if given is not None:
        return replace(volume, voxel_spacing_angstrom=given)
    if volume.voxel_spacing_angstrom is None and not allow_damaged:
        raise InputError(f"the file has no usable voxel spacing ({problem})", path=file, remedy=_GIVE_SPACING)
    return volume


def volume_warnings(volume: Volume) -> tuple[str, ...]:
    """What is doubtful about a volume, as sentences for people; empty when nothing is.

    Spacing is judged as the volume has it; the header of the file it came from, if that still
    exists, is read once more.

    Examples
    --------
    >>> volume_warnings(Volume(np.zeros((2, 2, 2)), 1.0))
    ('the voxel spacing is exactly 1 Å, which usually means that it was never set; give --voxel-size in Å',)
    """
    return (*_spacing_warnings(volume.voxel_spacing_angstrom), *_file_notes(volume.path))


def write_volume(
    path: str | Path,
    volume: Volume,
    *,
    overwrite: bool = False,
    label: str | None = None,
    dtype: DTypeLike = np.float32,
) -> Path:
    """Write a volume as MRC (`.mrc`, `.rec`, `.map`) or OME-Zarr 0.4 (`.zarr`), complete or not at all.

    MRC keeps spacing, origin, start, space group, extended header and labels, and recomputes the
    statistics. One label is appended; when all ten are taken it replaces the tenth and the first nine
    stay. Voxels are streamed in slabs, so a memory-mapped volume never lies in memory whole. An
    unknown spacing is written as unknown (zero in MRC, no unit in OME-Zarr).

    Parameters
    ----------
    path
        The output; missing parent folders are made.
    volume
        What to write.
    overwrite
        Replace an existing output. The file the volume was read from is never replaced.
    label
        Up to 80 characters of ASCII on what was done; "vitreous" if None.
    dtype
        Type of the written voxels.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    InputError
        If the output exists, is the input, has another suffix, cannot be written (permission, disk
        full, …), or the voxels do not fit `dtype`.
    """
    target, kind, text = Path(path), np.dtype(dtype), label or _DEFAULT_LABEL
    suffix = written_suffix(target)
    _refuse_input(target, volume.path)
    if suffix != ".zarr":
        write_mrc(target, volume, overwrite=overwrite, label=text, dtype=kind)
    elif kind.name in _ZARR_DTYPES:
        write_ome_zarr(target, volume, overwrite=overwrite, label=text, dtype=kind)
    else:
        raise InputError(f"cannot write {kind.name} voxels", path=target, remedy="write float32")
    return target


def _read(file: Path) -> tuple[Volume, str]:
    """The volume as the file has it, and what is wrong with its spacing when that is None."""
    if _is_zarr(file):
        zarr_layout, voxels = read_ome_zarr(file)
        return Volume(voxels, zarr_layout.spacing, zarr_layout.header, file), zarr_layout.scale_text
    layout, voxels, extended = read_mrc(file)
    header = replace(layout.header, extended_header=extended)
    return Volume(voxels, layout.spacing, header, file), layout.cell_text


def _is_zarr(file: Path) -> bool:
    """Tell the two formats apart, and refuse what is neither before anything is read."""
    try:
        status = file.stat()
        if stat.S_ISDIR(status.st_mode):
            if is_zarr_folder(file):
                return True
            raise InputError("a folder that is no OME-Zarr volume", path=file, remedy="give a tomogram file")
        if not stat.S_ISREG(status.st_mode):
            raise InputError("not a regular file", path=file, remedy="give a tomogram file")
        if status.st_size == 0:
            raise InputError("the file is empty", path=file, remedy="copy it again")
        if not _has_mrc_name(file) and not _has_map_identifier(file):
            raise InputError(
                "not a type of file that is read here",
                path=file,
                remedy="give an MRC file or an OME-Zarr folder",
            )
    except OSError as fault:
        raise unreadable(file, fault) from fault
    return False


def _has_mrc_name(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED_SUFFIXES:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in MRC_SUFFIXES


def _has_map_identifier(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(212)[208:211] == b"MAP"


def written_suffix(target: Path) -> str:
    """The suffix of an output, in small letters; InputError if no volume is written under it."""
    suffix = target.suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        remedy = f"name the output {', '.join(WRITTEN_SUFFIXES)}"
        raise InputError("the output is of no type that is written here", path=target, remedy=remedy)
    return suffix


def _refuse_input(target: Path, source: Path | None) -> None:
    if source is None:
        return
    there, here = source.resolve(), target.resolve()
    same = there == here or here in there.parents or there in here.parents
    if same or (target.exists() and source.exists() and target.samefile(source)):
        raise InputError("the output is the input itself", path=target, remedy="choose another -o")


def _spacing_warnings(spacing: Spacing | None) -> tuple[str, ...]:
    if spacing is None:
        return (f"the voxel spacing is unknown; {_GIVE_SPACING}",)
    text = " × ".join(f"{side:.4g}" for side in spacing)
    found = []
    if all(math.isclose(side, 1.0, rel_tol=1e-6) for side in spacing):
        found.append(
            f"the voxel spacing is exactly 1 Å, which usually means that it was never set; {_GIVE_SPACING}"
        )
    if max(spacing) > 1.01 * min(spacing):
        found.append(f"the voxel spacing differs between axes: {text} Å (z × y × x)")
    if min(spacing) < _PLAUSIBLE_ANGSTROM[0] or max(spacing) > _PLAUSIBLE_ANGSTROM[1]:
        found.append(f"the voxel spacing of {text} Å is not plausible for a tomogram; {_GIVE_SPACING}")
    return tuple(found)


def _file_notes(path: Path | None) -> tuple[str, ...]:
    if path is None or not path.exists():
        return ()
    layout: Any = read_zarr_layout(path) if _is_zarr(path) else read_layout(path)
    notes: tuple[str, ...] = layout.notes
    return notes
