"""How long work reports itself: stages with steps, notes and warnings, and a way to stop."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what a user wants to see; the command line draws it, a library call may ignore it."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` steps begins, `done` of them already behind it."""

    def advance(self, steps: int = 1, **values: float) -> None:
        """Steps of the current stage are done; `values` are live figures such as the loss."""

    def note(self, text: str) -> None:
        """Say something the user should know."""

    def warn(self, text: str) -> None:
        """Say something that may spoil the result."""

    def should_stop(self) -> bool:
        """Whether the user asked to stop; polled between steps."""


class SilentProgress:
    """Ignores everything and never stops."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Ignore the beginning of a stage."""

    def advance(self, steps: int = 1, **values: float) -> None:
        """Ignore the steps."""

    def note(self, text: str) -> None:
        """Ignore the note."""

    def warn(self, text: str) -> None:
        """Ignore the warning."""

    def should_stop(self) -> bool:
        """Never."""
        return False
