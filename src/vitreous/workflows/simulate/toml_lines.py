"""On which line of a TOML file each key stands: `tomllib` does not say."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

Place = tuple[str | int, ...]


def line_numbers(text: str) -> dict[Place, int]:
    r"""First line of every table and key of a valid TOML text, by its place in the tree.

    Examples
    --------
    >>> line_numbers("seed = 1\n[[particles]]\ncount = [\n 1,\n 2]\n")
    {('seed',): 1, ('particles', 0): 2, ('particles', 0, 'count'): 3}
    """
    lines: dict[Place, int] = {}
    counts: dict[Place, int] = {}  # of the tables of each array so far
    table: Place = ()
    for number, statement in _statements(text):
        tree = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            is_item = statement.lstrip().startswith("[[")
            table = _entered(_keys(tree), counts, is_item)
            lines.setdefault(table, number)
        else:
            for place in _places(tree):
                lines.setdefault((*table, *place), number)
    return lines


def line_of(place: Sequence[str | int], lines: dict[Place, int]) -> int | None:
    """The line of a place, or of the innermost table around it that has one."""
    for length in range(len(place), 0, -1):
        if (found := lines.get(tuple(place[:length]))) is not None:
            return found
    return None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """First line and text of each statement: lines are joined until they parse."""
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if pending else number
        pending += line + "\n"
        try:
            tree = tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue
        if tree:
            yield first, pending
        pending = ""


def _keys(tree: dict[str, Any]) -> list[str]:
    """The dotted key of a table's header."""
    keys: list[str] = []
    node: Any = tree
    while node:
        node = node[0] if isinstance(node, list) else node
        if not node:
            break
        (key,) = node
        keys.append(key)
        node = node[key]
    return keys


def _entered(keys: list[str], counts: dict[Place, int], is_item: bool) -> Place:
    """The place of a table's header, with the index of every array of tables on the way."""
    place: Place = ()
    for key in keys[:-1]:
        place = (*place, key)
        if place in counts:
            place = (*place, counts[place] - 1)
    place = (*place, keys[-1])
    if is_item:
        counts[place] = counts.get(place, 0) + 1
        place = (*place, counts[place] - 1)
    return place


def _places(tree: Any) -> Iterator[Place]:
    """Places of all keys of a statement, the outer ones first."""
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        yield (key,)
        yield from ((key, *rest) for rest in _places(value))
