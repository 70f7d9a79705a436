"""Picks and segmentations as copick keeps them: JSON in Å, and OME-Zarr in a layout of folders."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.poses import Poses
from vitreous.core.volume import Volume
from vitreous.io.atomic import write_text_atomic
from vitreous.io.mrc import unreadable
from vitreous.io.volumes import write_volume

USER, SESSION = "vitreous", "0"  # session 0 is that of tools
UNIT = "angstrom"
_REMEDY = "give picks of copick"

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CopickPicks:
    """What a file of picks says: one kind of object in one run (tomogram)."""

    poses: Poses
    scores: Real
    run_name: str
    oriented: bool


def copick_name(text: str) -> str:
    """A name as copick allows it for objects, users and sessions.

    Examples
    --------
    >>> copick_name("phantom:26s_b")
    'phantom-26s-b'
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-") or "object"


def write_copick_picks(
    path: str | Path,
    poses: Poses,
    *,
    run_name: str,
    voxel_spacing_angstrom: float,
    scores: Real | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the particles of one kind in one tomogram.

    Positions are x, y and z in Å from the first voxel's centre; transformations take points (x, y, z) of
    the object into the tomogram. In a project the file belongs at
    `ExperimentRuns/RUN/Picks/USER_SESSION_OBJECT.json`; user and session are read off such a name.

    Parameters
    ----------
    path
        The output.
    poses
        What to write; all of one name.
    run_name
        The tomogram's.
    voxel_spacing_angstrom
        Of the tomogram, in Å.
    scores
        (n,); 1 if None.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If there are several kinds, the file exists, or it cannot be written.
    """
    kinds = tuple(dict.fromkeys(poses.names))
    if len(kinds) > 1:
        text = f"picks of copick are of one kind of object, and these are {', '.join(kinds)}"
        raise InputError(text, path=path, remedy="write one at a time")
    user, session, name = parts_of(Path(path), kinds[0] if kinds else "particle")
    merits = np.ones(len(poses)) if scores is None else scores
    points = []
    for index, (rotation, position) in enumerate(zip(poses.rotations, poses.positions_angstrom, strict=True)):
        matrix = np.eye(4)
        matrix[:3, :3] = rotation[::-1, ::-1]
        points.append(
            {
                "location": dict(zip("xyz", position[::-1].tolist(), strict=True)),
                "transformation_": matrix.tolist(),
                "instance_id": int(poses.instances[index]),
                "score": float(merits[index]),
            }
        )
    facts = {
        "pickable_object_name": name,
        "user_id": user,
        "session_id": session,
        "run_name": run_name,
        "voxel_spacing": voxel_spacing_angstrom,
        "unit": UNIT,
        "points": points,
        "trust_orientation": not np.allclose(poses.rotations, np.eye(3)),
    }
    return write_text_atomic(path, json.dumps(facts, indent=1) + "\n", overwrite=overwrite)


def read_copick_picks(path: str | Path) -> CopickPicks:
    """Particles of a file of picks; a transformation's own shift is added to the location.

    Raises
    ------
    InputError
        If it is no such file, counts in another unit, or holds what is no position or rotation.
    """
    file = Path(path)
    try:
        facts = json.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as fault:
        raise unreadable(file, fault) from fault
    except (UnicodeDecodeError, ValueError) as fault:
        raise InputError("is no JSON", path=file, remedy=_REMEDY) from fault
    if not isinstance(facts, dict) or "pickable_object_name" not in facts:
        raise InputError("holds no picks of copick", path=file, remedy=_REMEDY)
    if facts.get("unit", UNIT) != UNIT:
        raise InputError(f"counts in {facts['unit']}, not in Å", path=file, remedy="convert it")
    try:
        points = list(facts.get("points") or ())
        places = np.array([[p["location"][axis] for axis in "xyz"] for p in points], float).reshape(-1, 3)
        matrices = np.array([matrix_of(p) for p in points], float).reshape(-1, 4, 4)
        scores = np.array([1.0 if p.get("score") is None else p["score"] for p in points], float)
        labels = [int(p.get("instance_id") or 0) for p in points]
        if not (np.isfinite(places).all() and np.isfinite(matrices).all()):
            raise ValueError("a position is not finite")
        unique = len(set(labels)) == len(labels) and min(labels, default=1) > 0
        poses = Poses(
            np.ascontiguousarray(matrices[:, 2::-1, 2::-1]),
            (places + matrices[:, :3, 3])[:, ::-1],
            (str(facts["pickable_object_name"]),) * len(points),
            np.array(labels if unique else range(1, len(points) + 1), np.int32),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as fault:
        raise InputError(f"a point is damaged ({fault})", path=file, remedy="write it again") from fault
    trusted = bool(facts.get("trust_orientation", True))
    return CopickPicks(poses, scores, str(facts.get("run_name") or ""), trusted)


def write_copick_segmentation(
    project: str | Path,
    labels: Volume,
    *,
    run_name: str,
    name: str,
    multilabel: bool = True,
    user: str = USER,
    session: str = SESSION,
    overwrite: bool = False,
) -> Path:
    """Write a label volume into a project of copick, where its viewers find it.

    Parameters
    ----------
    project
        The folder that holds `ExperimentRuns`, or will.
    labels
        Whole numbers from 0 to 255, of known voxel spacing.
    run_name
        The tomogram's.
    name
        Of the object, or of the segmentation if it holds several.
    multilabel
        Whether labels are those of several objects.
    user, session
        Whose it is.
    overwrite
        Replace an existing one.

    Returns
    -------
    The OME-Zarr folder; `open_volume` reads it back.

    Raises
    ------
    InputError
        If the voxel spacing is not known, it exists, labels do not fit, or it cannot be written.
    """
    spacing = labels.mean_spacing_angstrom
    if spacing is None:
        raise InputError("a segmentation of copick needs the voxel spacing", path=labels.path)
    words = "_".join(copick_name(word) for word in (user, session, name))
    kind = "-multilabel" if multilabel else ""
    folder = Path(project) / "ExperimentRuns" / run_name / "Segmentations"
    return write_volume(
        folder / f"{spacing:.3f}_{words}{kind}.zarr", labels, overwrite=overwrite, dtype=np.uint8
    )


def parts_of(path: Path, kind: str) -> tuple[str, str, str]:
    """User, session and object that a file name says, or that are ours."""
    words = path.stem.split("_")
    if len(words) == 3 and all(word == copick_name(word) for word in words):
        return words[0], words[1], words[2]
    return USER, SESSION, copick_name(kind)


def matrix_of(point: dict[str, Any]) -> Any:
    """A point's transformation, the identity if it has none."""
    found = point.get("transformation_")
    return np.eye(4) if found is None else found
