"""The image of a tilted specimen in the weak-phase approximation, every voxel at its own defocus."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

from vitreous.fourier import Optics, contrast_transfer, exposure_damping, frequency_radius
from vitreous.simulate.projection import MARGIN, interpolation_loss, shared_linearly, tilted_grid

Array = NDArray[np.float32]
OVERSAMPLING = 4
PHASE_STEP = 0.1  # rad at the Nyquist frequency between two layers: the CTF of a voxel is off by half
ANGSTROM_PER_UM = 1e4


@dataclass(frozen=True)
class Microscope:
    """Images of a potential (z, y, x), in contrast: intensity over that of bare ice, minus 1.

    Contrast(k) = -2·σ_e·CTF(k)·(projected potential)(k), so that protein, whose potential is above
    that of ice, comes out dark in underfocus [vulovic].

    The specimen is cut into layers across the beam, thin enough for one defocus each. A voxel nearer
    to the electron source (height h above the centre) is less underfocused: Δf - h. Where the middle
    plane of the specimen is tilted by t, h = -u·tan(t), and the defocus grows with u at positive tilts.

    Parameters
    ----------
    shape
        (z, y, x) in voxels.
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    defocus_um
        Underfocus Δf at the centre, in µm; None transfers every frequency with 1.
    optics
        The microscope.
    """

    shape: tuple[int, int, int]
    voxel_spacing_angstrom: float
    defocus_um: float | None
    optics: Optics

    def contrast(
        self,
        columns: Array,
        tilt_deg: float,
        dose_e_per_angstrom2: float,
        shift_angstrom: NDArray[np.float64],
    ) -> Array:
        """Noise-free contrast (y, x) at one tilt.

        Parameters
        ----------
        columns
            Potential in volts, (z · x, y).
        tilt_deg
            Signed tilt angle in degrees.
        dose_e_per_angstrom2
            Dose that has damaged the specimen, in electrons/Å².
        shift_angstrom
            (y, x) by which the image is displaced, in Å.
        """
        rows, across = self.field
        total = np.zeros((rows, across // 2 + 1), np.complex64)
        for layer, defocus_um in zip(*self._layers(columns, tilt_deg), strict=True):
            spectrum = scipy.fft.rfft(layer.T, axis=1)[:, : across // 2 + 1]
            spectrum = scipy.fft.fft(spectrum, n=rows, axis=0, overwrite_x=True)
            total += spectrum if defocus_um is None else spectrum * self._ctf(defocus_um)
        total *= self._gain(dose_e_per_angstrom2) * self._displacement(shift_angstrom)
        total[:, -1] = 0
        contrast = scipy.fft.irfft2(total, s=self.field)
        return np.ascontiguousarray(contrast[: self.shape[1], self.margin : self.margin + self.shape[2]])

    @cached_property
    def margin(self) -> int:
        """Pixels around the image that the CTF spreads signal over: λ·Δf·k at Nyquist."""
        nyquist = 0.5 / self.voxel_spacing_angstrom
        spread = abs(self.defocus_um or 0) * ANGSTROM_PER_UM * self.optics.wavelength_angstrom * nyquist
        return MARGIN + min(math.ceil(spread / self.voxel_spacing_angstrom), max(self.shape[1:]))

    @cached_property
    def field(self) -> tuple[int, int]:
        """(y, x) of the image with its margins, sides that transform fast, x even."""
        rows, across = (side + 2 * self.margin for side in self.shape[1:])
        return scipy.fft.next_fast_len(rows), 2 * scipy.fft.next_fast_len((across + 1) // 2, real=True)

    def _layers(self, columns: Array, tilt_deg: float) -> tuple[Array, list[float | None]]:
        """Projections (layer, fine u, y) of layers across the beam, and the defocus of each."""
        depth, _, width = self.shape
        u, height = tilted_grid(depth, width, tilt_deg)
        layer, defoci = self._defoci(height)
        pixels = OVERSAMPLING * self.field[1]
        index, share = shared_linearly((u + (width - 1) / 2 + self.margin) * OVERSAMPLING, pixels)
        index += (layer * pixels)[:, None]
        pointers = np.arange(len(index) + 1) * 2
        shape = (len(index), len(defoci) * pixels)
        spread = scipy.sparse.csr_matrix((share.ravel(), index.ravel(), pointers), shape=shape)
        return (spread.T @ columns).reshape(len(defoci), pixels, -1), defoci

    def _defoci(self, height: NDArray[np.float64]) -> tuple[NDArray[np.int32], list[float | None]]:
        """The layer that each voxel belongs to, by its height in voxels, and the defocus of each layer."""
        if self.defocus_um is None:
            return np.zeros(len(height), np.int32), [None]
        nyquist = 0.5 / self.voxel_spacing_angstrom
        step = PHASE_STEP / (math.pi * self.optics.wavelength_angstrom * nyquist**2)
        lowest = height.min()
        layer = np.rint((height - lowest) * self.voxel_spacing_angstrom / step).astype(np.int32)
        heights = lowest * self.voxel_spacing_angstrom + step * np.arange(layer.max() + 1)
        return layer, (self.defocus_um - heights / ANGSTROM_PER_UM).tolist()

    def _ctf(self, defocus_um: float) -> Array:
        ctf: Array = contrast_transfer(
            self.field, self.voxel_spacing_angstrom, defocus_um, self.optics
        ).numpy()
        return ctf

    def _gain(self, dose_e_per_angstrom2: float) -> Array:
        """From sums of volts to contrast, with radiation damage, less what interpolation has lost."""
        phase = self.optics.interaction_rad_per_volt_angstrom * self.voxel_spacing_angstrom
        radius = frequency_radius(self.field, half=True) / self.voxel_spacing_angstrom
        damping = exposure_damping(radius, dose_e_per_angstrom2, self.optics.voltage_kv).numpy()
        gain: Array = (-2 * phase * damping / interpolation_loss(self.field[1], OVERSAMPLING)).astype(
            np.float32
        )
        return gain

    def _displacement(self, shift_angstrom: NDArray[np.float64]) -> NDArray[np.complex64]:
        rows, across = self.field
        y, x = np.asarray(shift_angstrom) / self.voxel_spacing_angstrom
        turns = y * scipy.fft.fftfreq(rows)[:, None] + x * scipy.fft.rfftfreq(across)[None]
        phases: NDArray[np.complex64] = np.exp(-2j * np.pi * turns).astype(np.complex64)
        return phases


def as_columns(density: Array) -> Array:
    """A volume (z, y, x) as the matrix (z · x, y) that projects in one product per tilt."""
    depth, height, width = density.shape
    columns = np.ascontiguousarray(density.transpose(0, 2, 1), dtype=np.float32)
    return columns.reshape(depth * width, height)
