"""Gaussian, low-pass and median filters behind the interface of a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vitreous import filters

BLOCK_BYTES = 12.0  # a block, its filtered copy, and which voxels are finite; measured
FOURIER_BYTES = 40.0  # the same with a mirrored volume, its complex transform and their product; measured
GAUSSIAN_TRUNCATE = 4.0  # scipy's kernel ends at this many standard deviations

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Gaussian:
    """Gaussian smoothing; `sigma` in voxels."""

    name: ClassVar[str] = "gaussian"
    bytes_per_voxel: ClassVar[float] = BLOCK_BYTES
    sigma: float = 1.0

    @property
    def reach(self) -> int:
        """Radius of the kernel."""
        return int(GAUSSIAN_TRUNCATE * self.sigma + 0.5)

    def denoise(self, data: NDArray[Any], spacing_angstrom: float | None) -> Array:
        """Filtered copy of (z, y, x) grey values."""
        return filters.gaussian(data, sigma=self.sigma)


@dataclass(frozen=True)
class Lowpass:
    """Low-pass with a cosine edge at `resolution_angstrom`, or a quarter cycle per voxel without spacing."""

    name: ClassVar[str] = "lowpass"
    bytes_per_voxel: ClassVar[float] = FOURIER_BYTES
    reach: ClassVar[None] = None
    resolution_angstrom: float = 40.0

    def denoise(self, data: NDArray[Any], spacing_angstrom: float | None) -> Array:
        """Filtered copy of (z, y, x) grey values."""
        cutoff = 0.25 if spacing_angstrom is None else min(spacing_angstrom / self.resolution_angstrom, 0.5)
        return filters.lowpass(data, cutoff=cutoff)


@dataclass(frozen=True)
class Median:
    """Median over a cube of `size` voxels."""

    name: ClassVar[str] = "median"
    bytes_per_voxel: ClassVar[float] = BLOCK_BYTES
    size: int = 3

    @property
    def reach(self) -> int:
        """Half the cube."""
        return self.size // 2

    def denoise(self, data: NDArray[Any], spacing_angstrom: float | None) -> Array:
        """Filtered copy of (z, y, x) grey values."""
        return filters.median(data, size=self.size)
