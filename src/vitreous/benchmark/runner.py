"""Rows of a table, measured once and recorded as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress

Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One measurement: what it is called and how it is made.

    `twin`: the key of a row that comes out the same; if the table has that one already, it is copied.
    """

    key: Mapping[str, Any]
    measure: Callable[[], Record]
    twin: Callable[[], Mapping[str, Any]] | None = None


def selected(only: Collection[str], names: Collection[str]) -> list[str]:
    """The names asked for, all if none is; InputError for one that there is not.

    Examples
    --------
    >>> selected((), ("white", "wedge"))
    ['white', 'wedge']
    """
    unknown = [name for name in only if name not in names]
    if unknown:
        raise InputError(f"there is no row {unknown[0]}", remedy=f"use one of {', '.join(names)}")
    return [name for name in names if not only or name in only]


def measure_rows(rows: Iterable[Row], file: Path, progress: Progress, machine: str = "") -> list[Record]:
    """Measure the rows that `file` does not hold yet, appending each as it is done; return all of them.

    `machine`, where given, is recorded with those that are measured: a table may come from several.

    Raises
    ------
    Interrupted
        If the user stopped; what was measured is kept.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    known = read_records(file)
    where = {"machine": machine} if machine else {}
    found = []
    for row in rows:
        key = dict(row.key)
        done = record_of(known, key)
        if done is None:
            if progress.should_stop():
                raise Interrupted
            progress.note("measuring " + ", ".join(f"{k} {v}" for k, v in key.items() if v is not None))
            twin = None if row.twin is None else record_of(known, row.twin())
            done = {**(twin or {**row.measure(), **where}), **key}
            known.append(done)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(done) + "\n")
        found.append(done)
    return found


def record_of(records: Iterable[Record], key: Mapping[str, Any]) -> Record | None:
    """The record with this key, if there is one; what a record does not say is None."""
    return next((r for r in records if all(r.get(k) == v for k, v in key.items())), None)


def read_records(file: Path) -> list[Record]:
    """Records of a JSON lines file; a last line cut short by a kill is dropped from the file."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
        file.write_text("".join(lines), encoding="utf-8")
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise InputError(f"is damaged ({error})", path=file, remedy="remove it to measure again") from error
