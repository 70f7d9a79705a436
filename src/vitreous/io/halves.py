"""The even/odd partner of a tomogram, found by the naming conventions of the programs that write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from vitreous.io.names import split_suffix

HalfSplit = Literal["frames", "tilts", "unknown"]

# (even, odd). RELION numbers its halves and does not say which is which: half1 stands for even.
_PAIRS = (
    ("EVN", "ODD"),
    ("EVEN", "ODD"),
    ("evn", "odd"),
    ("even", "odd"),
    ("Evn", "Odd"),
    ("Even", "Odd"),
    ("half1", "half2"),
)
_FOLDER_PAIRS = (("even", "odd"), ("Even", "Odd"), ("EVEN", "ODD"))


def find_half(path: str | Path) -> tuple[Path, Path] | None:
    """Even and odd half tomograms that belong to a full or half tomogram.

    Tried in this order: the name itself is a half (`X_EVN_Vol.mrc`, `X_odd.mrc`, `X_half1.mrc`,
    with a `_`, `-` or `.` around the word); its folder is `even` or `odd` (Warp); halves of it lie
    beside it (`X.mrc` or `X_Vol.mrc` → `X_EVN_Vol.mrc`, `X_EVN.mrc`, …); halves of it lie in `even/`
    and `odd/` beside it. Only pairs whose two files exist count.

    Parameters
    ----------
    path
        A full or half tomogram; it need not exist itself.

    Returns
    -------
    tuple of Path or None
        (even, odd), or None when there is no pair. RELION's half1 counts as even.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("TS_1_EVN_Vol.mrc", "TS_1_ODD_Vol.mrc"):
    ...         (Path(folder) / name).touch()
    ...     even, odd = find_half(Path(folder) / "TS_1.mrc")
    ...     even.name, odd.name
    ('TS_1_EVN_Vol.mrc', 'TS_1_ODD_Vol.mrc')
    """
    tomogram = Path(path)
    for even, odd in _candidates(tomogram):
        if even.exists() and odd.exists():
            return even, odd
    return None


def half_split(path: str | Path) -> HalfSplit:
    """How a half tomogram was split from the other one, as far as its name or its folder's says.

    RELION's `half1` and `half2` are split by frames. AreTomo and Warp split either way under one
    name, unless the user wrote `frames` or `tilts` into it.

    Examples
    --------
    >>> half_split("rec_TS_01_half1.mrc"), half_split("even/TS_01.mrc"), half_split("TS_01_even_tilts.mrc")
    ('frames', 'unknown', 'tilts')
    """
    half = Path(path)
    words = set(re.findall(r"[A-Za-z]+[0-9]?", f"{half.parent.name} {half.name}"))
    if "tilts" in words:
        return "tilts"
    return "frames" if words & {"frames", "half1", "half2"} else "unknown"


def _candidates(path: Path) -> Iterator[tuple[Path, Path]]:
    yield from _as_half(path)
    for even, odd in _FOLDER_PAIRS:
        if path.parent.name in (even, odd):
            above = path.parent.parent
            yield above / even / path.name, above / odd / path.name
    yield from _as_full(path)
    for even, odd in _FOLDER_PAIRS:
        yield path.parent / even / path.name, path.parent / odd / path.name


def _as_half(path: Path) -> Iterator[tuple[Path, Path]]:
    for pair in _PAIRS:
        for word in pair:
            # The last such word counts: an earlier one belongs to the name of the sample.
            found = list(re.finditer(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])", path.name))
            if found:
                start, end = found[-1].span()
                even, odd = (path.with_name(path.name[:start] + new + path.name[end:]) for new in pair)
                yield even, odd


def _as_full(path: Path) -> Iterator[tuple[Path, Path]]:
    stem, suffix = split_suffix(path.name)
    for even, odd in _PAIRS:
        bare = stem.removesuffix("_Vol")
        yield path.with_name(f"{bare}_{even}_Vol{suffix}"), path.with_name(f"{bare}_{odd}_Vol{suffix}")
        for base in dict.fromkeys((stem, bare)):
            yield path.with_name(f"{base}_{even}{suffix}"), path.with_name(f"{base}_{odd}{suffix}")
