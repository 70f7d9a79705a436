"""Tilt angles of a tilt series from the files that carry them."""

from __future__ import annotations

import math
import re
from pathlib import Path

from vitreous.core.errors import InputError

_LIST_SUFFIXES = (".tlt", ".rawtlt", ".txt")
_SECTION = re.compile(r"\[\s*(ZValue|FrameSet)\s*=\s*(-?\d+)\s*\]", re.IGNORECASE)
_ENTRY = re.compile(r"TiltAngle\s*=\s*(.*)", re.IGNORECASE)


def read_tilt_angles(path: str | Path) -> tuple[float, ...]:
    r"""Signed tilt angles in degrees, in the order of the images.

    Parameters
    ----------
    path
        `.tlt`, `.rawtlt` or `.txt` with one angle a line (blank lines and `#` comments are skipped),
        or a SerialEM `.mdoc`, whose `TiltAngle` entries are ordered by `ZValue`.

    Returns
    -------
    tuple of float
        One angle per tilt, in degrees, not sorted.

    Raises
    ------
    InputError
        If the file is missing, not text, empty, of another type, has a line that is no angle, an
        angle beyond ±90°, or an mdoc section without or with two angles, or the same ZValue twice.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.tlt"
    ...     _ = file.write_text("-3.0\n 0.01\n 3.0\n")
    ...     read_tilt_angles(file)
    (-3.0, 0.01, 3.0)
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in (*_LIST_SUFFIXES, ".mdoc"):
        raise InputError(
            "not a file of tilt angles", path=file, remedy="give a .tlt, .rawtlt, .txt or .mdoc file"
        )
    lines = _read_lines(file)
    angles = _from_mdoc(file, lines) if suffix == ".mdoc" else _from_list(file, lines)
    if not angles:
        raise InputError("holds no tilt angles", path=file, remedy="give the file with one angle per image")
    return tuple(angles)


def _read_lines(file: Path) -> list[str]:
    try:
        text = file.read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError as fault:
        raise InputError("no such file", path=file, remedy="check the path") from fault
    except OSError as fault:
        raise InputError(
            f"cannot be read ({fault.strerror})", path=file, remedy="check the path and its permissions"
        ) from fault
    if "\0" in text:
        raise InputError("is not a text file", path=file, remedy="give the file with one angle per image")
    return [line.split("#", 1)[0].strip() for line in text.splitlines()]


def _from_list(file: Path, lines: list[str]) -> list[float]:
    return [_angle(file, number, line) for number, line in enumerate(lines, 1) if line]


def _from_mdoc(file: Path, lines: list[str]) -> list[float]:
    angles: dict[int, float | None] = {}
    section: int | None = None
    for number, line in enumerate(lines, 1):
        if line.startswith("["):
            match = _SECTION.fullmatch(line)
            section = int(match[2]) if match else None
            if section is not None and section in angles:
                raise InputError(
                    f"line {number}: section {section} occurs twice", path=file, remedy="repair the mdoc"
                )
            if section is not None:
                angles[section] = None
        elif section is not None and (entry := _ENTRY.fullmatch(line)):
            if angles[section] is not None:
                raise InputError(
                    f"line {number}: section {section} has two tilt angles",
                    path=file,
                    remedy="repair the mdoc",
                )
            angles[section] = _angle(file, number, entry[1])
    missing = [section for section, angle in angles.items() if angle is None]
    if missing:
        raise InputError(f"section {missing[0]} has no TiltAngle", path=file, remedy="give a .tlt file")
    return [angle for _, angle in sorted(angles.items()) if angle is not None]


def _angle(file: Path, number: int, text: str) -> float:
    try:
        angle = float(text)
    except ValueError:
        angle = math.nan
    if not -90.0 <= angle <= 90.0:
        raise InputError(
            f"line {number}: {text[:40]!r} is not a tilt angle in degrees between -90 and 90",
            path=file,
            remedy="give the file with one angle per image",
        )
    return angle
