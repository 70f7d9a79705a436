"""Memory: what is there, what a prediction takes, which tile fits."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from vitreous.core import InputError
from vitreous.inference.tiles import axis_spans

GIGABYTE = 10**9
BASE_BYTES = 750_000_000  # Python, torch, its libraries, and the patches that the noise is estimated from
LARGEST_TILE = 160
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class MemoryPlan:
    """A tile side and the peak memory (bytes) expected with it."""

    tile: int
    peak_bytes: int


def parse_memory(text: str) -> int:
    """Bytes of a size such as "8GB", "500 MB" or "1.5g" (powers of ten).

    Examples
    --------
    >>> parse_memory("1.5GB")
    1500000000

    Raises
    ------
    InputError
        If the text is no size.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]?)(i?b)?\s*", text.lower())
    if match is None:
        raise InputError(f"--max-memory {text} is not a size", remedy="write for example --max-memory 8GB")
    return int(float(match[1]) * UNITS[match[2]])


def available_memory(device: torch.device) -> int:
    """Bytes free on the device: GPU memory, or what the operating system (and a container's limit) leaves."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = [_available_on_host()]
    for current, limit in (
        ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.max"),
        ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ):
        try:
            free.append(int(Path(limit).read_text()) - int(Path(current).read_text()))
        except (OSError, ValueError):
            continue
    return max(0, min(free))


def _available_on_host() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError, AttributeError):
        return 4 * GIGABYTE


def plan_tiles(
    shape: Sequence[int],
    *,
    bytes_per_voxel: float,
    margin: int,
    stride: int,
    limit_bytes: int,
    input_bytes: int,
    host: bool = True,
    tile: int | None = None,
) -> MemoryPlan:
    """The largest tile whose prediction stays within `limit_bytes`.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    bytes_per_voxel
        Working memory of the network for each voxel of a tile.
    margin, stride
        See `tiles_of`.
    limit_bytes
        Memory that may be used in all.
    input_bytes
        Bytes of the input that come to lie in memory.
    host
        Whether tiles are computed in the same memory as the volumes (CPU) or on a device of their own.
    tile
        The only tile side that will do, None for any.

    Raises
    ------
    InputError
        If not even the smallest tile fits.
    """
    fixed = BASE_BYTES + input_bytes + 4 * prod(shape) if host else 0
    needed = 0
    smallest = 2 * (-(-margin // stride) * stride) + stride
    largest = max(smallest, min(-(-max(shape) // stride) * stride, -(-LARGEST_TILE // stride) * stride))
    for side in range(largest, smallest - 1, -stride) if tile is None else (tile,):
        spans = [axis_spans(n, tile=side, margin=margin, stride=stride) for n in shape]
        needed = int(fixed + bytes_per_voxel * prod(max(s.stop - s.start for s in axis) for axis in spans))
        if needed <= limit_bytes:
            return MemoryPlan(side, needed)
    raise InputError(
        f"denoising a volume of {' × '.join(map(str, shape))} needs at least {needed / GIGABYTE:.1f} GB "
        f"and {limit_bytes / GIGABYTE:.3g} GB may be used",
        remedy="raise --max-memory, or crop or bin the tomogram",
    )
