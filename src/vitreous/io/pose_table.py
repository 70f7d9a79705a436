"""Our own table of poses: one line a particle, units in the header, nothing rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.core.poses import Poses
from vitreous.io.atomic import write_text_atomic
from vitreous.io.mrc import unreadable

_POSITION = ("z_angstrom", "y_angstrom", "x_angstrom")
_ROTATION = tuple(f"r_{row}{column}" for row in "zyx" for column in "zyx")
POSE_COLUMNS = ("name", "instance", *_POSITION, *_ROTATION)
SCORE = "score"
_UNNAMED = "particle"
_UNTURNED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def write_pose_table(
    path: str | Path, poses: Poses, *, scores: NDArray[np.float64] | None = None, overwrite: bool = False
) -> Path:
    """Write poses as a table that `read_pose_table` gives back bit by bit.

    Columns are `POSE_COLUMNS`: structure name, label in the instance mask, position in Å from the
    centre of the first voxel, and the rotation matrix, row by row; r_zy is what the z of the
    tomogram gets from the y of the particle.

    Parameters
    ----------
    path
        The output; separated by commas, or by tabs when it ends in `.tsv`.
    poses
        What to write.
    scores
        (n,), of picks: one more column, `SCORE`.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=_delimiter(path), lineterminator="\n")
    writer.writerow(POSE_COLUMNS if scores is None else (*POSE_COLUMNS, SCORE))
    further = [()] * len(poses) if scores is None else scores[:, None].tolist()
    for name, instance, position, rotation, rest in zip(
        poses.names, poses.instances, poses.positions_angstrom, poses.rotations, further, strict=True
    ):
        numbers = (repr(float(value)) for value in (*position, *rotation.ravel(), *rest))
        writer.writerow((name, int(instance), *numbers))
    return write_text_atomic(path, text.getvalue(), overwrite=overwrite)


def read_pose_table(path: str | Path) -> Poses:
    """The poses of `read_scored_poses`, without scores."""
    return read_scored_poses(path)[0]


def read_scored_poses(path: str | Path) -> tuple[Poses, NDArray[np.float64] | None]:
    """Poses and scores of a table like those of `write_pose_table`; further columns are skipped.

    Only the position is needed: without a name particles are called "particle", without `instance` they
    are counted from 1, and without any column of the rotation they lie unturned. Scores are None
    if the table has no column of them, or not every particle has a number there.

    Raises
    ------
    InputError
        If the file is missing or not such a table, a line is damaged, or a matrix is no rotation.

    Examples
    --------
    >>> import tempfile
    >>> poses = Poses(np.eye(3)[None], np.array([[10.0, 20.0, 0.1]]), ("pdb:1bxn",))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_pose_table(write_pose_table(Path(folder) / "poses.csv", poses)).positions_angstrom
    array([[10. , 20. ,  0.1]])
    """
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as fault:
        raise unreadable(file, fault) from fault
    except UnicodeDecodeError as fault:
        raise InputError("is not a text file", path=file, remedy="give a table of poses") from fault
    rows = csv.DictReader(io.StringIO(text), delimiter=_delimiter(file))
    there = set(rows.fieldnames or ())
    turned = bool(there & set(_ROTATION))
    missing = [column for column in (*_POSITION, *(_ROTATION if turned else ())) if column not in there]
    if missing:
        text = f"the column {missing[0]} is missing"
        raise InputError(text, path=file, remedy=f"give a table with {', '.join(_POSITION)}")
    names: list[str] = []
    instances: list[int] = []
    numbers: list[list[float]] = []
    scores: list[str | None] = []
    for row in rows:
        try:
            position = [float(row[column]) for column in _POSITION]
            rotation = [float(row[column]) for column in _ROTATION] if turned else _UNTURNED
            values = [*position, *rotation]
            if not np.isfinite(values).all():
                raise ValueError("not finite")
            instances.append(int(row["instance"]) if "instance" in there else len(instances) + 1)
        except (TypeError, ValueError) as fault:
            raise InputError(
                f"line {rows.line_num} is damaged", path=file, remedy="write the table again"
            ) from fault
        names.append(row["name"] if "name" in there else _UNNAMED)
        numbers.append(values)
        scores.append(row.get(SCORE))
    array = np.array(numbers).reshape(-1, 12)
    try:
        poses = Poses(
            array[:, 3:].reshape(-1, 3, 3), array[:, :3], tuple(names), np.array(instances, np.int32)
        )
    except ValueError as fault:
        raise InputError(str(fault), path=file, remedy="write the table again") from fault
    return poses, _numbers(scores) if SCORE in there else None


def _numbers(texts: Sequence[str | None]) -> NDArray[np.float64] | None:
    try:
        found = np.array([float(text or "") for text in texts])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _delimiter(path: str | Path) -> str:
    return "\t" if Path(path).suffix.lower() == ".tsv" else ","
