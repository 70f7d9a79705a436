"""Progress, notes and results on a terminal: results to stdout, all else to stderr."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class ConsoleProgress:
    """Draws stages with ETA and live figures; turns Ctrl-C into a polite wish to stop.

    Parameters
    ----------
    quiet
        Show warnings only.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self.stop_wanted = False
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task: Any = None
        self._plain_mark = 0

    @contextmanager
    def active(self) -> Iterator[ConsoleProgress]:
        """Draw, and listen to Ctrl-C, for the length of a `with` block."""
        # Batch systems send SIGTERM at the end of a job's time: it is as polite a wish as Ctrl-C.
        previous = {wish: signal.signal(wish, self._on_interrupt) for wish in (signal.SIGINT, signal.SIGTERM)}
        try:
            with self._bars:
                yield self
        finally:
            for wish, handler in previous.items():
                signal.signal(wish, handler)

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Open a new bar."""
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._task = self._bars.add_task(stage, total=total, completed=done, figures="")
        self._plain_mark = 0

    def advance(self, steps: int = 1, **values: float) -> None:
        """Move the bar; without a terminal, print a line every tenth of the way."""
        figures = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._bars.update(self._task, advance=steps, figures=figures)
        task = self._bars.tasks[-1]
        if not self.quiet and not self.console.is_terminal and task.total:
            tenth = int(10 * task.completed / task.total)
            if tenth > self._plain_mark:
                self._plain_mark = tenth
                left = f"ETA {task.time_remaining:.0f} s" if task.time_remaining is not None else ""
                line = f"{task.description}: {task.completed:.0f}/{task.total:.0f} {left} {figures}"
                self.console.print(escape(" ".join(line.split())))

    def note(self, text: str) -> None:
        """Print a note."""
        if not self.quiet:
            self.console.print(escape(text))

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"[yellow]warning:[/yellow] {escape(text)}")

    def should_stop(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.stop_wanted

    def _on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self.stop_wanted:
            raise KeyboardInterrupt
        self.stop_wanted = True
        self.console.print("stopping after this step (Ctrl-C again stops at once)")


def print_result(facts: Mapping[str, Any], lines: list[str], *, as_json: bool) -> None:
    """Write a result to stdout: one JSON object, or lines for people."""
    text = json.dumps(finite(facts)) if as_json else "\n".join(lines)
    # A file name need not be valid Unicode; its odd bytes are shown as escapes.
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def finite(value: Any) -> Any:
    """The same plain values with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
