"""The folder a long command leaves: what ran, on what, with which result."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import vitreous
from vitreous.core import InputError
from vitreous.io import check_writable, faults_in_words, file_sha256, write_text_atomic

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RUN_SCHEMA = 1
REQUIRED = {"kind", "status", "request"}


@dataclass(frozen=True)
class RunDirectory:
    """`run.json` and its neighbours in `path`."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where an unfinished training keeps its state."""
        return self.path / "checkpoints"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "run.json").is_file()

    def read(self) -> dict[str, Any]:
        """The contents of `run.json`.

        Raises
        ------
        InputError
            If there is none, or it is damaged or of another schema.
        """
        file = self.path / "run.json"
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            text = "is no run directory: run.json is missing"
            raise InputError(text, path=self.path, remedy="name the folder that a run made") from error
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"cannot be read ({error})", path=file, remedy="start the run again") from error
        if not isinstance(facts, dict) or facts.get("schema") != RUN_SCHEMA or not facts.keys() >= REQUIRED:
            raise InputError("is of an unknown schema", path=file, remedy="start the run again")
        return facts

    def write(self, facts: Mapping[str, Any]) -> None:
        """Replace `run.json`, complete or not at all."""
        write_text_atomic(self.path / "run.json", json_text({"schema": RUN_SCHEMA, **facts}))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second process out for the length of a `with` block; a killed one leaves no lock.

        Raises
        ------
        InputError
            If another process is at work here.
        """
        lock = self.path / ".lock"
        with faults_in_words(lock):
            self.path.mkdir(parents=True, exist_ok=True)
            file = lock.open("w")
        with file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    remedy = "wait for it, or choose another run directory"
                    raise InputError("another run is at work here", path=self.path, remedy=remedy) from error
                except OSError:
                    pass  # a network file system without locks: nothing can be said
            yield

    def unfinished(
        self,
        kind: str,
        is_same: Callable[[Mapping[str, Any]], bool],
        inputs: Mapping[str, str],
        overwrite: bool,
    ) -> bool:
        """Whether a stopped run that is the same may be gone on with; anything else here is kept.

        Parameters
        ----------
        kind
            Of the run at hand: one of another kind is never replaced.
        is_same
            Tells whether a `run.json` is of the request at hand.
        inputs
            SHA-256 of the files it reads, by path.
        overwrite
            Whether what is here may be replaced.

        Raises
        ------
        InputError
            If it may not, and is another run or read other bytes.
        """
        self.refuse_other_kind(kind)
        if overwrite or not self.exists():
            return False
        facts, remedy = self.read(), "add --overwrite or choose another run directory"
        if not is_same(facts):
            raise InputError("holds another run", path=self.path, remedy=remedy)
        changed = changed_since(facts.get("inputs_sha256", {}), inputs)
        if changed is not None:
            raise InputError(f"changed since the run in {self.path} began", path=changed, remedy=remedy)
        return bool(facts["status"] != "done")

    def refuse_other_kind(self, kind: str) -> None:
        """Raise InputError if a run of another kind is here, which no command replaces.

        A `run.json` that cannot be read is of no kind.
        """
        try:
            found = self.read()["kind"]
        except InputError:
            return
        if found != kind:
            remedy = "choose another run directory"
            raise InputError(f"holds a run of kind {found}", path=self.path, remedy=remedy)

    def begin(self, kind: str, request: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
        """Record that a run starts (or goes on); returns what was written.

        Raises
        ------
        InputError
            If a run of another kind is here.
        """
        self.refuse_other_kind(kind)
        record = {
            "kind": kind,
            "status": "running",
            "request": dict(request),
            "versions": versions(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **facts,
        }
        self.write(record)
        return record


def plain(value: float | None) -> float | None:
    """None for what JSON cannot say: no number, or an infinite one.

    Examples
    --------
    >>> plain(2.5), plain(float("inf"))
    (2.5, None)
    """
    return value if value is not None and math.isfinite(value) else None


def json_text(facts: Mapping[str, Any]) -> str:
    """Plain values as JSON, with null for every number that JSON does not have.

    Examples
    --------
    >>> json_text({"psnr": [30.5, float("inf")]}).split()
    ['{', '"psnr":', '[', '30.5,', 'null', ']', '}']
    """
    finite = json.loads(json.dumps(facts), parse_constant=lambda name: None)
    return json.dumps(finite, indent=2, allow_nan=False) + "\n"


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {"vitreous": vitreous.__version__, "torch": torch.__version__, "python": platform.python_version()}


def same_request(recorded: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether the request of a `run.json` is this one; those of earlier versions say no device."""
    return isinstance(recorded, dict) and {"device": "auto", **recorded} == dict(wanted)


def changed_since(recorded: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """The first file that is not what it was, or was not there; None if all is the same."""
    return next((path for path in {**recorded, **now} if recorded.get(path) != now.get(path)), None)


def check_unchanged(recorded: Mapping[str, str]) -> None:
    """Raise InputError that names the first of the recorded files that is not what it was."""
    path = changed_since(recorded, {path: file_sha256(path) for path in recorded})
    if path is not None:
        raise InputError("changed since the run began", path=path, remedy="start again, with --overwrite")


def stopped_run(run_dir: Path, kind: str) -> tuple[RunDirectory, dict[str, Any]]:
    """A run that can be gone on with, and what its `run.json` says.

    Raises
    ------
    InputError
        If it is finished, or no run of this kind.
    """
    run = RunDirectory(run_dir.absolute())
    facts = run.read()
    if facts["kind"] != kind:
        raise InputError(f"holds a run of kind {facts['kind']}", path=run.path)
    if facts["status"] == "done":
        remedy = f"see {run.report}" if run.report.exists() else ""
        raise InputError("the run is already done", path=run.path, remedy=remedy)
    return run, facts


def finished_run(run_dir: Path, kind: str) -> tuple[RunDirectory, dict[str, Any]]:
    """A finished run whose inputs are what they were, and what its `run.json` says.

    Raises
    ------
    InputError
        If it is not finished, no run of this kind, or a file has changed.
    """
    run = RunDirectory(run_dir.absolute())
    facts = run.read()
    if facts["kind"] != kind or facts["status"] != "done":
        raise InputError(f"is no finished run of kind {kind}", path=run.path, remedy="resume it first")
    check_unchanged(facts["inputs_sha256"])
    return run, facts


def check_picture(picture: Path | None, overwrite: bool) -> None:
    """Raise InputError if a picture is asked for that is no PNG, or whose file must not be replaced."""
    if picture is None:
        return
    if picture.suffix.lower() != ".png":
        raise InputError("the picture is a PNG", path=picture, remedy="name it something.png")
    if picture.exists() and not overwrite:
        remedy = "add --overwrite or choose another --picture"
        raise InputError("is there already", path=picture, remedy=remedy)
    check_writable(picture, 0, overwrite)


@contextmanager
def damage_in_words(run: RunDirectory) -> Iterator[None]:
    """Tell of a request that `run.json` holds and that cannot be read, in one line."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise InputError("run.json is damaged", path=run.path, remedy="start the run again") from error
