"""Gaussian, low-pass and median filters behind the interface of a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vitreous import filters

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Gaussian:
    """Gaussian smoothing; `sigma` in voxels."""

    name: ClassVar[str] = "gaussian"
    sigma: float = 1.0

    def denoise(self, data: NDArray[Any], spacing_angstrom: float | None) -> Array:
        """Filtered copy of (z, y, x) grey values."""
        return filters.gaussian(data, sigma=self.sigma)


@dataclass(frozen=True)
class Lowpass:
    """Low-pass with a cosine edge at `resolution_angstrom`, or a quarter cycle per voxel without spacing."""

    name: ClassVar[str] = "lowpass"
    resolution_angstrom: float = 40.0

    def denoise(self, data: NDArray[Any], spacing_angstrom: float | None) -> Array:
        """Filtered copy of (z, y, x) grey values."""
        cutoff = 0.25 if spacing_angstrom is None else min(spacing_angstrom / self.resolution_angstrom, 0.5)
        return filters.lowpass(data, cutoff=cutoff)


@dataclass(frozen=True)
class Median:
    """Median over a cube of `size` voxels."""

    name: ClassVar[str] = "median"
    size: int = 3

    def denoise(self, data: NDArray[Any], spacing_angstrom: float | None) -> Array:
        """Filtered copy of (z, y, x) grey values."""
        return filters.median(data, size=self.size)
