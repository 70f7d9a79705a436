"""Outputs that appear complete or not at all.

Everything is written beside its target under a temporary name, flushed to the disk and then renamed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vitreous.core.errors import InputError
from vitreous.io.drafts import ASIDE, draft_of, remove, remove_stale

_CHOOSE = "choose another -o"
_WRITE_FAULTS = {
    errno.ENOSPC: ("the disk is full", f"free some space or {_CHOOSE}"),
    errno.EDQUOT: ("your disk quota is used up", f"free some space or {_CHOOSE}"),
    errno.EFBIG: ("the output is larger than a file may be here", f"raise the limit or {_CHOOSE}"),
    errno.EACCES: ("no permission to write here", _CHOOSE),
    errno.EPERM: ("no permission to write here", _CHOOSE),
    errno.EROFS: ("the file system is read-only", _CHOOSE),
    errno.ENAMETOOLONG: ("the file name is too long", _CHOOSE),
    errno.ENOTDIR: ("a parent of the output is a file, not a folder", _CHOOSE),
}
_ZARR_MARKERS = (".zgroup", ".zarray", ".zattrs", "zarr.json")


def is_zarr_folder(path: Path) -> bool:
    """Whether a folder is the root of a Zarr group or array."""
    return any((path / marker).is_file() for marker in _ZARR_MARKERS)


def format_bytes(count: float) -> str:
    """A number of bytes for people, in decimal units.

    Examples
    --------
    >>> format_bytes(512), format_bytes(1_500_000_000)
    ('512 B', '1.5 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raise unless nothing stands at `target`, or what stands there may be replaced.

    Raises
    ------
    InputError
        If the output exists and `overwrite` is false, or it is a folder that is no Zarr store: such
        a folder is never removed.
    """
    try:
        exists = os.path.lexists(target)
        if exists and target.is_dir() and not (target.suffix.lower() == ".zarr" and is_zarr_folder(target)):
            raise InputError("the output is a folder", path=target, remedy="give a file name in it with -o")
    except OSError as fault:
        raise write_error(target, fault) from fault
    if exists and not overwrite:
        raise InputError("output exists", path=target, remedy=f"add --overwrite or {_CHOOSE}")


def check_writable(path: str | Path, bytes_needed: int = 0, overwrite: bool = False) -> None:
    """Fail early where an output could not be written. Nothing is created.

    Parameters
    ----------
    path
        The output. Missing parent folders are fine: they are made when it is written.
    bytes_needed
        Expected size in bytes. What an overwritten file occupies is not counted as free, since it
        stays until the new one is complete.
    overwrite
        Whether an existing output may be replaced.

    Raises
    ------
    InputError
        If the output exists, its nearest existing parent is not a folder or not writable, or the
        disk has too little room.
    """
    target = Path(path)
    refuse_existing(target, overwrite)
    ancestor = _nearest_existing_parent(target)
    if not ancestor.is_dir():
        raise InputError(f"{ancestor} is a file, not a folder", path=target, remedy=_CHOOSE)
    by_effective_user = os.access in os.supports_effective_ids
    if not os.access(ancestor, os.W_OK | os.X_OK, effective_ids=by_effective_user):
        raise InputError(f"no permission to write in {ancestor}", path=target, remedy=_CHOOSE)
    free = shutil.disk_usage(ancestor).free
    if free < bytes_needed:
        raise InputError(
            f"needs {format_bytes(bytes_needed)} and the disk has {format_bytes(free)} free",
            path=target,
            remedy=f"free some space or {_CHOOSE}",
        )


@contextmanager
def atomic_path(target: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path in the folder of `target` that becomes `target` when the block succeeds.

    Parent folders are made. On any failure the temporary file and the folders made for it are
    removed and an existing target is left as it was.

    Parameters
    ----------
    target
        The file to write.
    overwrite
        Whether an existing file may be replaced.

    Yields
    ------
    Path
        Where to write; it does not exist yet and has the suffix of `target`.

    Raises
    ------
    InputError
        If the output exists, or writing failed (disk full, no permission, …).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "runs" / "a.json") as temporary:
    ...         _ = temporary.write_text("{}")
    ...     print([p.name for p in sorted(Path(folder).rglob("*"))])
    ['runs', 'a.json']
    """
    with _staged(Path(target), overwrite, _commit_file) as temporary:
        yield temporary


@contextmanager
def atomic_folder(target: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Like `atomic_path` for a whole folder (a Zarr store).

    An existing store is moved aside and removed only after the new one has its name; between the
    two renames there is an instant at which neither does.

    Raises
    ------
    InputError
        As `atomic_path`.
    """
    with _staged(Path(target), overwrite, _commit_folder) as temporary:
        yield temporary


def write_text_atomic(path: str | Path, text: str, *, overwrite: bool = True) -> Path:
    """Write UTF-8 text so that readers see the old file or the new one, never a part.

    Raises
    ------
    InputError
        If the file cannot be written, or exists and `overwrite` is false.
    """
    return write_bytes_atomic(path, text.encode("utf-8"), overwrite=overwrite)


def write_bytes_atomic(path: str | Path, content: bytes, *, overwrite: bool = True) -> Path:
    """Like `write_text_atomic` for any content."""
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(content)
    return Path(path)


@contextmanager
def faults_in_words(target: Path) -> Iterator[None]:
    """Turn what the disk refuses to a block that writes `target`, or beside it, into an InputError."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _WRITE_FAULTS and _concerns_output(fault, target):
            raise write_error(target, fault) from fault
        raise


def write_error(target: Path, fault: OSError) -> InputError:
    """The one line for a user whose output could not be written."""
    problem, remedy = _WRITE_FAULTS.get(
        fault.errno or 0, (f"could not be written ({fault.strerror or fault})", _CHOOSE)
    )
    return InputError(problem, path=target, remedy=remedy)


@contextmanager
def _staged(target: Path, overwrite: bool, commit: Callable[[Path, Path], None]) -> Iterator[Path]:
    refuse_existing(target, overwrite)
    remove_stale(target)
    temporary = draft_of(target)
    made: list[Path] = []
    done = False
    try:
        _make_parents(target.parent, made)
        yield temporary
        refuse_existing(target, overwrite)
        commit(temporary, target)
        done = True
    except OSError as fault:
        if _concerns_output(fault, target):
            raise write_error(target, fault) from fault
        raise
    finally:
        if not done:
            remove(temporary)
            for folder in reversed(made):
                with suppress(OSError):
                    folder.rmdir()


def _commit_file(temporary: Path, target: Path) -> None:
    _flush_to_disk(temporary)
    os.replace(temporary, target)


def _commit_folder(temporary: Path, target: Path) -> None:
    for file in temporary.rglob("*"):
        if file.is_file():
            _flush_to_disk(file)
    if not os.path.lexists(target):
        os.rename(temporary, target)
        return
    aside = temporary.with_name(f"{temporary.name}{ASIDE}")
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        os.rename(aside, target)
        raise
    remove(aside)


def _flush_to_disk(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_parents(folder: Path, made: list[Path]) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        made.append(new)


def _nearest_existing_parent(target: Path) -> Path:
    folder = target.absolute().parent
    try:
        while not folder.exists():
            folder = folder.parent
    except OSError as fault:
        raise write_error(target, fault) from fault
    return folder


def _concerns_output(fault: OSError, target: Path) -> bool:
    """Whether an error of the block is about the output, and not about some file it reads."""
    if not isinstance(fault.filename, (str, bytes)):
        return True
    file, folder = Path(os.path.abspath(os.fsdecode(fault.filename))), Path(os.path.abspath(target.parent))
    return file.is_relative_to(folder) or folder.is_relative_to(file)
