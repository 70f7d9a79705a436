"""STAR files: named blocks, each with one table of strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import gemmi.cif as cif
import numpy as np
from numpy.typing import NDArray

from vitreous.core.errors import InputError
from vitreous.io.atomic import write_text_atomic
from vitreous.io.mrc import unreadable

_RESERVED = ("loop_", "stop_", "global_")
_NOT_BARE = "_#$'\";"


@dataclass(frozen=True, eq=False)
class StarTable:
    """The table of one block: ordered columns of strings, as the file has them.

    Parameters
    ----------
    columns
        Values by name, all of one length; names come without the leading underscore.
    loop
        Whether the block is a loop. Otherwise it is a list of pairs, and every column has one value.
    path
        The file it was read from.

    Examples
    --------
    >>> table = StarTable({"rlnTomoName": ("001", "002"), "rlnAnglePsi": ("1.5", "-3")})
    >>> len(table), table.numbers("rlnAnglePsi")[:, 0].tolist()
    (2, [1.5, -3.0])
    """

    columns: Mapping[str, tuple[str, ...]]
    loop: bool = True
    path: Path | None = None

    def __post_init__(self) -> None:
        if len({len(values) for values in self.columns.values()}) > 1:
            raise ValueError("the columns of a table must be of one length")
        if not self.loop and len(self) != 1:
            raise ValueError("a list of pairs has one value for each name")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def text(self, name: str) -> tuple[str, ...]:
        """Values of a column.

        Raises
        ------
        InputError
            If there is no such column.
        """
        if name not in self.columns:
            raise InputError(
                f"the column {name} is missing", path=self.path, remedy="give the file of another step"
            )
        return self.columns[name]

    def numbers(self, *names: str) -> NDArray[np.float64]:
        """Values of columns as an (n, columns) array.

        Raises
        ------
        InputError
            If a column is missing or holds what is no finite number.
        """
        values = np.empty((len(self), len(names)))
        for index, name in enumerate(names):
            texts = self.text(name)
            try:
                values[:, index] = [float(text) for text in texts]
            except ValueError:
                values[:, index] = np.nan
            if not np.isfinite(values[:, index]).all():
                wrong = next(text for text in texts if not _is_number(text))
                raise InputError(
                    f"{wrong[:40]!r} in column {name} is not a number",
                    path=self.path,
                    remedy="repair the file",
                )
        return values


def read_star(path: str | Path) -> dict[str, StarTable]:
    """Tables of a STAR file by the names of their blocks (without `data_`), in the order of the file.

    Every value stays the string it is in the file, without quotes.

    Raises
    ------
    InputError
        If the file is missing, is no STAR file, has two blocks of one name, holds no table, or holds
        several in one block.
    """
    file = Path(path)
    try:
        document = cif.read_string(file.read_bytes().decode("utf-8-sig"))
    except OSError as fault:
        raise unreadable(file, fault) from fault
    except (ValueError, RuntimeError) as fault:  # how gemmi reports a syntax error
        reason = str(fault).removeprefix("string:").strip() or "no text"
        raise InputError(f"is not a STAR file ({reason})", path=file, remedy="give a .star file") from fault
    tables = {block.name.strip(): _table(block, file) for block in document}
    if not any(table.columns for table in tables.values()):
        raise InputError("holds no table", path=file, remedy="give a .star file with data")
    return tables


def write_star(
    path: str | Path, tables: Mapping[str, StarTable], *, comment: str = "", overwrite: bool = False
) -> Path:
    """Write tables as the blocks of a STAR file, complete or not at all.

    Parameters
    ----------
    path
        The output.
    tables
        By the names of their blocks, without `data_`.
    comment
        Repeated above each block, as RELION does it with its version.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists or cannot be written.
    ValueError
        If a value holds a line break, or both kinds of quotes and a blank.
    """
    text = "".join(_block_text(name, table, comment) for name, table in tables.items())
    return write_text_atomic(path, text, overwrite=overwrite)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _table(block: cif.Block, file: Path) -> StarTable:
    loops = [item.loop for item in block if item.loop is not None]
    pairs = [cast(tuple[str, str], item.pair) for item in block if item.pair is not None]
    if len(loops) > 1 or (loops and pairs):
        raise InputError(
            f"the block data_{block.name.strip()} holds several tables",
            path=file,
            remedy="give each its own block",
        )
    if not loops:
        columns = {_bare(tag): (_value(value),) for tag, value in pairs}
        return StarTable(columns, loop=not columns, path=file)
    values = [_value(value) for value in loops[0].values]
    tags, width = loops[0].tags, len(loops[0].tags)
    return StarTable({_bare(tag): tuple(values[i::width]) for i, tag in enumerate(tags)}, path=file)


def _bare(tag: str) -> str:
    return tag.removeprefix("_")


def _value(text: str) -> str:
    return text if cif.is_null(text) else cif.as_string(text)


def _block_text(name: str, table: StarTable, comment: str) -> str:
    head = f"\n# {comment}\n" if comment else ""
    head += f"\ndata_{name}\n\n"
    if not table.loop:
        width = max(len(column) for column in table.columns)
        return head + "".join(
            f"_{key:<{width}}  {_token(values[0])}\n" for key, values in table.columns.items()
        )
    head += "loop_\n" + "".join(f"_{key} #{number}\n" for number, key in enumerate(table.columns, 1))
    cells = [[_token(value) for value in values] for values in table.columns.values()]
    widths = [max(map(len, column), default=0) for column in cells]
    rows = zip(*cells, strict=True)
    lines = ("  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) for row in rows)
    return head + "".join(f"{line}\n" for line in lines) + "\n"


def _token(value: str) -> str:
    """A value as it stands in a file, in quotes where it would be read as something else."""
    if "\n" in value or "\r" in value:
        raise ValueError(f"a STAR value cannot hold a line break: {value!r}")
    lower = value.lower()
    bare = value.isascii() and value[:1] not in ("", *_NOT_BARE) and not any(c.isspace() for c in value)
    if bare and lower not in _RESERVED and not lower.startswith(("data_", "save_")):
        return value
    for quote in "'\"":
        if quote not in value:
            return f"{quote}{value}{quote}"
    raise ValueError(f"a STAR value cannot hold both kinds of quotes: {value!r}")
