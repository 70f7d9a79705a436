"""What is in the ice of a case: packed by the simulator, or the clean volumes that a user points to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Poses
from vitreous.io import open_volume
from vitreous.simulate import (
    ACTIN,
    MICROTUBULE,
    SHREC_STRUCTURES,
    Contents,
    Filaments,
    Gold,
    Particles,
    bead_model,
    crowd,
    pack,
    template_from_beads,
)

SPACING_ANGSTROM = 10.0
TRAINING_SEEDS = (101, 102, 103)  # specimens that supervised networks see; never scored
PATTERNS = ("*/grandmodel.mrc", "*/grandmodel_?.mrc", "tomo_den_*.mrc", "*.mrc")  # SHREC 2021, 2020, PolNet
MATTER = 0.25  # of the largest density, where no labels say what is matter

Array = NDArray[np.float32]
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Ground:
    """The truth: density (z, y, x), where particles and membranes are, and the voxel spacing in Å.

    `poses` are those of the particles, None where they are not known.
    """

    density: Array
    inside: NDArray[np.bool_]
    spacing_angstrom: float = SPACING_ANGSTROM
    poses: Poses | None = None


@dataclass(frozen=True)
class Specimen:
    """Structures in equal numbers, those of SHREC 2021 by default, and what stands beside.

    `occupancy` is the share of the box that particles fill; membranes and filaments come on top.
    """

    occupancy: float
    sheets: int = 1
    vesicles: int = 0
    actin: int = 0
    microtubules: int = 0
    structures: tuple[str, ...] = tuple(SHREC_STRUCTURES)

    def ground(self, shape: Shape, seed: int) -> Ground:
        """A box of its own for each seed."""
        counts = ((ACTIN, self.actin), (MICROTUBULE, self.microtubules))
        model = crowd(
            shape,
            occupancy=self.occupancy,
            seed=seed,
            structures=self.structures,
            sheets=self.sheets,
            vesicles=self.vesicles,
            filaments=[Filaments(filament, count) for filament, count in counts if count],
            voxel_spacing_angstrom=SPACING_ANGSTROM,
        )
        return Ground(model.density, model.instance_mask > 0, poses=model.poses)


@dataclass(frozen=True)
class Purified:
    """Copies of one structure, and gold beads; the ice ends `margin` voxels before either face along z."""

    structure: str
    count: int
    gold: int = 0
    margin: int = 8

    def ground(self, shape: Shape, seed: int) -> Ground:
        """A box of its own for each seed."""
        template = template_from_beads(bead_model(self.structure), SPACING_ANGSTROM)
        slab = (self.margin, shape[0] - self.margin)
        contents = Contents((Particles(template, self.count),), gold=Gold(self.gold), slab_voxels=slab)
        model = pack(shape, SPACING_ANGSTROM, contents, np.random.default_rng(seed))
        return Ground(model.density, model.instance_mask > 0, poses=model.poses)


@dataclass(frozen=True)
class CleanVolumes:
    """Noise-free volumes of a data set, such as the grand models of SHREC.

    Seed 1 is the first file, and so on; the training seeds are the last three, which must be others.
    """

    files: tuple[Path, ...]

    @classmethod
    def of_folder(cls, folder: Path) -> CleanVolumes:
        """What lies in a folder: `model_N/grandmodel.mrc`, `tomo_den_N.mrc`, or simply MRC files.

        Raises
        ------
        InputError
            If there is no such folder, or no such file in it.
        """
        if not folder.is_dir():
            raise InputError("is no folder", path=folder, remedy="name one that holds clean volumes")
        for pattern in PATTERNS:
            files = tuple(sorted(folder.glob(pattern)))
            if files:
                return cls(files)
        raise InputError(
            "holds no clean volumes", path=folder, remedy=f"it needs one of {', '.join(PATTERNS)}"
        )

    def ground(self, shape: Shape, seed: int) -> Ground:
        """The middle of a file, as much of `shape` as it has.

        Raises
        ------
        InputError
            If there are too few files, or one has no voxel spacing.
        """
        scored = len(self.files) - len(TRAINING_SEEDS)
        number = scored + TRAINING_SEEDS.index(seed) if seed in TRAINING_SEEDS else seed - 1
        if scored < 1 or (seed not in TRAINING_SEEDS and number >= scored):
            text = f"{len(self.files)} clean volumes are too few: one for each seed and three to train on"
            raise InputError(text, path=self.files[0].parent, remedy="ask for fewer --seeds, or add volumes")
        path = self.files[number]
        volume = open_volume(path)
        spacing = volume.mean_spacing_angstrom
        if spacing is None:
            raise InputError("has no voxel spacing", path=path, remedy="set it with a tool of your choice")
        starts = [max(0, (side - wanted) // 2) for side, wanted in zip(volume.shape, shape, strict=True)]
        middle = tuple(slice(s, s + wanted) for s, wanted in zip(starts, shape, strict=True))
        density = np.asarray(volume.data[middle], np.float32)
        density = density - np.float32(np.median(density))
        return Ground(density, density > MATTER * density.max(), spacing)
