"""Structures downloaded from the Protein Data Bank, kept with their checksums."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from vitreous.core.errors import InputError
from vitreous.io.atomic import atomic_path, write_text_atomic
from vitreous.io.digest import file_sha256

PDB_DOWNLOADS = "https://files.rcsb.org/download"
_PDB_ID = re.compile(r"[1-9][a-z0-9]{3}")
_OTHER_CACHE = "set VITREOUS_CACHE to a folder that can be written to and has space"
_USE_LOCAL = "give a local .pdb or .cif file, or phantom:NAME"


def structure_cache_folder() -> Path:
    """Where structures are kept: `$VITREOUS_CACHE/structures`, or `~/.cache/vitreous/structures`."""
    root = os.environ.get("VITREOUS_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "vitreous") / "structures"


def fetch_structure(
    pdb_id: str,
    *,
    folder: str | Path | None = None,
    server: str = PDB_DOWNLOADS,
    timeout_seconds: float = 10.0,
) -> Path:
    """The mmCIF file of a PDB entry, downloaded once.

    Beside the file lies its SHA-256, with which it is compared each time. A download is checked for
    its length and unpacked once before it appears in the cache; one that fails leaves nothing there.

    Parameters
    ----------
    pdb_id
        Four characters such as "1bxn", in either case.
    folder
        The cache; `structure_cache_folder()` when not given.
    server
        Address below which `ID.cif.gz` lies.
    timeout_seconds
        How long to wait for the server's answer.

    Returns
    -------
    Path
        `ID.cif.gz` in the cache, which `read_atomic_model` reads.

    Raises
    ------
    InputError
        If the id is none, the entry does not exist, the server cannot be reached, the download is cut
        off or cannot be kept, or the file in the cache is not the one that was downloaded.
    """
    entry = pdb_id.strip().lower()
    if not _PDB_ID.fullmatch(entry):
        raise InputError(
            f"{pdb_id!r} is no PDB id", remedy="give a digit and three letters or digits, such as pdb:1bxn"
        )
    file = (Path(folder) if folder is not None else structure_cache_folder()) / f"{entry}.cif.gz"
    checksum = file.with_name(f"{file.name}.sha256")
    if file.exists() and checksum.exists():
        if file_sha256(file) != checksum.read_text("utf-8").strip():
            raise InputError(
                "the file in the cache has changed since it was downloaded",
                path=file,
                remedy="delete it to fetch it again",
            )
        return file
    data = _download(f"{server}/{entry.upper()}.cif.gz", f"pdb:{entry}", timeout_seconds)
    try:
        with atomic_path(file, overwrite=True) as temporary:
            temporary.write_bytes(data)
            # First the checksum, then the file: a file in the cache always has the one that belongs to it.
            write_text_atomic(checksum, f"{file_sha256(temporary)}\n")
    except InputError as fault:  # no option names this place
        raise InputError(fault.problem, path=fault.path, remedy=_OTHER_CACHE) from fault
    return file


def _download(address: str, name: str, timeout_seconds: float) -> bytes:
    if not address.startswith(("https://", "http://")):
        raise ValueError(f"structures are downloaded by http, not from {address}")
    try:
        with urllib.request.urlopen(address, timeout=timeout_seconds) as response:  # noqa: S310
            announced = response.headers.get("Content-Length")
            data: bytes = response.read()
        if announced is not None and len(data) != int(announced):
            raise EOFError
        if not gzip.decompress(data):
            raise EOFError
    except urllib.error.HTTPError as fault:
        if fault.code in (404, 410):
            raise InputError(f"{name}: the Protein Data Bank has no such entry", remedy=_USE_LOCAL) from fault
        raise InputError(f"{name}: the server answered {fault.code}", remedy=_USE_LOCAL) from fault
    except (EOFError, gzip.BadGzipFile, zlib.error, http.client.IncompleteRead) as fault:
        raise InputError(
            f"{name}: the download was cut off or damaged", remedy=f"try again, or {_USE_LOCAL}"
        ) from fault
    except (OSError, http.client.HTTPException) as fault:
        reason = getattr(fault, "reason", None) or fault
        raise InputError(f"{name}: no connection to {address} ({reason})", remedy=_USE_LOCAL) from fault
    return data
