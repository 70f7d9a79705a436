"""Particles of picks in tomograms, cut one by one from files that stay on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.averaging import Alignment
from vitreous.core import InputError, Normalization, Poses, Volume, measure_voxels
from vitreous.core.blocks import read_block
from vitreous.io import RelionParticles, open_volume, volume_warnings
from vitreous.io.names import own_name
from vitreous.methods.wedge.geometry import MissingWedge
from vitreous.workflows.average.picks import inside, read_picks
from vitreous.workflows.average.request import AverageRequest
from vitreous.workflows.cubic_voxels import cubic_spacing
from vitreous.workflows.search_template import transfer_of, wedge_of

SAME = 1e-3  # relative difference of voxel spacings that comes from rounding


@dataclass(frozen=True, eq=False)
class Picked:
    """The picks of one tomogram.

    Parameters
    ----------
    name
        As the file of picks calls the tomogram.
    volume
        The tomogram.
    normalization
        Of its grey values.
    wedge
        What its tilt series left out.
    poses
        Of its picks, those outside left out.
    rows
        (n,), which rows of the particle table they are.
    """

    name: str
    volume: Volume
    normalization: Normalization
    wedge: MissingWedge
    poses: Poses
    rows: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Opened:
    """Everything that is read before averaging begins."""

    tomograms: tuple[Picked, ...]
    table: RelionParticles
    spacing_angstrom: float
    warnings: tuple[str, ...]

    @property
    def count(self) -> int:
        """Particles in all tomograms."""
        return sum(len(one.poses) for one in self.tomograms)


class TomogramParticles:
    """A `ParticleSet` of files: boxes are read when they are needed.

    Parameters
    ----------
    opened
        Tomograms with their picks.
    side
        Voxels along the edge of a box, even.
    bright
        Whether particles are brighter than the ice; otherwise grey values change their sign, so that
        particles are always bright.
    """

    def __init__(self, opened: Opened, side: int, *, bright: bool) -> None:
        self.opened, self._side, self.sign = opened, side, 1.0 if bright else -1.0
        owners = [np.full(len(one.poses), number) for number, one in enumerate(opened.tomograms)]
        self.owner = np.concatenate(owners)
        voxels = [one.poses.positions_angstrom / opened.spacing_angstrom for one in opened.tomograms]
        self.voxels: NDArray[np.float64] = np.concatenate(voxels)
        self.corners = np.rint(self.voxels).astype(int) - side // 2
        self._transfers = [transfer_of(one.wedge, side) for one in opened.tomograms]

    @property
    def side(self) -> int:
        """Voxels along an edge."""
        return self._side

    @property
    def voxel_spacing_angstrom(self) -> float:
        """In Å."""
        return self.opened.spacing_angstrom

    def __len__(self) -> int:
        return len(self.owner)

    def groups(self) -> Sequence[tuple[Tensor, Tensor]]:
        """Particles tomogram by tomogram."""
        return [
            (torch.from_numpy(np.flatnonzero(self.owner == number)), transfer)
            for number, transfer in enumerate(self._transfers)
        ]

    def boxes(self, numbers: Tensor) -> Tensor:
        """(n, side, side, side) float32, standardized, particles bright; mirrored beyond the faces."""
        cut = []
        for number in numbers.tolist():
            one = self.opened.tomograms[self.owner[number]]
            block = read_block(one.volume.data, self.corners[number], (self.side,) * 3)
            cut.append(torch.from_numpy(one.normalization.apply(block) * np.float32(self.sign)))
        return torch.stack(cut)

    def start(self) -> Alignment:
        """Poses as the picks have them: shifts are what rounding to voxels left."""
        rotations = np.concatenate([one.poses.rotations for one in self.opened.tomograms])
        shifts = self.voxels - np.rint(self.voxels)
        return Alignment(
            torch.from_numpy(rotations), torch.from_numpy(shifts), torch.zeros(len(self)).double()
        )

    def positions_angstrom(self, poses: Alignment) -> NDArray[np.float64]:
        """(n, 3), zyx, of aligned particles in their tomograms."""
        found: NDArray[np.float64] = np.rint(self.voxels) + poses.shifts_voxel.numpy()
        return found * self.voxel_spacing_angstrom


def open_particles(request: AverageRequest) -> Opened:
    """Open tomograms and picks, and make sure that they belong together.

    Raises
    ------
    InputError
        If a file cannot be read, spacings differ or are not known, a tomogram of the picks is not given,
        there are no picks, or none lies in its tomogram.
    """
    files = {path: open_tomogram(path, request.voxel_size_angstrom) for path in request.tomograms}
    if len({own_name(path) for path in files}) < len(request.tomograms):
        raise InputError("two tomograms have the same name", path=request.tomograms[0], remedy="rename one")
    spacing = same_spacing(list(files.values()))
    table, volumes = read_picks(request, files, spacing)
    opened, warnings = [], list(table.notes)
    for name, poses in table.poses.items():
        volume = volumes[name]
        there = inside(poses, volume, spacing)
        if not there.any():
            raise InputError(
                f"no pick of {name} lies in {volume.path}",
                path=request.picks,
                remedy="check that they belong together, and --voxel-size",
            )
        if not there.all():
            warnings.append(f"{(~there).sum()} picks lie outside {name} and were left out.")
        try:
            normalization = measure_voxels(volume.data).normalization
        except ValueError as error:
            raise InputError(str(error), path=volume.path, remedy="check the file") from error
        wedge = wedge_of(volume.data, normalization, volume.path, request.settings.tilt_range_deg)
        warnings += [f"{name}: {text}" for text in volume_warnings(volume)]
        opened.append(
            Picked(name, volume, normalization, wedge, poses.select(there), table.rows[name][there])
        )
    return Opened(tuple(opened), table, spacing, tuple(warnings))


def open_tomogram(path: Path, voxel_size_angstrom: float | None) -> Volume:
    """A tomogram of known, equal spacing."""
    volume = open_volume(path, voxel_spacing_angstrom=voxel_size_angstrom)
    cubic_spacing(volume, path, voxel_size_angstrom)
    return volume


def same_spacing(volumes: Sequence[Volume]) -> float:
    """The spacing of all tomograms in Å; InputError if they differ."""
    means = [volume.mean_spacing_angstrom or 0.0 for volume in volumes]
    for volume, mean in zip(volumes, means, strict=True):
        if abs(mean / means[0] - 1) > SAME:
            text = f"its voxel spacing of {mean:.4g} Å differs from {means[0]:.4g} Å of {volumes[0].path}"
            raise InputError(text, path=volume.path, remedy="average tomograms of one spacing")
    return means[0]
