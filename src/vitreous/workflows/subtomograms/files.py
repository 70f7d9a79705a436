"""Blocks of an unfinished set of subtomograms, and the files they become."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import InputError, Volume
from vitreous.io import faults_in_words, write_bytes_atomic, write_text_atomic, write_volume
from vitreous.io.atomic import is_zarr_folder
from vitreous.io.drafts import remove
from vitreous.io.pose_table import POSE_COLUMNS
from vitreous.io.subtomograms import write_subtomogram_zarr
from vitreous.simulate import SubtomogramSet, SubtomogramSettings

ARRAYS: dict[str, np.dtype[Any]] = {
    "densities": np.dtype("f4"),
    "noise_free": np.dtype("f4"),
    "masks": np.dtype("u1"),
}
BYTES_PER_VOXEL = sum(kind.itemsize for kind in ARRAYS.values())
MORE_COLUMNS = ("class", "snr_requested", "snr_measured", "defocus_um", "neighbours", "file")
STORE, TABLE = "subtomograms.zarr", "subtomograms.csv"


@dataclass(frozen=True)
class BlockStore:
    """Finished blocks of an unfinished set, each a file that is whole or not there."""

    folder: Path

    def put(self, block: SubtomogramSet) -> None:
        """Keep a block."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **block.to_arrays())
        write_bytes_atomic(self._file(int(block.poses.instances[0])), content.getvalue())

    def get(self, first: int) -> SubtomogramSet | None:
        """The block that begins with an instance; None if there is none that can be read."""
        with (
            suppress(OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile),
            np.load(self._file(first), allow_pickle=False) as arrays,
        ):
            return SubtomogramSet.from_arrays(arrays)
        return None

    def all(self, firsts: Iterable[int]) -> Iterator[SubtomogramSet]:
        """Those blocks one after another.

        Raises
        ------
        InputError
            If one has vanished.
        """
        for first in firsts:
            block = self.get(first)
            if block is None:
                raise InputError("has vanished", path=self._file(first), remedy="start the run again")
            yield block

    def clear(self) -> None:
        """Remove all of them."""
        remove(self.folder)

    def _file(self, first: int) -> Path:
        return self.folder / f"{first:06d}.npz"


@dataclass(frozen=True)
class SubtomogramFolder:
    """What a finished set consists of, below `path`.

    Parameters
    ----------
    path
        The folder.
    settings
        Of the set.
    format
        "zarr" or "mrc".
    label
        What was done, for the files' headers.
    """

    path: Path
    settings: SubtomogramSettings
    format: str
    label: str

    @property
    def table(self) -> Path:
        """One line for each subtomogram."""
        return self.path / TABLE

    def existing(self) -> Path | None:
        """Something that a set would replace, if there is anything."""
        return next((p for p in (self.table, self.path / STORE, *self._folders()) if p.exists()), None)

    def write(self, count: int, blocks: Iterable[SubtomogramSet], advance: Callable[[int], None]) -> Path:
        """Replace what is there with a set of `count` subtomograms; the table comes last.

        Returns
        -------
        Path
            The Zarr store, or the folder of the MRC files.
        """
        with faults_in_words(self.table):
            self.table.unlink(missing_ok=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*POSE_COLUMNS, *MORE_COLUMNS))

        def watched() -> Iterator[SubtomogramSet]:
            for block in blocks:
                yield block
                writer.writerows(self._lines(block))
                advance(len(block))

        if self.format == "zarr":
            output = self._write_zarr(count, watched())
            self._remove_mrc(above=0)
        else:
            output = self._write_mrc(watched())
            self._remove_mrc(above=count)
            if is_zarr_folder(self.path / STORE):
                remove(self.path / STORE)
        write_text_atomic(self.table, text.getvalue())
        return output

    def _write_zarr(self, count: int, blocks: Iterable[SubtomogramSet]) -> Path:
        return write_subtomogram_zarr(
            self.path / STORE,
            (count, *(self.settings.side,) * 3),
            ARRAYS,
            ({name: getattr(block, name) for name in ARRAYS} for block in blocks),
            self.settings.voxel_spacing_angstrom,
            overwrite=True,
            label=self.label,
        )

    def _write_mrc(self, blocks: Iterable[SubtomogramSet]) -> Path:
        spacing = (self.settings.voxel_spacing_angstrom,) * 3
        for block in blocks:
            for n, instance in enumerate(block.poses.instances):
                for name, kind in ARRAYS.items():
                    dtype = np.dtype(np.int8) if kind.kind == "u" else kind
                    volume = Volume(getattr(block, name)[n], spacing)
                    file = self.path / name / f"{instance:06d}.mrc"
                    write_volume(file, volume, overwrite=True, label=self.label, dtype=dtype)
        return self.path

    def _remove_mrc(self, above: int) -> None:
        """Remove what a larger set, or one of the other format, has left."""
        for folder in self._folders():
            with suppress(OSError):
                for file in folder.iterdir():
                    if re.fullmatch(r"\d{6,}\.mrc", file.name) and int(file.stem) > above:
                        remove(file)
                if not above:
                    folder.rmdir()

    def _folders(self) -> list[Path]:
        return [self.path / name for name in ARRAYS]

    def _lines(self, block: SubtomogramSet) -> Iterator[tuple[str | int | float, ...]]:
        defocus = self.settings.defocus_um
        for n, instance in enumerate(block.poses.instances.tolist()):
            yield (
                block.poses.names[n],
                instance,
                *(repr(value) for value in block.poses.positions_angstrom[n].tolist()),
                *(repr(value) for value in block.poses.rotations[n].ravel().tolist()),
                int(block.classes[n]),
                float(block.requested_snrs[n]),
                f"{block.snrs[n]:.6g}",
                "" if defocus is None else defocus,
                ";".join(block.neighbours[n]),
                STORE if self.format == "zarr" else f"densities/{instance:06d}.mrc",
            )
