"""Source and target of the Vox-UDA tables: simulated sets, split by tomogram and seed before any training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from vitreous.benchmark.comparison import Scale
from vitreous.core import SilentProgress, Template, Volume, read_block
from vitreous.segmentation import standardized_box
from vitreous.simulate import GrandModel, SubtomogramSettings
from vitreous.workflows.simulate import SimulationSpec, build_templates, simulate_tomogram
from vitreous.workflows.subtomograms import LoadedBoxes, simulate_subtomograms

SIDE = 32
SPACING_ANGSTROM = 10.0  # of both domains: the ends of a 26S, 45 nm long, may leave a box of 32 nm
TARGETS = ("phantom:ribosome", "phantom:26s", "phantom:tric")
PROPORTIONS = (901, 66, 66)  # of the Poly-GA set
CROWD = (("phantom:hsp90", 80), ("phantom:ldh", 160), ("phantom:hsp70", 160))
TARGET_SNRS = (0.05, 0.3)  # each tomogram draws its own; the source has 0.03 and 0.05
TRIPLES = {"1bxn, 1f1b, 1yg6": "vox-uda-1", "2byu, 2h12, 2ldb": "vox-uda-2"}
SEED_STEP = 100  # tomograms of one seed have numbers of their own


@dataclass(frozen=True)
class Sizes:
    """How many subtomograms there are.

    Parameters
    ----------
    source
        Of each structure at each of two SNRs.
    training
        Of the target, unlabelled, in the proportions of the Poly-GA set.
    test
        Of each structure of the target, from another tomogram.
    tomograms
        From which the training subtomograms come.
    placed
        Ribosomes, 26S and TRiC in each tomogram.
    """

    source: int
    training: int
    test: tuple[int, int, int]
    tomograms: int
    placed: tuple[int, int, int]


SIZES: dict[Scale, Sizes] = {
    "small": Sizes(40, 120, (45, 12, 12), 2, (80, 24, 24)),
    "full": Sizes(100, 320, (60, 20, 20), 6, (80, 24, 24)),
    "paper": Sizes(500, 1033, (60, 20, 20), 18, (80, 24, 24)),
}


@dataclass(frozen=True, eq=False)
class Domain:
    """Everything that a row trains and is scored on.

    `target` is what is trained on without labels (`supervised` alone reads its masks), `test` comes from a
    tomogram that nothing was trained on.
    """

    source: LoadedBoxes
    target: LoadedBoxes
    test: LoadedBoxes


def make_domain(triple: str, seed: int, scale: Scale) -> Domain:
    """Source and target of a seed: other subtomograms and other tomograms for each."""
    target, test = target_sets(seed, scale)
    return Domain(source_set(triple, seed, scale), target, test)


@lru_cache(maxsize=4)
def source_set(triple: str, seed: int, scale: Scale) -> LoadedBoxes:
    """What `vitreous simulate subtomograms` makes of one of the paper's two triples, as phantoms."""
    settings = SubtomogramSettings(count=SIZES[scale].source, side=SIDE, seed=seed)
    made = simulate_subtomograms([TRIPLES[triple]], settings)
    return LoadedBoxes(
        Path(TRIPLES[triple]),
        np.stack([standardized_box(box) for box in made.densities]),
        made.masks,
        made.poses.names,
        made.poses.names,
        tuple(range(len(made))),
        SPACING_ANGSTROM,
    )


@lru_cache(maxsize=4)
def target_sets(seed: int, scale: Scale) -> tuple[LoadedBoxes, LoadedBoxes]:
    """Subtomograms to train on, and those of another tomogram to be scored on."""
    sizes = SIZES[scale]
    cut = [cut_tomogram(SEED_STEP * seed + number, sizes.placed) for number in range(sizes.tomograms + 1)]
    rng = np.random.default_rng(seed)
    wanted = [max(2, round(sizes.training * share / sum(PROPORTIONS))) for share in PROPORTIONS]
    return chosen(joined(cut[:-1]), wanted, rng), chosen(cut[-1], list(sizes.test), rng)


def target_spec(seed: int, placed: tuple[int, int, int]) -> SimulationSpec:
    """One crowded tomogram: phase plate, a tilt range that is not symmetric, its own noise."""
    low, high = TARGET_SNRS
    snr = float(np.exp(np.random.default_rng(seed).uniform(np.log(low), np.log(high))))
    particles = [*zip(TARGETS, placed, strict=True), *CROWD]
    return SimulationSpec.model_validate(
        {
            "seed": seed,
            "box": {"shape": (112, 320, 320), "voxel_spacing_angstrom": SPACING_ANGSTROM, "slab": (4, 108)},
            "particles": [{"structure": name, "count": count} for name, count in particles],
            "vesicles": {"count": 1, "radius_angstrom": (300.0, 500.0)},
            "ice": {"thickness_angstrom": 1500.0},
            "tilts": {"lowest_deg": -50.0, "highest_deg": 70.0, "step_deg": 3.0},
            "imaging": {
                "snr": round(snr, 4),
                "defocus_um": 0.5,
                "shift_jitter_angstrom": 4.0,
                "rotation_jitter_deg": 0.1,
            },
            "optics": {"phase_shift_deg": 90.0},
            "detector": {"binning": 4.0},
        }
    )


def cut_tomogram(seed: int, placed: tuple[int, int, int]) -> LoadedBoxes:
    """Every particle of interest whose box lies within a tomogram, with the mask of it alone."""
    spec = target_spec(seed, placed)
    made = simulate_tomogram(spec, templates=templates_of(placed))
    return boxes_around(made.tomogram, made.grand_model, f"tomogram {seed}")


@lru_cache(maxsize=1)
def templates_of(placed: tuple[int, int, int]) -> tuple[Template, ...]:
    """Densities of what all target tomograms hold."""
    return tuple(build_templates(target_spec(0, placed), SilentProgress()))


def boxes_around(tomogram: Volume, truth: GrandModel, name: str) -> LoadedBoxes:
    """Standardized boxes around the particles of TARGETS; those that leave the tomogram are left out."""
    spacing = truth.voxel_spacing_angstrom
    centres = np.rint(truth.poses.positions_angstrom / spacing).astype(int)
    values, masks, kinds, titles = [], [], [], []
    for centre, kind, instance in zip(centres, truth.poses.names, truth.poses.instances, strict=True):
        start = centre - SIDE // 2
        if kind not in TARGETS or (start < 0).any() or (start + SIDE > tomogram.shape).any():
            continue
        box = tuple(slice(int(s), int(s) + SIDE) for s in start)
        values.append(standardized_box(read_block(tomogram.data, [int(s) for s in start], (SIDE,) * 3)))
        masks.append((truth.instance_mask[box] == instance).astype(np.uint8))
        kinds.append(kind)
        titles.append(f"{name}, particle {instance}")
    arrays = np.stack(values), np.stack(masks)
    return LoadedBoxes(Path(name), *arrays, tuple(kinds), tuple(titles), tuple(range(len(kinds))), spacing)


def joined(sets: list[LoadedBoxes]) -> LoadedBoxes:
    """Sets of several tomograms as one."""
    return replace(
        sets[0],
        values=np.concatenate([s.values for s in sets]),
        masks=np.concatenate([s.masks for s in sets if s.masks is not None]),
        kinds=tuple(kind for s in sets for kind in s.kinds),
        titles=tuple(title for s in sets for title in s.titles),
        indices=tuple(range(sum(len(s) for s in sets))),
    )


def chosen(loaded: LoadedBoxes, wanted: list[int], rng: np.random.Generator) -> LoadedBoxes:
    """So many of each structure of TARGETS, drawn at random; all where there are fewer."""
    kinds = np.array(loaded.kinds, object)
    picked = [
        rng.permutation(np.flatnonzero(kinds == kind))[:count]
        for kind, count in zip(TARGETS, wanted, strict=True)
    ]
    keep = np.sort(np.concatenate(picked))
    assert loaded.masks is not None
    return replace(
        loaded,
        values=loaded.values[keep],
        masks=loaded.masks[keep],
        kinds=tuple(loaded.kinds[i] for i in keep),
        titles=tuple(loaded.titles[i] for i in keep),
        indices=tuple(range(len(keep))),
    )
