"""The tables of Vox-UDA: rows, scores, paired differences, and pictures of what was segmented."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from vitreous.benchmark.adaptation_cases import PROPORTIONS, TARGETS, Domain, make_domain
from vitreous.benchmark.comparison import Scale, spread, values_of
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record, Row, selected
from vitreous.core import Progress
from vitreous.inference import choose_device
from vitreous.metrics import dice, intersection_over_union, means_of, separability, t_sne
from vitreous.report import TableSection
from vitreous.report.figures import dots_svg, scatter_svg
from vitreous.report.panels import Panel, outlined, panels_svg, surface
from vitreous.segmentation import labels_of, segment_boxes
from vitreous.training import CheckpointStore
from vitreous.workflows.adapt.model import Adapted, adapted, chosen_adaptation, with_changes
from vitreous.workflows.adapt.report import features_of, scaled, spread_over

PRIOR = "mean-mask"  # what can be had without looking at a subtomogram, as particles sit in the middle
SCORES = ("iou", "dice")
SHORT = {name: name.removeprefix("phantom:") for name in TARGETS}
COLUMNS = ("all", *SHORT.values())
BESIDE = ("sameness", "separability", "seconds")
STEPS: Mapping[Scale, dict[str, Any]] = {
    "small": {"steps": 240, "width": 8, "batch": 4},
    "full": {"steps": 1200, "width": 16, "batch": 8},
    "paper": {},
}
TRUTH_COLOUR, FOUND_COLOUR = (70, 150, 230), (225, 60, 50)
DATA = (
    "Source: subtomograms of the paper's structures as **phantoms** (bead models), SNR 0.03 and 0.05, 5 µm "
    "under focus, four neighbours, ±60°. Target: ribosome, 26S and TRiC (phantoms) cut at known poses from "
    "crowded tomograms made by the whole physics chain: phase plate, −50° to 70°, an SNR of 0.05 to 0.3 for "
    "each. Both have voxels of 10 Å. Scores are of subtomograms from a tomogram that nothing was trained on; "
    "`all` weights structures 901 : 66 : 66, as the Poly-GA set has them.\n\n"
    "Particles sit in the middle of their boxes, so that a network may learn where they are without looking. "
    "`mean mask` is that alone: the voxels that most of the source calls particle. `sameness` is the overlap "
    "of all predictions with what they have in common: 1 if a network says the same of every subtomogram. "
    "`separability`: 0.5 where features do not tell the domains apart, 1 where they always do."
)
CAVEAT = "Published rows are of real subtomograms: compare the order, not the figures."


@dataclass(frozen=True)
class Contestant:
    """A method with what is changed in its configuration; PRIOR is no network but the source's mean mask."""

    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AdaptationTable:
    """A table of contestants on one or more source triples.

    Parameters
    ----------
    description
        In words.
    triples
        Names of TRIPLES.
    contestants
        Rows by name, in order.
    ours
        The row that the others are compared with.
    published
        IoU and Dice in percent by row: of all, ribosomes, 26S and TRiC, or of all only.
    """

    description: str
    triples: tuple[str, ...]
    contestants: Mapping[str, Contestant]
    ours: str
    published: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def rows(
        self,
        scale: Scale,
        seeds: Sequence[int],
        only: Sequence[str],
        progress: Progress,
        checkpoints: Path,
    ) -> Iterator[Row]:
        """All rows of a scale, seed after seed; a row that was stopped goes on from its checkpoint."""
        named = selected(only, (*self.triples, *self.contestants))
        for seed in seeds:
            for triple in [t for t in self.triples if t in named] or self.triples:
                for name in [c for c in self.contestants if c in named] or self.contestants:
                    key = {"case": triple, "scale": scale, "seed": seed, "method": name}
                    store = CheckpointStore(checkpoints / slug(f"{triple} {scale} {seed} {name}"))
                    measure = partial(self.measure, name, triple, seed, scale, progress, store)
                    yield Row(key, partial(measure, pictured=seed == seeds[0]))

    def measure(
        self,
        name: str,
        triple: str,
        seed: int,
        scale: Scale,
        progress: Progress,
        store: CheckpointStore,
        *,
        pictured: bool = False,
    ) -> Record:
        """Train one contestant and score it; `seconds` are of this process, after a stop of the rest."""
        domain = make_domain(triple, seed, scale)
        contestant = self.contestants[name]
        if contestant.method == PRIOR:
            return overlaps(mean_mask(domain), domain)
        base = chosen_adaptation(contestant.method, "paper" if scale == "paper" else None)
        config = with_changes(base, {**STEPS[scale], **contestant.changes})
        with measured_cost() as cost:
            found = adapted(
                contestant.method,
                config,
                domain.source,
                domain.target,
                choose_device("auto"),
                seed=seed,
                progress=progress,
                store=store,
            )
        record = {**scored(found, domain), **pictures(found, domain, pictured=pictured), **cost}
        store.clear()
        return record

    def summarize(self, records: Sequence[Record]) -> list[TableSection]:
        """IoU and Dice beside the published figures, differences to ours, and pictures."""
        names = [name for name in self.contestants if any(r["method"] == name for r in records)]
        sections = []
        for triple in dict.fromkeys(r["case"] for r in records):
            of = {n: [r for r in records if (r["method"], r["case"]) == (n, triple)] for n in names}
            of = {name: found for name, found in of.items() if found}
            sections += [self.main_table(triple, of), self.differences(triple, of), *self.pictured(of)]
        return [section for section in sections if section.rows or section.figure_svg]

    def main_table(self, triple: str, of: Mapping[str, Sequence[Record]]) -> TableSection:
        """Mean ± deviation over seeds, in percent."""
        keys = [f"{score}_{column}" for score in SCORES for column in COLUMNS]
        header = ["method", "seeds", *(key.replace("_", " ") for key in keys), *(name for name in BESIDE)]
        rows = [
            [
                name,
                str(len(found)),
                *(percent(values_of(found, key)) for key in keys),
                *(spread(values_of(found, key), key) for key in BESIDE),
            ]
            for name, found in of.items()
        ]
        for name, cells in self.published.items():
            whole = len(cells) == len(keys)
            shown = dict(zip(keys if whole else ("iou_all", "dice_all"), cells, strict=True))
            rows.append(
                [f"published: {name}", "", *(f"{shown[k]:.1f}" if k in shown else "" for k in keys), "", ""]
            )
        dots = {triple: {name: [100 * v for v in values_of(found, "dice_all")] for name, found in of.items()}}
        text = f"{DATA} {CAVEAT if self.published else ''}".strip()
        return TableSection(
            f"Source {triple}: percent", text, header, rows, dots_svg(dots, "Dice in percent")
        )

    def differences(self, triple: str, of: Mapping[str, Sequence[Record]]) -> TableSection:
        """Dice of ours minus that of every other row, seed by seed."""
        ours = {r["seed"]: r["dice_all"] for r in of.get(self.ours, ())}
        rows = []
        for name, found in of.items():
            pairs = [100 * (ours[r["seed"]] - r["dice_all"]) for r in found if r["seed"] in ours]
            if name != self.ours and pairs:
                rows.append([name, str(len(pairs)), f"{mean(pairs):+.1f}", interval(pairs)])
        text = f"Dice points by which {self.ours} is ahead, seed by seed; intervals of 95 % from Student's t."
        header = ["than", "seeds", "ahead by", "95 % interval"]
        return TableSection(f"{self.ours} against the others, source {triple}", text, header, rows)

    def pictured(self, of: Mapping[str, Sequence[Record]]) -> list[TableSection]:
        """Segmentations and features of the first seed."""
        first = {n: next((r for r in found if "shown" in r), None) for n, found in of.items()}
        there = {name: record for name, record in first.items() if record is not None}
        if not there:
            return []
        text = (
            "One test subtomogram of each structure: blue the truth, red what was found; then the solid that "
            "was found."
        )
        panels = [panel for name, record in there.items() for panel in panels_of(name, record)]
        figure = panels_svg(panels, "segmentations of test subtomograms", columns=2 * len(TARGETS))
        sections = [TableSection("Segmentations", text, figure_svg=figure)]
        for name, record in there.items():
            groups = {domain: np.array(points) for domain, points in record["embedding"].items()}
            svg = scatter_svg(groups, f"features of both domains, {name}")
            told = f"Separability {record['separability']:.2f}; by t-SNE."
            sections.append(TableSection(f"Features: {name}", told, figure_svg=svg))
        return sections


def mean_mask(domain: Domain) -> NDArray[np.bool_]:
    """The voxels that belong to the particle in most of the source, for every test subtomogram."""
    assert domain.source.masks is not None
    common = domain.source.masks.mean(axis=0) > 0.5
    return np.broadcast_to(common, domain.test.values.shape)


def scored(found: Adapted, domain: Domain) -> Record:
    """Overlaps on the test subtomograms, how alike predictions are, and the last figures of the training."""
    labels = labels_of(segment_boxes(found.model, domain.test.values), axis=1) > 0
    common = np.broadcast_to(labels.mean(axis=0) > 0.5, labels.shape)
    figures = found.record.monitored[-1][1] if found.record.monitored else {}
    last = {f"last_{key}": float(value) for key, value in figures.items()}
    return {**overlaps(labels, domain), "sameness": float(dice(labels, common).mean()), **last}


def overlaps(labels: NDArray[np.bool_], domain: Domain) -> Record:
    """Foreground IoU and Dice on the test subtomograms, by structure and weighted."""
    test = domain.test
    assert test.masks is not None
    record: Record = {}
    for name, measure in (("dice", dice), ("iou", intersection_over_union)):
        means = means_of(measure(labels, test.masks > 0), test.kinds)
        weighted = [share * means[kind] for share, kind in zip(PROPORTIONS, TARGETS, strict=True)]
        record[f"{name}_all"] = sum(weighted) / sum(PROPORTIONS)
        record |= {f"{name}_{SHORT[kind]}": means[kind] for kind in TARGETS}
    return record | {"share": float(labels.mean())}


def pictures(found: Adapted, domain: Domain, *, pictured: bool) -> Record:
    """How well features tell the domains apart; for the first seed also points, slices and solids."""
    both = [features_of(found.model.network, spread_over(b.values)) for b in (domain.source, domain.test)]
    record: Record = {"separability": separability(*both)}
    if not pictured:
        return record
    points = np.round(t_sne(scaled(np.concatenate(both))), 2)
    record["embedding"] = {
        "source": points[: len(both[0])].tolist(),
        "target": points[len(both[0]) :].tolist(),
    }
    record["shown"] = [shown_box(found, domain, kind) for kind in TARGETS]
    return record


def shown_box(found: Adapted, domain: Domain, kind: str) -> dict[str, str]:
    """The first test subtomogram of a structure: its middle slice, the truth and what was found, as text."""
    number = domain.test.kinds.index(kind)
    assert domain.test.masks is not None
    values = domain.test.values[number]
    labels = labels_of(segment_boxes(found.model, values[None])[0]) > 0
    middle = values[len(values) // 2]
    low, high = np.percentile(middle, [0.5, 99.5])
    grey = np.clip(np.rint(255 * (middle - low) / (high - low)), 0, 255).astype(np.uint8)
    solids = {"truth": domain.test.masks[number] > 0, "found": labels}
    packed = {name: np.packbits(solid) for name, solid in solids.items()}
    arrays = {"slice": grey, **packed}
    return {"kind": SHORT[kind], **{n: base64.b64encode(a.tobytes()).decode() for n, a in arrays.items()}}


def panels_of(name: str, record: Record) -> list[Panel]:
    """Slices and solids of one row."""
    panels = []
    for one in record["shown"]:
        raw = {
            key: np.frombuffer(base64.b64decode(one[key]), np.uint8) for key in ("slice", "truth", "found")
        }
        side = round(raw["slice"].size ** 0.5)
        truth, labels = (
            np.unpackbits(raw[k])[: side**3].reshape((side,) * 3) > 0 for k in ("truth", "found")
        )
        plane: NDArray[np.uint8] = raw["slice"].reshape(side, side)
        picture = outlined(plane, labels[side // 2], FOUND_COLOUR)
        blue = outlined(plane, truth[side // 2], TRUTH_COLOUR)
        only = (blue == TRUTH_COLOUR).all(axis=2) & ~(picture == FOUND_COLOUR).all(axis=2)
        picture[only] = TRUTH_COLOUR
        panels += [Panel(f"{name}: {one['kind']}", picture), Panel("found", surface(labels))]
    return panels


def percent(values: Sequence[float]) -> str:
    """Mean ± deviation in percent, one decimal.

    Examples
    --------
    >>> percent([0.5, 0.52]), percent([])
    ('51.0 ± 1.4', '')
    """
    if not values:
        return ""
    deviation = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{deviation}"


def slug(text: str) -> str:
    """The text as a name of a folder.

    Examples
    --------
    >>> slug("1bxn, 1f1b small 3 ρ 8.4 %")
    '1bxn-1f1b-small-3-ρ-8.4'
    """
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def interval(values: Sequence[float]) -> str:
    """Where the mean lies with 95 % confidence, from Student's t; a single value has no interval.

    Examples
    --------
    >>> interval([1.0, 2.0, 3.0]), interval([1.0])
    ('-0.5 to +4.5', '–')
    """
    if len(values) < 2:
        return "–"
    half = student_t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{mean(values) - half:+.1f} to {mean(values) + half:+.1f}"
