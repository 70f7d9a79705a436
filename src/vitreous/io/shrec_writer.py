"""Write simulated tomograms in the layout of SHREC 2021, for programs made for that data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core.poses import Poses
from vitreous.core.volume import Volume
from vitreous.io.atomic import refuse_existing, write_text_atomic
from vitreous.io.euler import to_zxz
from vitreous.io.pose_table import write_pose_table
from vitreous.io.shrec import CLASSES, LOCATIONS, POSES, THEIR_WORD, TILTS, ShrecTomogram
from vitreous.io.volumes import write_volume

_LABEL = "vitreous: simulated, SHREC 2021 layout"
_TILT_HEADER = """# AlignmentTransX (px)
# AlignmentTransY (px)
# TiltAngle (degrees)
# InPlaneRotation (degrees)
# Magnification
# FileName
"""
_TILT_LINE = "0.0 0.0 {:.10f} 0.0 1.0 {}.mrc\n"


def write_shrec21(folder: str | Path, tomogram: ShrecTomogram, *, overwrite: bool = False) -> Path:
    """Write a simulated tomogram in the layout of SHREC 2021; `read_shrec21` gives it back.

    Programs for that data set take line i of `particle_locations.txt` for label i of the occupancy mask
    and read locations as whole numbers. So instances are numbered anew in the order of their labels,
    those without a pose (filaments) after the others, and exact poses go to `poses.tsv`. Gold beads are
    called "fiducial" as there. The locations are written last: a folder that has them is complete.

    Parameters
    ----------
    folder
        Made if missing.
    tomogram
        What to write.
    overwrite
        Replace existing files.

    Raises
    ------
    InputError
        If a file exists or cannot be written.
    ValueError
        If two poses have one label, or a name has a blank or is not among the classes.
    """
    place, locations = Path(folder), Path(folder) / LOCATIONS
    everything, turned = _in_order(tomogram)
    names = {name: THEIR_WORD.get(name, name) for name in tomogram.class_names.values()}
    unknown = [name for name in everything.names if name not in names]
    if unknown or any(len(name.split()) != 1 for name in names):
        raise ValueError(f"names must be of known classes, without blanks: {unknown or list(names)}")
    refuse_existing(locations, overwrite)
    locations.unlink(missing_ok=True)
    _write_volumes(place, tomogram, everything.instances, overwrite)
    table = "".join(f"{names[name]} {number}\n" for number, name in sorted(tomogram.class_names.items()))
    write_text_atomic(place / CLASSES, f"background 0\n{table}", overwrite=overwrite)
    if tomogram.tilt_angles_deg is not None:
        silent_only = "projections" not in tomogram.more and "noisefree_projections" in tomogram.more
        stack = "noisefree_projections" if silent_only else "projections"
        text = _TILT_HEADER + "".join(_TILT_LINE.format(-a, stack) for a in tomogram.tilt_angles_deg)
        write_text_atomic(place / TILTS, text, overwrite=overwrite)
    numbered = Poses(everything.rotations, everything.positions_angstrom, everything.names)
    write_pose_table(place / POSES, numbered, overwrite=overwrite)
    voxels = np.rint(everything.positions_angstrom / tomogram.voxel_spacing_angstrom).astype(int)
    lines = []
    for name, (z, y, x), angles, oriented in zip(
        everything.names, voxels, to_zxz(everything.rotations), turned, strict=True
    ):
        degrees = " ".join(f"{angle:.4f}" for angle in angles) if oriented else "NaN NaN NaN"
        lines.append(f"{names[name]} {x} {y} {z} {degrees}\n")
    write_text_atomic(locations, "".join(lines), overwrite=overwrite)
    return place


def _write_volumes(place: Path, tomogram: ShrecTomogram, labels: NDArray[np.int32], overwrite: bool) -> None:
    occupancy = _renumbered(tomogram.occupancy_mask, labels)
    wide = int(np.max(occupancy.data)) >= 2**16
    volumes = {
        "class_mask": (tomogram.class_mask, "int16"),
        "occupancy_mask": (occupancy, "float32" if wide else "uint16"),
        "grandmodel": (tomogram.grand_model, "float32"),
        "reconstruction": (tomogram.reconstruction, "float32"),
        **{stem: (volume, "float32") for stem, volume in tomogram.more.items()},
    }
    for stem, (volume, dtype) in volumes.items():
        write_volume(place / f"{stem}.mrc", volume, overwrite=overwrite, label=_LABEL, dtype=dtype)


def _in_order(tomogram: ShrecTomogram) -> tuple[Poses, NDArray[np.bool_]]:
    """All poses in the order of their labels, and which of them have an orientation."""
    both = (tomogram.poses, tomogram.others)
    everything = Poses(
        np.concatenate([p.rotations for p in both]),
        np.concatenate([p.positions_angstrom for p in both]),
        both[0].names + both[1].names,
        np.concatenate([p.instances for p in both]),
    )
    if len(np.unique(everything.instances)) != len(everything) or (everything.instances < 1).any():
        raise ValueError("every pose needs a label of its own, 1 or more")
    order = np.argsort(everything.instances)
    return everything.select(order), order < len(both[0])


def _renumbered(mask: Volume, labels: NDArray[np.int32]) -> Volume:
    """The mask with `labels` called 1 … n, and what is left of its labels after them."""
    if np.array_equal(labels, np.arange(1, len(labels) + 1)):
        return mask
    highest = max(int(np.max(mask.data)), int(labels.max(initial=0)))
    rest = np.setdiff1d(np.arange(1, highest + 1), labels)
    new = np.zeros(highest + 1, np.int32)
    new[np.concatenate([labels, rest])] = np.arange(1, highest + 1)
    return mask.with_data(new[np.asarray(mask.data, np.int32)])
