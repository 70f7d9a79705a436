"""Folders in the layout of SHREC 2021 [shrec2021]: the real data set and our simulated tomograms alike.

The real files follow the simulator of PyTom, from whose sources the conventions here are taken: line i
of `particle_locations.txt` is label i of the occupancy mask; angles are those of `from_zxz`; tilt angles
in `alignment_simulated.txt` have the opposite sign of ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.poses import Poses
from vitreous.core.volume import Volume
from vitreous.io.euler import from_zxz
from vitreous.io.mrc import unreadable
from vitreous.io.pose_table import read_pose_table
from vitreous.io.volumes import open_volume

SHREC21_NAMES = (
    *("4v94", "4cr2", "1qvr", "1bxn", "3cf3", "1u6g", "3d2f", "2cg9", "3h84", "3gl1", "3qm1", "1s3x", "5mrc"),
    *("vesicle", "gold"),
)
SHREC21_CLASSES = MappingProxyType(dict(enumerate(SHREC21_NAMES, 1)))
OPTIONAL_VOLUMES = (
    "class_bbox",
    "occupancy_bbox",
    "grandmodel_noisefree",
    "reconstruction_noisefree",
    "projections",
    "projections_unbinned",
    "noisefree_projections",
)
LOCATIONS, POSES, TILTS = "particle_locations.txt", "poses.tsv", "alignment_simulated.txt"
CLASSES = "class_conversion_table.txt"
THEIR_WORD = {"gold": "fiducial"}


@dataclass(frozen=True, eq=False)
class ShrecTomogram:
    """One folder (`model_0`, …) of a data set like SHREC 2021; volumes are opened lazily.

    Parameters
    ----------
    poses
        Of the particles that have an orientation; their instances are labels of `occupancy_mask`.
    others
        Vesicles and gold beads, not rotated, labelled likewise.
    class_names
        Names by the numbers of `class_mask`; 0 is background.
    grand_model, class_mask, occupancy_mask, reconstruction
        (z, y, x); masks may be stored as floats.
    more
        What else there is, by the stem of the file: some of `OPTIONAL_VOLUMES`.
    tilt_angles_deg
        Signed tilt angles in degrees in our sense (x·cos + z·sin falls on the detector), if stated.
    """

    poses: Poses
    others: Poses
    class_names: Mapping[int, str]
    grand_model: Volume
    class_mask: Volume
    occupancy_mask: Volume
    reconstruction: Volume
    more: Mapping[str, Volume] = field(default_factory=dict)
    tilt_angles_deg: tuple[float, ...] | None = None

    @property
    def voxel_spacing_angstrom(self) -> tuple[float, float, float]:
        """Voxel spacing (z, y, x) of the grand model in Å."""
        spacing = self.grand_model.voxel_spacing_angstrom
        assert spacing is not None
        return spacing


def read_shrec21(folder: str | Path, *, voxel_spacing_angstrom: float | None = None) -> ShrecTomogram:
    """Read a folder of the SHREC 2021 data set, or one that `write_shrec21` made.

    Needed are `particle_locations.txt`, `grandmodel.mrc`, `class_mask.mrc`, `occupancy_mask.mrc` and
    `reconstruction.mrc`. Class numbers are those of SHREC 2021 unless `class_conversion_table.txt` says
    otherwise; names are in our spelling ("1bxn", "gold"). Locations are whole voxels, and so poses are
    exact to half a voxel, unless `poses.tsv` has them in full.

    Parameters
    ----------
    folder
        One model's.
    voxel_spacing_angstrom
        Replaces what the headers of the volumes say (not of the projections): 10 for SHREC 2021.

    Raises
    ------
    InputError
        If a needed file is missing or damaged, the masks differ in shape from the grand model, or the
        voxel spacing is not known (exactly 1 Å counts as never set).
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError("no such folder", path=place, remedy="give the folder of one model")
    needed = {
        stem: _open(place, stem, voxel_spacing_angstrom)
        for stem in ("grandmodel", "class_mask", "occupancy_mask", "reconstruction")
    }
    grand = needed["grandmodel"]
    for stem in ("class_mask", "occupancy_mask"):
        if needed[stem].shape != grand.shape:
            raise InputError(
                f"shape {needed[stem].shape} is not that of the grand model, {grand.shape}",
                path=place / f"{stem}.mrc",
                remedy="copy the folder again",
            )
    classes = _read_classes(place / CLASSES)
    lines = _read_locations(place / LOCATIONS, classes, grand)
    everything, turned = _with_exact_poses(place / POSES, lines, grand)
    return ShrecTomogram(
        everything.select(turned),
        everything.select(~turned),
        classes,
        grand,
        needed["class_mask"],
        needed["occupancy_mask"],
        needed["reconstruction"],
        {
            stem: _open(place, stem, None if "projections" in stem else voxel_spacing_angstrom)
            for stem in OPTIONAL_VOLUMES
            if (place / f"{stem}.mrc").exists()
        },
        _read_tilts(place / TILTS),
    )


def _open(place: Path, stem: str, spacing: float | None) -> Volume:
    file = place / f"{stem}.mrc"
    volume = open_volume(file, voxel_spacing_angstrom=spacing, allow_damaged=True)
    known = volume.voxel_spacing_angstrom
    if "projections" not in stem and (known is None or all(math.isclose(s, 1.0) for s in known)):
        raise InputError(
            "the voxel spacing was never set", path=file, remedy="give --voxel-size 10 for SHREC 2021 data"
        )
    return volume


def _text(file: Path) -> list[str]:
    try:
        return file.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as fault:
        raise unreadable(file, fault) from fault
    except UnicodeDecodeError as fault:
        raise InputError("is not a text file", path=file, remedy="copy the folder again") from fault


def _damaged(file: Path, number: int) -> InputError:
    return InputError(f"line {number} is damaged", path=file, remedy="copy the folder again")


def _ours(name: str) -> str:
    return next((ours for ours, theirs in THEIR_WORD.items() if name == theirs), name)


def _read_classes(file: Path) -> Mapping[int, str]:
    if not file.exists():
        return SHREC21_CLASSES
    classes = {}
    for number, line in enumerate(_text(file), 1):
        try:
            name, label = line.split()
            classes[int(label)] = _ours(name)
        except ValueError as fault:
            raise _damaged(file, number) from fault
    classes.pop(0, None)
    return classes


def _read_locations(
    file: Path, classes: Mapping[int, str], grand: Volume
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Names, positions in Å (z, y, x) and angles in degrees, line by line; angles may be NaN."""
    spelling = {name.casefold(): name for name in classes.values()}
    names, numbers = [], []
    for number, line in enumerate(_text(file), 1):
        try:
            name, *values = line.split()
            row = [float(value) for value in values]
            if len(row) != 6 or not np.isfinite(row[:3]).all():
                raise ValueError("not x, y, z and three angles")
        except ValueError as fault:
            raise _damaged(file, number) from fault
        if _ours(name).casefold() not in spelling:
            raise InputError(
                f"line {number}: {name} is no known class", path=file, remedy=f"add it to {CLASSES}"
            )
        names.append(spelling[_ours(name).casefold()])
        numbers.append(row)
    array = np.array(numbers, np.float64).reshape(-1, 6)
    spacing = np.asarray(grand.voxel_spacing_angstrom)
    return tuple(names), array[:, 2::-1] * spacing, array[:, 3:]


def _with_exact_poses(
    file: Path, lines: tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]], grand: Volume
) -> tuple[Poses, NDArray[np.bool_]]:
    """Poses of all lines, from the exact table if there is one, and which have an orientation."""
    names, positions, angles = lines
    turned: NDArray[np.bool_] = np.all(np.isfinite(angles), axis=1)
    if not file.exists():
        return Poses(from_zxz(np.where(turned[:, None], angles, 0.0)), positions, names), turned
    exact = read_pose_table(file)
    half = np.asarray(grand.voxel_spacing_angstrom) * 0.501
    if exact.names != names or (np.abs(exact.positions_angstrom - positions) > half).any():
        raise InputError(f"does not belong to {LOCATIONS}", path=file, remedy="remove one of the two")
    return exact, turned


def _read_tilts(file: Path) -> tuple[float, ...] | None:
    if not file.exists():
        return None
    angles = []
    for number, line in enumerate(_text(file), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                angles.append(-float(line.split()[2]))
            except (IndexError, ValueError) as fault:
                raise _damaged(file, number) from fault
    return tuple(angles)
