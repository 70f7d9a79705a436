"""Picks and random places, aligned to the structure and to decoys, in data that picking has not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from vitreous.averaging import Alignment, SearchConfig, align, scores_at
from vitreous.core import Progress, Template, read_block
from vitreous.evidence import PickScores, against_chance, mirror_image, slab_of
from vitreous.fourier import measured_region, volume_contrast_transfer
from vitreous.metrics import phase_randomized
from vitreous.simulate import make_gold
from vitreous.workflows.annotate.specimens import DEFOCUS_UM, WITHOUT_WEDGE_DEG, Quiet, strangers
from vitreous.workflows.annotate.subject import diameter_of
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.simulate.spec import ParticleSpec
from vitreous.workflows.simulate.structures import template_of

SEARCHED_ANGSTROM = 60.0  # of the poses that are averaged
MOST_JUDGED = 80  # picks of a class, drawn from all: more would only make it slower
ELSEWHERE = 160  # random places that picks are judged by: what is not known of chance is doubt of every pick
AT_ONCE = 256  # boxes that are aligned together
WIDER = 1.5  # side of a box in diameters of the structure
DEFOCI = 6
VARIED, STILL, RECORDED = 7, 0.01, 0.9  # voxels; of the usual variance within these; of a box
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


def decoys_of(work: Work, name: str, rng: np.random.Generator) -> dict[str, Array]:
    """What picks of a structure are compared with, by what it is called in the report."""
    template, spacing = work.templates[name], work.subject.style.simulated_spacing_angstrom
    decoys = {
        "a structure of random phases": phase_randomized(template.density, rng),
        "another of random phases": phase_randomized(template.density, rng),
        "a membrane": slab_of(template).density,
        "a gold bead": make_gold(100.0, spacing).density,
    }
    for other, known in work.templates.items():
        if other != name:
            decoys[other] = known.density
    for other in strangers(list(work.templates.values()), spacing):
        decoys[f"phantom:{other}"] = template_of(ParticleSpec(structure=f"phantom:{other}"), spacing).density
    return decoys


def room_for(data: Array, side: int) -> NDArray[np.bool_]:
    """Where boxes lie in what was recorded, nearly whole; (z, y, x) like the tomogram.

    What was padded, or was NaN, has no noise but what was drawn: its two copies are each other's opposite.
    """
    small = min(VARIED, *data.shape)
    variance = ndi.uniform_filter(np.square(data), small) - np.square(ndi.uniform_filter(data, small))
    recorded = variance > STILL * np.quantile(variance, 0.95)  # most of it may be padding
    share = ndi.uniform_filter(recorded.astype(np.float32), side)
    room: NDArray[np.bool_] = share > RECORDED
    return room


def random_places(
    room: NDArray[np.bool_],
    spacing: float,
    away_from: NDArray[np.float64],
    apart: float,
    rng: np.random.Generator,
    count: int,
) -> NDArray[np.float64]:
    """At most `count` places in Å, (n, 3), drawn evenly over a volume where it is true.

    No pick is nearer to one than a distance, nor is another place: what is counted twice would make chance
    look surer than it is.
    """
    voxels = rng.uniform(0, 1, (20 * count, 3)) * (np.array(room.shape) - 1)
    places = spacing * voxels[room[tuple(np.rint(voxels).astype(int).T)]]
    if len(away_from):
        distance, _ = cKDTree(away_from).query(places)
        places = places[distance > apart]
    chosen = np.zeros((0, 3))
    for place in places:
        if len(chosen) == count:
            break
        if not apart or (np.linalg.norm(chosen - place, axis=1) > apart).all():
            chosen = np.vstack([chosen, place])
    return chosen


@dataclass(frozen=True, eq=False)
class Sight:
    """Boxes at the same places in both copies of the tomogram, whose noises are independent."""

    searched: Tensor
    judged: Tensor

    @classmethod
    def of(cls, boxes: Boxes, searched: Array, judged: Array, positions: NDArray[np.float64]) -> Sight:
        """What lies at positions (n, 3) in Å."""
        return cls(boxes.cut(searched, positions), boxes.cut(judged, positions))

    def scores(self, boxes: Boxes, density: Array) -> NDArray[np.float64]:
        """Scores (n,) of a density in the judging copy, in the poses that it has in the searched one.

        Searched for in the judging copy itself, each template would be given the noise that suits it best,
        five times as strong there.
        """
        poses = boxes.aligned(self.searched, density)
        at = SearchConfig(band=(LOWEST, HIGHEST))
        found: NDArray[np.float64] = scores_at(
            self.judged, boxes.fitted(density), boxes.passed, poses, at
        ).numpy()
        return found


def scored(
    work: Work,
    name: str,
    positions: NDArray[np.float64],
    everything: NDArray[np.float64],
    copies: tuple[Array, Array],
    rng: np.random.Generator,
) -> tuple[PickScores, Mapping[str, float]]:
    """Scores of some picks of a structure, of its decoys and of random places; and of the mirror image.

    Scores of a template are in deviations from those that it has at random places. These keep away from
    everything that was picked of the structure: with particles among them chance looks too good. `copies`:
    the tomogram that was searched, and the one that judges.
    """
    template = work.templates[name]
    boxes = boxes_for(work, template)
    apart = 0.5 * diameter_of(template)
    spacing = boxes.spacing_angstrom
    room = room_for(work.subject.working, boxes.side)
    empty = random_places(room, spacing, everything, apart, rng, ELSEWHERE)
    picked, elsewhere = (Sight.of(boxes, *copies, places) for places in (positions, empty))

    def beyond(density: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        here, chance = picked.scores(boxes, density), elsewhere.scores(boxes, density)
        return against_chance(here, chance), against_chance(chance, chance)

    right, by_chance = beyond(template.density)
    decoys = {other: beyond(density) for other, density in decoys_of(work, name, rng).items()}
    hand, _ = beyond(mirror_image(template.density))
    better = float((right > hand).mean()) if len(right) else 0.0
    scores = PickScores(
        right,
        {other: here for other, (here, _) in decoys.items()},
        by_chance,
        {other: chance for other, (_, chance) in decoys.items()},
    )
    return scores, {"share better than its mirror image": better}
