"""Open the tomogram to pick from, and refuse what cannot be picked from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import InputError, Volume
from vitreous.core.normalization import SLAB_VOXELS
from vitreous.inference import available_memory, parse_memory
from vitreous.inference.memory import GIGABYTE
from vitreous.io import open_volume, volume_warnings
from vitreous.workflows.cubic_voxels import cubic_spacing
from vitreous.workflows.pick.request import PickRequest

BASE_BYTES = 400_000_000  # Python, torch and the libraries
STATISTICS_BYTES = 40  # for each voxel of the slab that statistics are made of


@dataclass(frozen=True, eq=False)
class PickSource:
    """A volume of known spacing, with its mask and what is doubtful about it."""

    volume: Volume
    spacing_angstrom: float
    mask: NDArray[np.bool_] | None
    warnings: tuple[str, ...]


def open_pick_source(request: PickRequest) -> PickSource:
    """Open a request's files and make sure that they can be picked from.

    Raises
    ------
    InputError
        If a file cannot be read, the voxel spacing is not known or differs between axes, or the mask is of
        another size or empty.
    """
    given = request.voxel_size_angstrom
    volume = open_volume(request.input, voxel_spacing_angstrom=given)
    spacing = cubic_spacing(volume, request.input, given)
    mask = None if request.mask is None else open_mask(request.mask, volume)
    return PickSource(volume, spacing, mask, volume_warnings(volume))


def open_mask(path: Path, volume: Volume) -> NDArray[np.bool_]:
    """Where a mask is above 0.5; InputError if it does not fit the volume or is empty."""
    data = open_volume(path, allow_damaged=True).data
    if data.shape != volume.shape:
        text = f"its size {data.shape} (z, y, x) differs from {volume.shape} of the tomogram"
        raise InputError(text, path=path, remedy="give a mask of the same size")
    mask = np.asarray(data) > 0.5
    if not mask.any():
        remedy = "mark the specimen with values above 0.5"
        raise InputError("the mask is empty", path=path, remedy=remedy)
    return mask


def check_memory(source: PickSource, picking_bytes: int, max_memory: str | None) -> str:
    """How much memory it takes, in words; raises InputError if there is not enough."""
    volume = source.volume
    held = 0 if isinstance(volume.data, np.memmap) else volume.data.nbytes
    held += 0 if source.mask is None else source.mask.nbytes
    working = max(picking_bytes, STATISTICS_BYTES * min(volume.data.size, SLAB_VOXELS))
    needed = BASE_BYTES + held + working
    limit = available_memory(torch.device("cpu"))
    if max_memory is not None:
        limit = min(limit, parse_memory(max_memory))
    if needed > limit:
        raise InputError(
            f"picking needs {needed / GIGABYTE:.1f} GB and {limit / GIGABYTE:.1f} GB may be used",
            path=volume.path,
            remedy="raise --max-memory, or bin the tomogram",
        )
    return f"up to {needed / GIGABYTE:.1f} GB of memory"
