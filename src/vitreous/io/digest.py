"""SHA-256 of input files, so that a run can say exactly what it was run on."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vitreous.core.errors import InputError

_BLOCK_BYTES = 1 << 20


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, or of a folder such as an OME-Zarr store, read in blocks.

    A folder's digest covers, in sorted order, each file's relative POSIX name, its length and its
    bytes; it does not depend on where the folder lies.

    Parameters
    ----------
    path
        File or folder.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputError
        If it is missing or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "empty"
    ...     file.touch()
    ...     file_sha256(file)[:8]
    'e3b0c442'
    """
    root = Path(path)
    digest = hashlib.sha256()
    try:
        if not root.is_dir():
            _add_contents(digest, root)
            return digest.hexdigest()
        names = {file.relative_to(root).as_posix(): file for file in root.rglob("*") if file.is_file()}
        for name in sorted(names):
            digest.update(f"{name}\0{names[name].stat().st_size}\0".encode("utf-8", "surrogateescape"))
            _add_contents(digest, names[name])
    except OSError as fault:
        raise InputError(
            f"cannot be read ({fault.strerror or fault})",
            path=root,
            remedy="check the path and its permissions",
        ) from fault
    return digest.hexdigest()


def _add_contents(digest: hashlib._Hash, file: Path) -> None:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
