"""The mean of aligned particles, each frequency over the particles that measured it."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.averaging.alignment import Alignment
from vitreous.averaging.band import make_band, shift_phases, soft_sphere
from vitreous.averaging.comparison import EDGE
from vitreous.fourier.rotations import symmetry_group
from vitreous.fourier.turning import TurnedSpectrum, read_turned, whole_spectrum

FLOOR = 0.02  # of the mean weight: what few particles measured is not blown up


class WedgeAverage:
    """Sums of particles in their own frame, in Fourier space.

    With S the transform of a particle, H what its tomogram passes and R, t its pose, the average is
    Σ H(Rk) S(Rk) exp(2πi Rk·t) / Σ H(Rk)²: least squares, as every particle is measured through its own
    wedge. Frequencies beyond Nyquist (0.5 cycles/voxel) are left out.

    Parameters
    ----------
    side
        Voxels along the edge of the boxes, even.
    symmetry
        Point group that is imposed: every particle is added once for each of its rotations.
    """

    def __init__(self, side: int, symmetry: str = "C1") -> None:
        self.band = make_band(side, (0.0, 0.5 - 0.5 / side), torch.ones(side, side, side // 2 + 1))
        self.group = symmetry_group(symmetry)
        self.sphere = soft_sphere(side, side / 2 - EDGE, EDGE)
        self.sums = torch.zeros(len(self.band), dtype=torch.complex64)
        self.weights = torch.zeros(len(self.band))
        self.count = 0

    def add(self, boxes: Tensor, poses: Alignment, wedge: Tensor) -> None:
        """Add particles.

        Parameters
        ----------
        boxes
            (n, side, side, side).
        poses
            How each lies in its box.
        wedge
            (side, side, side // 2 + 1): what the tomogram passes, see `align`.
        """
        transfer = whole_spectrum(wedge)[None]
        for box, rotation, shift in zip(boxes.float(), poses.rotations, poses.shifts_voxel, strict=True):
            spectrum = TurnedSpectrum((box - box.mean()) * self.sphere)
            back = (rotation.double() @ self.group).transpose(1, 2)
            values = spectrum.at(back, self.band.frequencies) * shift_phases(back @ shift.double(), self.band)
            passed = read_turned(transfer, back, self.band.frequencies)[0]
            self.sums += (values * passed).sum(0)
            self.weights += passed.square().sum(0)
            self.count += 1

    def joined(self, other: WedgeAverage) -> WedgeAverage:
        """The average of this one's and another one's particles."""
        both = WedgeAverage(self.band.side)
        both.group = self.group
        both.sums, both.weights = self.sums + other.sums, self.weights + other.weights
        both.count = self.count + other.count
        return both

    def volume(self) -> Tensor:
        """(side, side, side) float32, the centre at voxel side // 2; zero if nothing was added."""
        side = self.band.side
        level = FLOOR * self.weights.mean().clamp_min(1e-6)
        spectrum = torch.zeros(side * side * (side // 2 + 1), dtype=torch.complex64)
        spectrum[self.band.index] = self.sums / (self.weights + level)
        values = torch.fft.irfftn(spectrum.reshape(side, side, -1), s=(side,) * 3)
        volume: Tensor = torch.fft.fftshift(values)
        return volume
