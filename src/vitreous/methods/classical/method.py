"""The filters behind the interface of a method: each a configuration that knows how to be applied.

Whatever depends on the noise is given in units of it and resolved by `prepare`, so that the defaults
serve volumes of any scale. `bytes_per_voxel` was measured; see `tests/workflows/test_filters_in_tiles.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from vitreous import filters
from vitreous.core import InputError
from vitreous.fourier import Optics, interpolate_spectrum
from vitreous.methods.classical.noise import noise_deviation, noise_power, squared_gradient
from vitreous.methods.method import ClassicalMethod, PreparedFilter
from vitreous.training import TrainingVolume

BLOCK_BYTES = 12.0  # a block, its filtered copy, and which voxels are finite; measured
FOURIER_BYTES = 56.0  # the same with a mirrored volume, its complex transform and their product; measured
NEIGHBOUR_BYTES = 27.0  # a block, extended, with sums of values and of weights; measured
NEIGHBOUR_WORKSPACE = 18_000_000  # a chunk's differences and weights; measured with two threads
GAUSSIAN_TRUNCATE = 4.0  # scipy's kernel ends at this many standard deviations

Array = NDArray[np.float32]


class Gaussian(ClassicalMethod):
    """Gaussian smoothing; `sigma` in voxels."""

    name: ClassVar[str] = "gaussian"
    bytes_per_voxel: ClassVar[float] = BLOCK_BYTES
    sigma: PositiveFloat = 1.0

    @property
    def reach(self) -> int:
        """Radius of the kernel."""
        return int(GAUSSIAN_TRUNCATE * self.sigma + 0.5)

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """Nothing to find out."""
        return PreparedFilter(self, partial(filters.gaussian, sigma=self.sigma))


class Lowpass(ClassicalMethod):
    """Low-pass with a cosine edge at `resolution_angstrom`, or a quarter cycle per voxel without spacing."""

    name: ClassVar[str] = "lowpass"
    bytes_per_voxel: ClassVar[float] = FOURIER_BYTES
    resolution_angstrom: PositiveFloat = 40.0

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """The cutoff in cycles per voxel."""
        spacing = volume.voxel_spacing_angstrom
        cutoff = 0.25 if spacing is None else min(spacing / self.resolution_angstrom, 0.5)
        return PreparedFilter(self, partial(filters.lowpass, cutoff=cutoff))


class Median(ClassicalMethod):
    """Median over a cube of `size` voxels."""

    name: ClassVar[str] = "median"
    bytes_per_voxel: ClassVar[float] = BLOCK_BYTES
    size: PositiveInt = 3

    @property
    def reach(self) -> int:
        """Half the cube."""
        return self.size // 2

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """Nothing to find out."""
        return PreparedFilter(self, partial(filters.median, size=self.size))


class Bilateral(ClassicalMethod):
    """Bilateral filter; `range_over_noise` is the range sigma in units of the noise's deviation."""

    name: ClassVar[str] = "bilateral"
    bytes_per_voxel: ClassVar[float] = NEIGHBOUR_BYTES
    workspace_bytes: ClassVar[int] = NEIGHBOUR_WORKSPACE
    spatial_sigma: PositiveFloat = 1.5
    range_over_noise: PositiveFloat = 3.0
    radius: PositiveInt = 2

    @property
    def reach(self) -> int:
        """Half the window."""
        return self.radius

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """The range in grey values."""
        noise = noise_deviation(noise_power(volume))
        smooth = partial(
            filters.bilateral,
            spatial_sigma=self.spatial_sigma,
            range_sigma=self.range_over_noise * noise,
            radius=self.radius,
        )
        return PreparedFilter(self, partial(on_tensor, smooth), summary=noise_in_words(noise))


class NonLocalMeans(ClassicalMethod):
    """Non-local means; `tolerance_over_noise` is the h of [nlm] in units of the noise's deviation."""

    name: ClassVar[str] = "nlm"
    bytes_per_voxel: ClassVar[float] = NEIGHBOUR_BYTES
    workspace_bytes: ClassVar[int] = NEIGHBOUR_WORKSPACE
    tolerance_over_noise: PositiveFloat = 0.6
    patch_side: PositiveInt = 5
    search_radius: PositiveInt = 3

    @property
    def reach(self) -> int:
        """The patches around the voxels that are searched."""
        return self.search_radius + self.patch_side // 2

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """The tolerance in grey values."""
        noise = noise_deviation(noise_power(volume))
        average = partial(
            filters.nlm,
            tolerance=self.tolerance_over_noise * noise,
            noise_deviation=noise,
            patch_side=self.patch_side,
            search_radius=self.search_radius,
        )
        return PreparedFilter(self, partial(on_tensor, average), summary=noise_in_words(noise))


class Diffusion(ClassicalMethod):
    """Nonlinear anisotropic diffusion.

    `contrast_over_noise` and `coherence_over_noise` are the thresholds of `filters.diffuse` in units of
    the root mean square gradient, and of the mean squared gradient, that noise alone has after smoothing.
    """

    name: ClassVar[str] = "nad"
    bytes_per_voxel: ClassVar[float] = 12.0
    workspace_bytes: ClassVar[int] = 130_000_000  # one block of the diffusion; measured with two threads
    contrast_over_noise: PositiveFloat = 1.5
    coherence_over_noise: PositiveFloat = 1.0
    smoothing: NonNegativeFloat = 1.0
    integration: NonNegativeFloat = 1.0
    steps: PositiveInt = 10
    time_step: float = Field(0.15, gt=0, le=1 / 6)

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """The thresholds in grey values per voxel."""
        power = noise_power(volume)
        steepness = squared_gradient(power, self.smoothing)
        step = partial(
            filters.diffuse,
            contrast=self.contrast_over_noise * steepness**0.5,
            coherence=self.coherence_over_noise * steepness,
            smoothing=self.smoothing,
            integration=self.integration,
            steps=1,
            time_step=self.time_step,
        )
        return PreparedFilter(
            self, partial(on_tensor, step), self.steps, noise_in_words(noise_deviation(power))
        )


class BlockMatching(ClassicalMethod):
    """BM4D with the estimated spectrum of the noise, or as if the noise were white."""

    name: ClassVar[str] = "bm4d"
    bytes_per_voxel: ClassVar[float] = 1000.0  # what the package takes; measured
    noise: Literal["spectrum", "white"] = "spectrum"

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """The noise, and whether the package is there."""
        filters.bm4d_package()
        power = noise_power(volume)
        if self.noise == "white":
            apply = partial(filters.bm4d, noise_power=float(power.mean()))
        else:
            apply = partial(with_spectrum, power=power)
        return PreparedFilter(self, apply, summary=noise_in_words(noise_deviation(power)))


class Deconvolution(ClassicalMethod):
    """Wiener-like deconvolution of the contrast transfer function; see `filters.deconvolve`."""

    name: ClassVar[str] = "deconv"
    bytes_per_voxel: ClassVar[float] = 42.0
    defocus_um: PositiveFloat | None = None
    voltage_kv: PositiveFloat = 300.0
    spherical_aberration_mm: NonNegativeFloat = 2.7
    amplitude_contrast: float = Field(0.07, ge=0, lt=1)
    phase_shift_deg: float = 0.0
    strength: float = 1.0
    falloff: NonNegativeFloat = 1.0
    highpass: float = Field(0.02, ge=0, le=1)
    phases_flipped: bool = False

    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """Whether defocus and voxel spacing are known."""
        if self.defocus_um is None:
            remedy = "give it with --defocus UM, positive for underfocus"
            raise InputError("deconv needs the mean defocus", path=volume.name, remedy=remedy)
        if volume.voxel_spacing_angstrom is None:
            remedy = "give it with --voxel-size A"
            raise InputError("deconv needs the voxel spacing", path=volume.name, remedy=remedy)
        optics = Optics(
            voltage_kv=self.voltage_kv,
            spherical_aberration_mm=self.spherical_aberration_mm,
            amplitude_contrast=self.amplitude_contrast,
            phase_shift_deg=self.phase_shift_deg,
        )
        deconvolve = partial(
            filters.deconvolve,
            spacing_angstrom=volume.voxel_spacing_angstrom,
            defocus_um=self.defocus_um,
            optics=optics,
            strength=self.strength,
            falloff=self.falloff,
            highpass=self.highpass,
            phases_flipped=self.phases_flipped,
        )
        return PreparedFilter(self, deconvolve)


def on_tensor(function: Any, block: Array) -> Array:
    """A function of tensors, of an array."""
    result: Array = function(torch.from_numpy(np.ascontiguousarray(block))).numpy()
    return result


def with_spectrum(block: Array, *, power: Tensor) -> Array:
    """BM4D with a noise spectrum brought to the block's frequencies."""
    spectrum = interpolate_spectrum(power, block.shape).numpy()
    return filters.bm4d(block, noise_power=spectrum)


def noise_in_words(deviation: float) -> dict[str, str]:
    """What the report says of the noise."""
    return {"noise": f"estimated standard deviation {deviation:.4g} grey values"}
