"""Particles as rows of whitened numbers over a band of frequencies, compared with turned templates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vitreous.averaging.band import Band, shift_phases, soft_sphere, spectra
from vitreous.fourier.turning import TurnedSpectrum

EDGE = 3.0  # voxels over which the sphere around a particle fades out


class Comparison:
    """Particles ready to be compared with turned templates.

    The score of particle S and template T is Σ w·Re S·T* / √(Σ w|S|² · Σ w|T|²) over the band, w being one
    over the particles' mean power in the shell if they are whitened, else one.

    Parameters
    ----------
    subtomograms
        (n, side, side, side).
    band
        The frequencies.
    template
        What they are compared with.
    whiten
        See `SearchConfig`.
    """

    def __init__(self, subtomograms: Tensor, band: Band, template: TurnedSpectrum, *, whiten: bool) -> None:
        side = band.side
        sphere = soft_sphere(side, side / 2 - EDGE, EDGE)
        rows = [spectra(((box - box.mean()) * sphere)[None], band) for box in subtomograms.float()]
        values = torch.cat(rows)
        weight = band.multiplicity / (shell_power(values, band) if whiten else 1.0)
        self.band, self.template, self.factor = band, template, weight.sqrt() * band.transfer
        values = values * weight.sqrt()
        self.values = values / values.abs().square().sum(1, keepdim=True).sqrt().clamp_min(1e-30)

    def __len__(self) -> int:
        return len(self.values)

    def templates(self, rotations: Tensor) -> Tensor:
        """(n, k) turned templates, each of unit norm."""
        rows = self.template.at(rotations, self.band.frequencies) * self.factor
        return rows / rows.abs().square().sum(1, keepdim=True).sqrt().clamp_min(1e-30)

    def moved(self, block: slice, shifts_voxel: Tensor) -> Tensor:
        """Particles of a block with what lies at (n, m, 3) shifts brought to the centre: (n, m, k)."""
        phases = shift_phases(shifts_voxel.reshape(-1, 3), self.band)
        return self.values[block][:, None] * phases.reshape(*shifts_voxel.shape[:2], -1)


def shell_power(values: Tensor, band: Band) -> Tensor:
    """Mean |S|² of (n, k) spectra in the shell of each of the k frequencies, one Fourier voxel wide."""
    shell = (band.frequencies.norm(dim=1) * band.side).round().long()
    each = values.abs().square().mean(0) / band.transfer.square()
    weight = band.multiplicity
    sums = torch.zeros(int(shell.max()) + 1).index_add_(0, shell, each * weight)
    norm = torch.zeros_like(sums).index_add_(0, shell, weight)
    mean = (sums / norm.clamp_min(1e-30))[shell]
    return mean.clamp_min(1e-6 * float(mean.max()) + 1e-30)


def as_reals(values: Tensor) -> Tensor:
    """(..., k) complex numbers as (..., 2k) real ones; products of two such rows are Re a·b*."""
    return torch.cat([values.real, values.imag], dim=-1)


def shift_lattice(step_voxels: float, reach_voxels: float) -> Tensor:
    """(s, 3) shifts on a cubic lattice within a ball, none first.

    Examples
    --------
    >>> len(shift_lattice(1.0, 1.0))
    7
    """
    reach = math.floor(reach_voxels / step_voxels + 1e-9)
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64) * step_voxels
    points = torch.cartesian_prod(axis, axis, axis).reshape(-1, 3)
    lengths = points.norm(dim=1)
    order = lengths.argsort(stable=True)
    return points[order][lengths[order] <= reach_voxels + 1e-9]
