"""Atomic models (PDB, mmCIF) and density maps of single structures."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import gemmi
import numpy as np

from vitreous.core.errors import InputError
from vitreous.core.structures import AtomicModel
from vitreous.core.volume import Volume
from vitreous.io.volumes import open_volume

_PDB_SUFFIXES = (".pdb", ".ent")
_CIF_SUFFIXES = (".cif", ".mmcif")
_LARGEST_MISMATCH = 1e-3  # headers round the cell; more than this is a stretched map
_CHAIN_LIST = re.compile(r"REMARK 350\s+((?:\w{1,4}\s*,\s*)*\w{1,4}\s*,?)\s*$")


def read_atomic_model(path: str | Path, name: str | None = None, *, assembly: bool = True) -> AtomicModel:
    """Atoms of a structure's first biological assembly, from a PDB or mmCIF file.

    Assembly 1 is expanded where the file declares assemblies, otherwise the atoms are taken as they
    stand. Only the first model is read. Hydrogens and waters are left out, and so are atoms of zero
    occupancy. Alternative conformations are all kept, each weighted with its occupancy: the density
    is that of the mixture.

    Parameters
    ----------
    path
        `.pdb`, `.ent`, `.cif` or `.mmcif`, or one of those with `.gz`.
    name
        What the model is to be called; the file's name without suffixes when not given.
    assembly
        Whether to expand the assembly; otherwise the asymmetric unit is read.

    Raises
    ------
    InputError
        If the file is missing, empty, of another type, damaged, holds no atoms, or has coordinates
        that are not finite or atoms of unknown element.
    """
    file = Path(path)
    structure = _parse(file, _read_text(file))
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise InputError("holds no atoms", path=file, remedy="give a file with atomic coordinates")
    _clean(structure)
    if assembly:
        _expand_assembly(structure)
    flat = gemmi.FlatStructure(structure)
    weights = np.asarray(flat.occ, np.float64)
    kept = weights > 0
    if not kept.any():
        raise InputError(
            "holds no atoms but waters, hydrogens and those of zero occupancy",
            path=file,
            remedy="give a file with atomic coordinates",
        )
    positions = np.asarray(flat.pos, np.float64)[kept, ::-1]
    b_factors = np.asarray(flat.b_iso, np.float64)[kept]
    numbers, kinds = np.unique(np.asarray(flat.elements)[kept], return_inverse=True)
    elements = np.array([gemmi.Element(int(number)).name for number in numbers])[kinds]
    if not (np.isfinite(positions).all() and np.isfinite(b_factors).all()):
        raise InputError("an atom's coordinates are not finite", path=file, remedy="repair the file")
    if (elements == "X").any():
        raise InputError(
            f"{(elements == 'X').sum()} atoms are of unknown element",
            path=file,
            remedy="fill in the element columns",
        )
    return AtomicModel(
        name or file.name.split(".")[0],
        np.ascontiguousarray(positions),
        elements,
        np.maximum(b_factors, 0.0),
        weights[kept],
    )


def read_density_map(path: str | Path, *, voxel_spacing_angstrom: float | None = None) -> Volume:
    """A density map of one structure: cubic voxels, finite values, not all the same.

    Parameters
    ----------
    path
        MRC map (`.mrc`, `.map`, also `.gz`) or OME-Zarr folder.
    voxel_spacing_angstrom
        Overrides what the file says.

    Raises
    ------
    InputError
        If the map cannot be opened (`open_volume`), has no usable voxel spacing or one that differs
        between its axes by more than 0.1 %, or has values that are constant or not finite.
    """
    volume = open_volume(path, voxel_spacing_angstrom=voxel_spacing_angstrom, allow_damaged=True)
    spacing = volume.voxel_spacing_angstrom
    if spacing is None:  # an option of a command tells the spacing of tomograms, not of its maps
        text = "the map's voxel spacing is unknown"
        raise InputError(text, path=path, remedy="write it into the header of the map")
    if max(spacing) > (1 + _LARGEST_MISMATCH) * min(spacing):
        text = " × ".join(f"{side:.4g}" for side in spacing)
        raise InputError(
            f"the voxels are not cubes: {text} Å (z × y × x)", path=path, remedy="resample the map to cubes"
        )
    low, high = float(np.min(volume.data)), float(np.max(volume.data))
    if not np.isfinite(low + high):
        raise InputError("holds values that are not finite", path=path, remedy="repair the map")
    if low == high:
        raise InputError("all voxels have the same value", path=path, remedy="give a map of a structure")
    return volume


def _read_text(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    kind = suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:]
    if not kind or kind[0] not in (*_PDB_SUFFIXES, *_CIF_SUFFIXES):
        raise InputError(
            "not a type of structure that is read here", path=file, remedy="give a .pdb, .ent or .cif file"
        )
    try:
        data = file.read_bytes()
        if not data:
            raise InputError("the file is empty", path=file, remedy="copy it again")
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except FileNotFoundError as fault:
        raise InputError("no such file", path=file, remedy="check the path") from fault
    except (EOFError, gzip.BadGzipFile, zlib.error) as fault:
        raise InputError(
            "the compressed file is damaged or cut off", path=file, remedy="copy it again"
        ) from fault
    except OSError as fault:
        raise InputError(
            f"cannot be read ({fault.strerror})", path=file, remedy="check the path and its permissions"
        ) from fault
    return data.decode("utf-8", errors="replace")


def _parse(file: Path, text: str) -> gemmi.Structure:
    try:
        if {suffix.lower() for suffix in file.suffixes[-2:]} & set(_PDB_SUFFIXES):
            return gemmi.read_pdb_string(_with_chain_lists(text))
        return gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())
    except (RuntimeError, ValueError, IndexError) as fault:
        reason = " ".join(str(fault).split())[:120]
        raise InputError(f"is no readable structure ({reason})", path=file, remedy="copy it again") from fault


def _with_chain_lists(text: str) -> str:
    """Mark the continued lists of chains in REMARK 350 as such.

    Older entries continue them with bare lines, which gemmi would skip and so lose chains.
    """
    lines, in_list = [], False
    for line in text.splitlines():
        bare = _CHAIN_LIST.match(line) if in_list else None
        if bare:
            chains = re.findall(r"\w+", bare[1])
            # A few to a line: gemmi reads 80 columns of it.
            lines += [
                f"REMARK 350                    AND CHAINS: {', '.join(chains[k : k + 6])}"
                for k in range(0, len(chains), 6)
            ]
        else:
            lines.append(line)
        in_list = bool(bare) or (line.startswith("REMARK 350") and "CHAINS:" in line)
    return "\n".join(lines) + "\n"


def _clean(structure: gemmi.Structure) -> None:
    while len(structure) > 1:
        del structure[-1]
    structure.setup_entities()  # the cleaning below and the assembly's chains depend on it
    structure.remove_hydrogens()
    structure.remove_waters()


def _expand_assembly(structure: gemmi.Structure) -> None:
    names = [assembly.name for assembly in structure.assemblies]
    if names:
        chosen = "1" if "1" in names else names[0]
        structure.transform_to_assembly(chosen, gemmi.HowToNameCopiedChain.Dup)
