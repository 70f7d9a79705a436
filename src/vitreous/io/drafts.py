"""Names of outputs being written. They say by whom, so that what a killed process left can be removed."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

ASIDE = ".old"  # what is being replaced, between the two renames of a folder


def draft_of(target: Path) -> Path:
    """A new name beside `target` under which it is written; it has the suffix of `target`."""
    # Short whatever the target is called: a long name plus a suffix could exceed what the disk allows.
    name = f"{_prefix(target)}{os.getpid()}-{secrets.token_hex(4)}.part{target.suffix}"
    return target.with_name(name)


def remove_stale(target: str | Path) -> None:
    """Remove drafts of `target` whose writer, a process of this machine, is no more.

    Drafts of other outputs, other machines and living processes stay.
    """
    path = Path(target)
    with suppress(OSError):
        for draft in path.parent.glob(f"{_prefix(path)}*"):
            writer = draft.name.removeprefix(_prefix(path)).partition("-")[0]
            # Until the new folder has its name, the one set aside is all there is.
            needed = draft.suffix == ASIDE and not os.path.lexists(path)
            if not needed and writer.isdigit() and not _is_alive(int(writer)):
                remove(draft)


def remove(path: Path) -> None:
    """Remove a file or folder; what cannot be removed stays."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    place = (platform.node().encode(), os.fsencode(target.name))
    machine, name = (hashlib.sha256(part).hexdigest()[:8] for part in place)
    return f".vitreous-{machine}-{name}-"


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is no mere question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True
