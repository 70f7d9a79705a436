"""What programs call a tomogram: in the names of its files, and in files of particles."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

RUNS = "ExperimentRuns"  # where copick keeps a folder for each tomogram


def split_suffix(name: str) -> tuple[str, str]:
    """Name and suffix, with `.mrc.gz` as one suffix and the dot of `10.00Apx.mrc` left in the name."""
    match = re.fullmatch(r"(.+?)((?:\.[A-Za-z]+)(?:\.(?:gz|bz2))?)", name)
    return (match[1], match[2]) if match else (name, "")


def own_name(path: str | Path) -> str:
    """What a tomogram's file says it is: the folder of copick's run, or else its name without suffixes."""
    parts = Path(path).parts
    if RUNS in parts[:-2]:
        last = max(index for index, part in enumerate(parts[:-2]) if part == RUNS)
        return parts[last + 1]
    return split_suffix(parts[-1] if parts else "")[0]


def usual_name(name: str) -> str:
    """A name without what RELION and Warp add to that of a tilt series.

    Examples
    --------
    >>> usual_name("rec_TS_01"), usual_name("TS_1_10.00Apx"), usual_name("Unt_050.tomostar")
    ('TS_01', 'TS_1', 'Unt_050')
    """
    match = re.fullmatch(r"(?:rec_)?(.+?)(?:_\d+(?:\.\d+)?Apx)?(?:\.tomostar)?", name)
    return match[1] if match else name


def tomogram_name(path: str | Path) -> str:
    """What programs call the tomogram in a file, as far as the file's name tells.

    Examples
    --------
    >>> tomogram_name("rec_TS_01.mrc"), tomogram_name("ExperimentRuns/TS_001/VoxelSpacing10.000/wbp.zarr")
    ('TS_01', 'TS_001')
    """
    name = own_name(path)
    return name if RUNS in Path(path).parts[:-2] else usual_name(name)


def files_called(name: str, paths: Iterable[Path]) -> list[Path]:
    """The files of the tomogram that particles call `name`: those called just so, or else all that may be."""
    files = list(paths)
    exact = [path for path in files if own_name(path) == name]
    return exact or [path for path in files if usual_name(own_name(path)) == usual_name(name)]
