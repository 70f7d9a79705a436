"""The tomogram as an immutable value: voxels in (z, y, x), their spacing, and what the file said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class FileHeader:
    """What a volume file said beside its voxels, kept so that a written volume can carry it on.

    All triples are (z, y, x). `origin_angstrom` and `start_voxels` are separate conventions
    of the MRC format and both survive a round trip. `extra` are the bytes of an MRC header that the
    standard leaves to programs.
    """

    origin_angstrom: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start_voxels: tuple[int, int, int] = (0, 0, 0)
    space_group: int = 1
    labels: tuple[str, ...] = ()
    extended_header: bytes = b""
    extended_type: bytes = b""
    extra: bytes = b""


@dataclass(frozen=True, eq=False)
class Volume:
    """A tomogram: voxels (z, y, x), voxel spacing in Å, and the header of the file it came from.

    Parameters
    ----------
    data
        Array of shape (z, y, x); it may be memory-mapped and of any real type.
    voxel_spacing_angstrom
        One number or a (z, y, x) triple in Å; None when the file does not say. It is never guessed.
    header
        What the file said beside its voxels.
    path
        The file the voxels came from, if any.

    Examples
    --------
    >>> import numpy as np
    >>> Volume(np.zeros((4, 5, 6), np.float32), 10.0).voxel_spacing_angstrom
    (10.0, 10.0, 10.0)
    """

    data: NDArray[Any]
    voxel_spacing_angstrom: Spacing | None = None
    header: FileHeader = field(default_factory=FileHeader)
    path: Path | None = None

    def __post_init__(self) -> None:
        if self.data.ndim != 3:
            raise ValueError(f"a volume has three axes (z, y, x), not {self.data.ndim}")
        object.__setattr__(self, "voxel_spacing_angstrom", as_spacing(self.voxel_spacing_angstrom))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        z, y, x = self.data.shape
        return z, y, x

    @property
    def mean_spacing_angstrom(self) -> float | None:
        """Geometric mean of the three spacings in Å, or None when unknown."""
        if self.voxel_spacing_angstrom is None:
            return None
        return float(np.prod(self.voxel_spacing_angstrom) ** (1 / 3))

    def with_data(self, data: NDArray[Any]) -> Volume:
        """The same volume with other voxels: spacing, header and path are kept."""
        return replace(self, data=data)


def as_spacing(value: float | Sequence[float] | None) -> Spacing | None:
    """A (z, y, x) triple in Å from a number, a triple or None.

    Raises
    ------
    ValueError
        If a spacing is not a positive finite number.
    """
    if value is None:
        return None
    triple = (value,) * 3 if isinstance(value, (int, float, np.number)) else tuple(value)
    if len(triple) != 3 or not all(np.isfinite(s) and s > 0 for s in triple):
        raise ValueError(f"voxel spacing must be one or three positive numbers in Å, not {value!r}")
    z, y, x = (float(s) for s in triple)
    return z, y, x
