"""Inspect files: what they are as plain values, and a report on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress, Volume
from vitreous.io import check_writable, find_half, open_volume, write_text_atomic
from vitreous.workflows.inspect.report import inspection_report
from vitreous.workflows.inspect.tomogram import facts_of, inspect_tomogram
from vitreous.workflows.inspect.values import Inspection
from vitreous.workflows.run_directory import json_text

REPORT, RECORD = "report.html", "inspect.json"


def inspect_file(
    path: Path, voxel_size: float | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Header, contrast, tilt range, noise, specimen, gold and doubts of a file, as plain values.

    A file with a damaged header is described as far as it can be read.

    Raises
    ------
    InputError
        If it cannot be read at all.
    """
    volume, found = inspected(path, voxel_size, progress)
    return facts_of_file(path, volume, found)


def inspect_files(
    paths: Sequence[Path],
    voxel_size: float | None = None,
    *,
    folder: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The same of several files, with `report.html` and `inspect.json` of all in a folder.

    One that cannot be read does not keep the others from being judged: why is among its doubts.

    Raises
    ------
    InputError
        If none of the files can be read, or the folder holds a report already.
    Interrupted
        If the user stopped; nothing is written then.
    """
    if folder is not None:
        if folder.exists() and not folder.is_dir():
            raise InputError("is no folder", path=folder, remedy="name a folder with -o")
        for name in (REPORT, RECORD):
            check_writable(folder / name, 0, overwrite)
    entries, facts, unreadable = [], [], []
    for path in paths:
        if progress is not None and progress.should_stop():
            raise Interrupted
        try:
            volume, found = inspected(path, voxel_size, progress)
        except InputError as error:
            unreadable.append(error)
            facts.append({"file": str(path), "doubts": [str(error)]})
            continue
        facts.append(facts_of_file(path, volume, found))
        entries.append((path, volume, found, facts[-1]))
    if not entries:
        raise unreadable[0]
    if folder is not None:
        page = inspection_report(entries, [str(error) for error in unreadable])
        write_text_atomic(folder / REPORT, page, overwrite=overwrite)
        record = facts[0] if len(facts) == 1 else {"files": facts}
        write_text_atomic(folder / RECORD, json_text(record), overwrite=overwrite)
    return facts


def inspected(path: Path, voxel_size: float | None, progress: Progress | None) -> tuple[Volume, Inspection]:
    """A file's volume, and what it tells."""
    volume = open_volume(path, voxel_spacing_angstrom=voxel_size, allow_damaged=True)
    return volume, inspect_tomogram(volume, progress=progress)


def facts_of_file(path: Path, volume: Volume, found: Inspection) -> dict[str, Any]:
    """All of a file as plain values, by the names that `--json` has."""
    halves = find_half(path)
    return {
        "file": str(path),
        **facts_of(volume),
        "halves": None if halves is None else [str(half) for half in halves],
        **found.to_json(),
    }
