"""What was detected in the transfer table, averaged as evidence (dual § 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.averaging import (
    Alignment,
    AverageConfig,
    BoxedParticles,
    evidence_beyond,
    particle_mask,
    refine_halves,
    starting_halves,
)
from vitreous.benchmark.runner import Record
from vitreous.benchmark.transfer_worlds import (
    GRAND,
    SPACING_ANGSTROM,
    STRUCTURES,
    Array,
    Labelled,
    Labels,
    Microscope,
    labelled,
)
from vitreous.core import read_block
from vitreous.evidence import detail_beyond
from vitreous.fourier import measured_region, volume_contrast_transfer
from vitreous.metrics import detection_scores, fourier_shell_correlation, fsc_resolution, match_picks
from vitreous.picking import LabelConfig, class_diameter, pick_labels
from vitreous.report import TableSection
from vitreous.workflows.search_template import SearchTemplate, open_template

SIDE = 40  # voxels
HIT = 0.25  # of the diameter: half a radius
FEWEST = 4  # picks, two in each half
FINEST_ANGSTROM = 30.0  # the CTF of the target has its first zero at 34 Å
SEED = 7  # of random phases
LEVEL = 0.05
TEXT = (
    "Particles are picked from the labels of several held-out tomograms with `pick --method labels`, their "
    "size that of the labels trained on; a pick is a hit within a quarter of the diameter, one to one. They "
    "are cut out of the tomograms as they were taken, whatever was segmented, and averaged in two halves: "
    "all orientations, the class's phantom at 60 Å as the template, wedge and CTF of the microscope as "
    "known. `halves`: where the FSC of the halves falls to 0.143, seed by seed; `beyond` says how often that "
    "is finer than what template and mask have in common. `structure`: where the FSC of the average with the "
    "phantom falls to 0.5. `detail`: their correlation beyond what is shared up to "
    f"{FINEST_ANGSTROM:.0f} Å; `p`: how often random phases do as well, at most {LEVEL} where it says so. "
    f"Fewer than {FEWEST} picks are not averaged. `true labels`: what averaging shows of perfect detections."
)


@dataclass(frozen=True, eq=False)
class Detected:
    """A tomogram as it was taken, the labels that it was given, and what is there."""

    tomogram: Array
    labels: Labels
    truth: Labelled


def averaged_detections(detected: Sequence[Detected], microscope: Microscope) -> Record:
    """Picks of every class against the truth, and what their average shows; names end with the class."""
    found: Record = {}
    for number, name in enumerate(STRUCTURES, 1):
        template = open_template(f"phantom:{name}", SPACING_ANGSTROM)
        places = [picked(one.labels, number) for one in detected]
        figures = against_truth(places, detected, name, HIT * template.diameter_angstrom)
        figures |= average_of(places, [one.tomogram for one in detected], template, microscope)
        found |= {f"{key}_{name}": value for key, value in figures.items()}
    return found


def picked(labels: Labels, number: int) -> NDArray[np.float64]:
    """Places (n, 3) in Å of the particles of a class; its size is known from labels that were trained on."""
    spacing, (depth, height, width) = (SPACING_ANGSTROM,) * 3, labels.shape
    learned = labelled((depth, height, width), GRAND).labels
    diameter = class_diameter(learned, spacing, 0.5, label=number)
    config = LabelConfig(diameter_angstrom=diameter)
    return pick_labels(labels, spacing, config, label=number).picks.positions_angstrom


def against_truth(
    places: Sequence[NDArray[np.float64]], detected: Sequence[Detected], name: str, distance: float
) -> Record:
    """How many picks there are in all tomograms, and how many of them are particles of their class."""
    matches = []
    for where, one in zip(places, detected, strict=True):
        mine = [other == f"phantom:{name}" for other in one.truth.poses.names]
        matches.append(match_picks(where, one.truth.poses.positions_angstrom[mine], distance))
    hits, there = (np.concatenate([getattr(m, which) for m in matches]) for which in ("hits", "found"))
    scores = detection_scores(hits, there)
    return {"particles": len(there), "picks": len(hits), "hits": int(hits.sum()), **scores}


def average_of(
    places: Sequence[NDArray[np.float64]],
    tomograms: Sequence[Array],
    template: SearchTemplate,
    microscope: Microscope,
) -> Record:
    """Two halves of the picks (n, 3) in Å, aligned and averaged apart; nothing if there are too few.

    Picks of one class are farther apart than two particles can come by alignment: no two are the same.
    """
    if sum(map(len, places)) < FEWEST:
        return {}
    voxels = np.concatenate(places) / SPACING_ANGSTROM
    nearest = np.rint(voxels).astype(int)
    boxes = [
        -read_block(tomogram, np.rint(place / SPACING_ANGSTROM).astype(int) - SIDE // 2, (SIDE,) * 3)
        for tomogram, where in zip(tomograms, places, strict=True)
        for place in where
    ]  # protein bright
    limits = (-microscope.highest_deg, microscope.highest_deg)
    passed = measured_region((SIDE,) * 3, limits, half=True).float()
    passed *= volume_contrast_transfer(SIDE, SPACING_ANGSTROM, microscope.defocus_um)
    particles = BoxedParticles(torch.from_numpy(np.stack(boxes)), passed, SPACING_ANGSTROM)
    count = len(particles)
    start = Alignment(
        torch.eye(3).double().repeat(count, 1, 1),
        torch.from_numpy(voxels - nearest),
        torch.zeros(count).double(),
    )
    config = AverageConfig(rounds=2, diameter_angstrom=template.diameter_angstrom)
    structure = template.box(SIDE)
    halves = starting_halves(count)
    *_, last = refine_halves(particles, halves, structure.expand(2, -1, -1, -1), start, config)
    mask, known = particle_mask(particles, config).numpy(), structure.numpy()
    shared = evidence_beyond(particles, config)
    curve = fourier_shell_correlation(last.average.numpy() * mask, known * mask)
    band, rng = (shared, FINEST_ANGSTROM), np.random.default_rng(SEED)
    detail = detail_beyond(last.average.numpy(), known, mask, SPACING_ANGSTROM, band, rng)
    assert detail is not None  # boxes of this size hold frequencies enough
    return {
        "halves_angstrom": last.resolution_angstrom,
        "shared_angstrom": shared,
        "structure_angstrom": fsc_resolution(curve, SPACING_ANGSTROM),
        "detail": detail.correlation,
        "detail_p": detail.p_value,
    }


def averages_section(scale: str, of: dict[str, list[Record]]) -> list[TableSection]:
    """A line for each method and class, from records by method; none where nothing was picked."""
    rows = []
    for method, records in of.items():
        for name in STRUCTURES:
            mine = [r for r in records if f"picks_{name}" in r]
            if mine:
                rows.append([method, name, *averages_line(mine, name)])
    header = ["method", "class", "particles", "picks", "precision", "recall", "halves, Å", "beyond"]
    header += ["structure, Å", "detail", f"p ≤ {LEVEL}"]
    return [TableSection(f"Detections averaged, scale {scale}", TEXT, header, rows)] if rows else []


def averages_line(records: Sequence[Record], name: str) -> list[str]:
    """The cells of one class, values of seeds joined by commas."""
    shown = [r for r in records if f"detail_{name}" in r]

    def each(score: str, decimals: int, of: Sequence[Record] = records) -> str:
        values = [f"{r[f'{score}_{name}']:.{decimals}f}".replace("inf", "∞") for r in of]
        return ", ".join(values) or "too few picks"

    beyond = [r[f"halves_angstrom_{name}"] < r[f"shared_angstrom_{name}"] for r in shown]
    likely = [r[f"detail_p_{name}"] <= LEVEL for r in shown]
    return [
        each("particles", 0),
        each("picks", 0),
        each("precision", 2),
        each("recall", 2),
        each("halves_angstrom", 1, shown),
        f"{sum(beyond)} of {len(records)}",
        each("structure_angstrom", 1, shown),
        each("detail", 2, shown),
        f"{sum(likely)} of {len(records)}",
    ]
