"""Boxes around picks: cut out, as the tomogram passes what is in them, and aligned to a structure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.averaging import Alignment, SearchConfig, align
from vitreous.core import Progress, Template, read_block
from vitreous.fourier import measured_region, volume_contrast_transfer
from vitreous.workflows.annotate.specimens import DEFOCUS_UM, WITHOUT_WEDGE_DEG, Quiet
from vitreous.workflows.annotate.subject import diameter_of
from vitreous.workflows.annotate.work import Work

AT_ONCE = 256  # boxes that are aligned together
WIDER = 1.5  # side of a box in diameters of the structure
DEFOCI = 6
LOWEST, HIGHEST = 0.02, 0.45  # cycles/voxel
QUICK = SearchConfig(angular_step_deg=30.0, shift_voxels=2.0, refinements=2, candidates=1)
# One in ten of the largest structures was lost by the quick one.
THOROUGH = SearchConfig(angular_step_deg=20.0, shift_voxels=3.0, refinements=2, candidates=3)

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Boxes:
    """Where things are cut out for one structure.

    Parameters
    ----------
    side
        Voxels along an edge, even.
    passed
        What the tomogram passes of each frequency, in the order of rfftn: wedge and mean CTF.
    spacing_angstrom
        Edge of a voxel in Å.
    progress
        Asked whether to stop.
    """

    side: int
    passed: Tensor
    spacing_angstrom: float
    progress: Progress

    def cut(self, data: Array, positions_angstrom: NDArray[np.float64]) -> Tensor:
        """(n, side, side, side): boxes whose voxel side // 2 is the nearest to each position."""
        starts = np.rint(positions_angstrom / self.spacing_angstrom).astype(int) - self.side // 2
        blocks = [read_block(data, start, (self.side,) * 3) for start in starts]
        return torch.from_numpy(np.stack(blocks)) if blocks else torch.zeros(0, *(self.side,) * 3)

    def found(self, positions_angstrom: NDArray[np.float64], poses: Alignment) -> NDArray[np.float64]:
        """Where in Å, (n, 3), the poses in boxes at some positions put the particles."""
        centres = np.rint(positions_angstrom / self.spacing_angstrom)
        places: NDArray[np.float64] = self.spacing_angstrom * (centres + poses.shifts_voxel.numpy())
        return places

    def centred(self, places_angstrom: NDArray[np.float64], poses: Alignment) -> Alignment:
        """Poses as they are in boxes at the places (n, 3) where the particles are."""
        places = places_angstrom / self.spacing_angstrom
        rest = torch.from_numpy(places - np.rint(places))
        return Alignment(poses.rotations, rest, poses.scores)

    def fitted(self, density: Array) -> Tensor:
        """A density of odd side in the middle of a box, cut or padded."""
        before = self.side // 2 - density.shape[0] // 2
        box = np.zeros((self.side,) * 3, np.float32)
        inner = density[(slice(max(0, -before), max(0, -before) + self.side),) * 3]
        start = max(0, before)
        box[tuple(slice(start, start + n) for n in inner.shape)] = inner
        return torch.from_numpy(box)

    def aligned(
        self,
        boxes: Tensor,
        density: Array,
        finest_angstrom: float = 0.0,
        *,
        search: SearchConfig = QUICK,
    ) -> Alignment:
        """The boxes, aligned to a density within a band that ends at a resolution, or near Nyquist."""
        highest = HIGHEST if not finest_angstrom else min(HIGHEST, self.spacing_angstrom / finest_angstrom)
        within = search.model_copy(update={"band": (LOWEST, highest)})
        return align(boxes, self.fitted(density), self.passed, within, progress=self.progress)

    def aligned_at(
        self,
        data: Array,
        positions_angstrom: NDArray[np.float64],
        density: Array,
        *,
        search: SearchConfig = QUICK,
    ) -> Alignment:
        """`aligned` of what is cut out at many positions, some hundred at a time: memory does not grow."""
        parts = np.array_split(positions_angstrom, max(1, -(-len(positions_angstrom) // AT_ONCE)))
        found = [self.aligned(self.cut(data, part), density, search=search) for part in parts]
        columns = zip(*((a.rotations, a.shifts_voxel, a.scores) for a in found), strict=True)
        return Alignment(*(torch.cat(column) for column in columns))

    def likeness(self, density: Array, other: Array) -> float:
        """Correlation of two densities where they fit best, as far as the tomogram shows them, without noise.

        It is what the score of a particle falls to when it is aligned to the other.
        """
        shown = torch.fft.irfftn(torch.fft.rfftn(self.fitted(other)) * self.passed, s=(self.side,) * 3)
        # White noise hides all frequencies alike; there is no other power to whiten by.
        search = THOROUGH.model_copy(update={"band": (LOWEST, HIGHEST), "whiten": False})
        return float(align(shown[None], self.fitted(density), self.passed, search).scores)


def boxes_for(work: Work, template: Template, spacing_angstrom: float | None = None) -> Boxes:
    """Boxes one and a half times as wide as a structure, with what the tomogram passes in them.

    In the working voxels, if no other spacing is given.
    """
    subject, defocus_um = work.subject, work.request.settings.defocus_um
    defoci = torch.linspace(*((defocus_um, defocus_um) if defocus_um else DEFOCUS_UM), DEFOCI)
    spacing = spacing_angstrom or subject.spacing_angstrom
    side = 2 * math.ceil(WIDER * diameter_of(template) / spacing / 2) + 2
    limits = subject.style.tilt_range_deg or WITHOUT_WEDGE_DEG
    region = measured_region((side,) * 3, limits, half=True, tilt_axis=subject.style.tilt_axis)
    return Boxes(
        side,
        region.float() * volume_contrast_transfer(side, spacing, defoci),
        spacing,
        Quiet(work.progress),
    )
