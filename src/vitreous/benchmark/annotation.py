"""The whole chain on simulated tomograms: picks against the truth, verdicts against what is there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.benchmark.comparison import Scale, spread, values_of
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record, Row, selected
from vitreous.core import Poses, Progress
from vitreous.evidence import FOUND, NOT_FOUND
from vitreous.io import open_volume, write_volume
from vitreous.metrics import detection_scores, dice, match_picks
from vitreous.picking import DogConfig, pick_blobs
from vitreous.report import TableSection
from vitreous.simulate import GrandModel
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings, annotate_file
from vitreous.workflows.annotate.picks import read_picks
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.simulate import SimulatedTomogram, SimulationSpec, load_spec, simulate_tomogram

LARGE = ("phantom:ribosome", "phantom:26s", "phantom:tric")
MEDIUM = ("phantom:rubisco", "phantom:clpb", "phantom:p97")
CROWD = (("phantom:hsp90", 30), ("phantom:get3", 30), ("phantom:cand1", 15))
ABSENT = tuple(
    f"phantom:{name}" for name in ("atcase", "clpp", "hsp16", "hsp110", "esterase", "citrate-synthase", "ldh")
)
RARE = ("phantom:apoferritin",)
ALIKE = ("phantom:groel", "phantom:20s")  # absent, but like TRiC, and like a part of the 26S
CROWDED = "crowded-cell"  # the preset, of which a piece as large as any tomogram here is simulated
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "large": LARGE,
    "medium": MEDIUM,
    "absent": (*ABSENT, *RARE),
    "alike": ALIKE,
    CROWDED: (*LARGE, *MEDIUM),
}
IN_QUESTION: Mapping[Scale, tuple[str, ...]] = {
    "small": ("large", "medium", "absent", "alike"),
    "full": tuple(QUESTIONS),
    "paper": tuple(QUESTIONS),
}
SPACING_ANGSTROM = 10.0
SNRS = (0.05, 0.1)
LOWEST_DEG, HIGHEST_DEG = (-62.0, -50.0), (50.0, 62.0)
DEFOCUS_UM = (2.5, 5.0)
HIT = 0.25  # of the diameter: half a radius
RAW, DENOISED = "dog, tomogram", "dog, denoised"
ASKED = {"large": 0.85, "medium": 0.5}
TEXT = (
    "Simulated tomograms with CTF, dose, tilt ranges of −62…−50° to 50…62°, 2.5 to 5 µm under focus and an "
    "SNR of 0.05 to 0.1 (variances, whole volume), drawn for each seed; the chain simulates with seeds of "
    "its own and is told nothing but the names of the structures. These values are other than in its "
    "training, the simulator and the kinds of structures are not. A pick is a hit within a quarter of the "
    "diameter, one to one. `dog`: a difference of Gaussians of the structure's size, without classes, on the "
    "tomogram and on what the chain denoised."
)


@dataclass(frozen=True)
class Size:
    """How large a tomogram is, and what is in it.

    Parameters
    ----------
    shape
        (z, y, x) in voxels of 10 Å.
    large, medium
        Copies of each structure.
    rare
        Copies of each structure that is there but hardly.
    """

    shape: tuple[int, int, int]
    large: int
    medium: int
    rare: int


SIZES: dict[Scale, Size] = {
    "small": Size((64, 192, 192), 30, 30, 3),
    "full": Size((128, 256, 256), 60, 80, 5),
    "paper": Size((200, 512, 512), 250, 350, 15),
}


def annotation_rows(
    scale: Scale, seeds: Sequence[int], only: Sequence[str], progress: Progress
) -> Iterator[Row]:
    """All rows of a scale, seed after seed."""
    for seed in seeds:
        for question in selected(only, IN_QUESTION[scale]):
            key = {"scale": scale, "seed": seed, "question": question}
            yield Row(key, partial(measure_annotation, SIZES[scale], seed, question, progress))


def measure_annotation(size: Size, seed: int, question: str, progress: Progress) -> Record:
    """Annotate the tomogram of a seed and score what came out."""
    tomogram = simulated(size, seed, question == CROWDED)
    with tempfile.TemporaryDirectory(prefix="vitreous-annotate-") as folder:
        path = Path(folder, "tomogram.mrc")
        write_volume(path, tomogram.tomogram)
        settings = AnnotateSettings(seed=seed)
        request = AnnotateRequest(path, QUESTIONS[question], Path(folder, "out"), settings)
        with measured_cost() as cost:
            facts = annotate_file(request, progress)
        work = Work(request, progress)
        scores = {name: scored(work, name, tomogram.grand_model.poses) for name in QUESTIONS[question]}
        labels = np.asarray(open_volume(work.place("labels.mrc")).data)
    for value, name in enumerate(QUESTIONS[question], 1):
        scores[name]["dice"] = label_overlap(labels == value, tomogram.grand_model, name)
    for name, found in facts["structures"].items():
        scores[name] |= {"outcome": found["outcome"], "reasons": found["reasons"]}
    return {"structures": scores, "stages": facts["seconds"], "snr": tomogram.spec.imaging.snr, **cost}


@lru_cache(maxsize=1)
def simulated(size: Size, seed: int, crowded: bool) -> SimulatedTomogram:
    """The tomogram of a seed, with its truth."""
    return simulate_tomogram(crowded_spec(size, seed) if crowded else spec_of(size, seed))


def crowded_spec(size: Size, seed: int) -> SimulationSpec:
    """A piece of the preset `crowded-cell`, taken as the tomogram of this seed is."""
    other, cell = spec_of(size, seed).to_json(), load_spec(CROWDED).to_json()
    share = np.prod(size.shape[1:]) / np.prod(cell["box"]["shape"][1:])
    for part in (cell["vesicles"], cell["gold"], *cell["filaments"]):
        part["count"] = max(1, round(share * part["count"]))
    taken = {key: other[key] for key in ("seed", "box", "tilts", "imaging")}
    return SimulationSpec.model_validate({**cell, **taken})


def spec_of(size: Size, seed: int) -> SimulationSpec:
    """What is in the tomogram of a seed and how it was taken."""
    rng = np.random.default_rng([41, seed])
    low, high = np.log(SNRS)
    counted = [(name, size.large) for name in LARGE]
    counted += [(name, size.medium) for name in MEDIUM]
    counted += [(name, size.rare) for name in RARE]
    share = float(np.prod(size.shape) / np.prod(SIZES["small"].shape))
    counted += [(name, round(share * count)) for name, count in CROWD]
    depth = size.shape[0]
    return SimulationSpec.model_validate(
        {
            "seed": 10_000 + seed,
            "box": {"shape": size.shape, "voxel_spacing_angstrom": SPACING_ANGSTROM, "slab": (4, depth - 4)},
            "particles": [{"structure": name, "count": count} for name, count in counted],
            "vesicles": {"count": 1, "radius_angstrom": (200.0, 250.0)},
            "gold": {"count": 3},
            "tilts": {
                "lowest_deg": round(rng.uniform(*LOWEST_DEG)),
                "highest_deg": round(rng.uniform(*HIGHEST_DEG)),
                "step_deg": 3.0,
            },
            "imaging": {
                "snr": round(float(np.exp(rng.uniform(low, high))), 4),
                "defocus_um": round(rng.uniform(*DEFOCUS_UM), 2),
                "shift_jitter_angstrom": 3.0,
            },
        }
    )


def scored(work: Work, name: str, truth: Poses) -> Record:
    """Scores of the picks of one structure, and of blobs of its size in both volumes."""
    diameter = work.sizes[name]
    there = np.array([kind == name for kind in truth.names], bool)
    where = truth.positions_angstrom[there]
    found = {"ours": read_picks(work, name).positions_angstrom}
    for label, file in ((RAW, work.request.input), (DENOISED, work.place("denoised.mrc"))):
        found[label] = blobs(file, diameter, len(where))
    record: Record = {"true": len(where), "picks": len(found["ours"])}
    for label, positions in found.items():
        matched = match_picks(positions, where, HIT * diameter)
        record[label] = detection_scores(matched.hits, matched.found)
    return record


def label_overlap(found: NDArray[np.bool_], truth: GrandModel, name: str) -> float | None:
    """Dice of the labels of a structure; None where there is none of it."""
    if name not in truth.class_names:
        return None
    there = truth.class_mask == truth.class_names.index(name) + 1
    return float(dice(found, there))


def blobs(file: Path, diameter_angstrom: float, count: int) -> NDArray[np.float64]:
    """As many of the best blobs as there are particles, which nobody knows of a real tomogram."""
    volume = open_volume(file)
    config = DogConfig.for_diameter(diameter_angstrom, count=max(count, 1), threshold=0)
    spacing = volume.voxel_spacing_angstrom or (SPACING_ANGSTROM,) * 3
    return pick_blobs(np.asarray(volume.data), spacing, config).picks.positions_angstrom


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """F1 by structure, verdicts, and what it cost."""
    sections = []
    for question in ("large", "medium", CROWDED):
        found = [r for r in records if r["question"] == question]
        if found:
            sections.append(picks_table(question, found))
    return [*sections, verdicts_table(records), cost_table(records)]


def picks_table(question: str, records: Sequence[Record]) -> TableSection:
    """Precision, recall and F1 of each structure, F1 of the baselines beside."""
    rows = []
    for name in QUESTIONS[question]:
        of = [r["structures"][name] for r in records]
        cells = [
            spread(values_of([o["ours"] for o in of], key), key) for key in ("precision", "recall", "f1")
        ]
        beside = [spread(values_of([o[label] for o in of], "f1"), "f1") for label in (RAW, DENOISED)]
        labels = spread(values_of(of, "dice"), "dice")
        rows.append([name, str(len(of)), f"{np.mean([o['true'] for o in of]):.0f}", *cells, *beside, labels])
    compared = (f"F1 {RAW}", f"F1 {DENOISED}", "Dice of labels")
    header = ("structure", "seeds", "copies", "precision", "recall", "F1", *compared)
    asked = f", asked for F1 ≥ {ASKED[question]}" if question in ASKED else ""
    heading = f"{question.capitalize()} structures{asked}"
    return TableSection(heading, TEXT, header, rows)


def verdicts_table(records: Sequence[Record]) -> TableSection:
    """How often each verdict was given of what is there and of what is not."""
    tally: dict[str, list[Any]] = {}
    for record in records:
        for name, one in record["structures"].items():
            kind = "rare" if name in RARE else record["question"]
            tally.setdefault(kind, []).append(one["outcome"])
    rows = [
        [
            kind,
            str(len(said)),
            str(said.count(FOUND)),
            str(said.count(NOT_FOUND)),
            str(len(said) - said.count(FOUND) - said.count(NOT_FOUND)),
        ]
        for kind, said in tally.items()
    ]
    header = ("what was asked for", "trials", "found", "not found", "not enough evidence")
    absent = [outcome for kind, said in tally.items() if kind in ("absent", "alike") for outcome in said]
    text = "Asked for: no absent structure found in 20 trials; no large one of 30 copies or more not found."
    if absent and FOUND not in absent:
        most = highest_rate(len(absent))
        text += f" No absent one of {len(absent)} was: more than {most:.0%} can hardly be (95 % sure)."
    return TableSection("Verdicts", text, header, rows)


def highest_rate(trials: int) -> float:
    """The rate of an event that did not occur in some trials, at the most, with 95 % confidence.

    Examples
    --------
    >>> round(highest_rate(21), 2)
    0.13
    """
    return float(1 - 0.05 ** (1 / trials))


def cost_table(records: Sequence[Record]) -> TableSection:
    """Time of each stage and memory, means over rows."""
    stages = list(records[0]["stages"]) if records else []
    rows = [
        [
            question,
            *(f"{np.mean([r['stages'][s] for r in found]):.0f}" for s in stages),
            f"{np.mean([r['seconds'] for r in found]):.0f}",
            f"{max((r.get('peak_gb', float('nan')) for r in found), default=float('nan')):.1f}",
        ]
        for question in QUESTIONS
        if (found := [r for r in records if r["question"] == question])
    ]
    return TableSection("Cost", "", ("question", *(f"{s}, s" for s in stages), "all, s", "peak GB"), rows)
