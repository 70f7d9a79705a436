"""Tables of methods against cases, as the papers print them: rows, records, and the published row beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

from vitreous.benchmark.cases import CaseKind
from vitreous.benchmark.contestants import choice, measure
from vitreous.benchmark.published import Rows
from vitreous.benchmark.runner import Record, Row, selected
from vitreous.benchmark.specimens import CleanVolumes
from vitreous.benchmark.standing import Rivals, standing
from vitreous.core import Progress
from vitreous.report import TableSection
from vitreous.report.figures import dots_svg

Scale = Literal["small", "full", "paper"]
RANGE = "PSNR and SSIM: data_range is the range of the clean volume."
CAVEAT = "Published rows are of other volumes with other noise: compare the order of methods, not figures."
CORRELATIONS = ("missing", "measured", "double_ssim")
AS_PUBLISHED = ", paper"  # a method's name with this: its `paper` configuration
DECIMALS = {
    "precision": 3,
    "recall": 3,
    "f1": 3,
    "average_precision": 3,
    "ssim": 3,
    "cc": 3,
    "low_fsc": 3,
    "seconds": 0,
    "double_seconds": 0,
    "resolution_angstrom": 1,
    "halves_angstrom": 1,
}


@dataclass(frozen=True)
class Comparison:
    """A table of methods against cases.

    Parameters
    ----------
    description
        In words.
    cases
        What is measured at each scale, by name; the smaller scale's cases are among the larger one's.
    methods
        Rows, in order.
    shown
        Scores in a cell of the main table, joined by " / ".
    published
        For each case the rows that the paper prints beside it, one cell each.
    text
        How to read it.
    rivals
        What `auto` and the noise model are held against; None if that is not the question.
    measure
        What makes the record of a row.
    """

    description: str
    cases: Mapping[Scale, Mapping[str, CaseKind]]
    methods: tuple[str, ...]
    shown: tuple[str, ...] = ("psnr", "ssim")
    published: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    text: str = ""
    rivals: Rivals | None = None
    measure: Callable[[CaseKind, int, str, Progress], Record] = measure

    def rows(
        self,
        scale: Scale,
        seeds: Sequence[int],
        only: Sequence[str],
        progress: Progress,
        data: Path | None = None,
    ) -> Iterator[Row]:
        """All rows of a scale, seed after seed; `only` names cases or methods.

        `data`: a folder of clean volumes that stand for the specimens (`CleanVolumes`).
        """
        cases = self.cases[scale]
        origin = None if data is None else str(data.resolve())
        if data is not None:
            own = CleanVolumes.of_folder(data)
            cases = {name: replace(kind, specimen=own) for name, kind in cases.items()}
        named = selected(only, (*cases, *self.methods))
        for seed in seeds:
            for case in [c for c in cases if c in named] or cases:
                for method in [m for m in self.methods if m in named] or self.methods:
                    key = {"case": case, "seed": seed, "method": method, "data": origin}
                    yield self.row(key, cases[case], progress)

    def row(self, key: Mapping[str, Any], kind: CaseKind, progress: Progress) -> Row:
        """One row; that of `auto` is the row of the method which it chooses.

        Where DUAL is as published anyway, its row is that of its `paper` configuration too.
        """
        seed, method = key["seed"], key["method"]
        twin = (lambda: {**key, "method": choice(kind, seed)}) if method == "auto" else None
        if kind.as_published and method == f"dual{AS_PUBLISHED}":
            twin = partial(dict, key, method="dual")
        return Row(key, partial(self.measure, kind, seed, method, progress), twin)

    def summarize(self, records: Sequence[Record]) -> list[TableSection]:
        """Methods against cases with the published rows, then every score of each case."""
        cases = list(dict.fromkeys(r["case"] for r in records))
        methods = [m for m in self.methods if any(r["method"] == m for r in records)]
        cells = {
            (m, c): [r for r in records if (r["method"], r["case"]) == (m, c)] for m in methods for c in cases
        }
        rows = [[m, *(self.cell(cells[m, c]) for c in cases)] for m in methods]
        printed = dict.fromkeys(m for c in cases for m in self.published.get(c, {}))
        rows += [[f"published: {m}", *(self.published.get(c, {}).get(m, "") for c in cases)] for m in printed]
        heading = f"{' / '.join(name.replace('_', ' ') for name in self.shown)}, mean ± deviation over seeds"
        first = self.shown[0]
        groups = {c: {m: values_of(cells[m, c], first) for m in methods if cells[m, c]} for c in cases}
        figure = dots_svg(groups, first.replace("_", " "))
        fidelity = RANGE if any("psnr" in r for r in records) else ""
        text = " ".join(t for t in (self.text, fidelity, CAVEAT if printed else "") if t)
        sections = [TableSection(heading, text, ("method", *cases), rows, figure)]
        if self.rivals and any(r["method"] in ("auto", "noise-model") for r in records):
            sections.append(standing(records, self.rivals))
        return sections + [self.details(case, {m: cells[m, case] for m in methods}) for case in cases]

    def cell(self, records: Sequence[Record]) -> str:
        """The shown scores of one method on one case."""
        return " / ".join(spread(values_of(records, s), s) for s in self.shown) if records else ""

    def details(self, case: str, found: Mapping[str, Sequence[Record]]) -> TableSection:
        """Every score of one case."""
        scores = list(
            dict.fromkeys(
                key
                for records in found.values()
                for r in records
                for key, value in r.items()
                if isinstance(value, float)
            )
        )
        rows = [
            [method, *(spread(values_of(records, s), s) for s in scores)]
            for method, records in found.items()
            if records
        ]
        return TableSection(case, header=("method", *(s.replace("_", " ") for s in scores)), rows=rows)


def published_of(cases: Sequence[str], rows: Rows) -> dict[str, dict[str, str]]:
    """Published rows by case, from rows whose cells follow the order of the cases."""
    return {
        case: {method: cells[i] for method, cells in rows.items() if i < len(cells)}
        for i, case in enumerate(cases)
    }


def values_of(records: Sequence[Record], score: str) -> list[float]:
    """A score of all records that have it."""
    return [float(r[score]) for r in records if r.get(score) is not None]


def spread(values: Sequence[float], score: str) -> str:
    """Mean ± sample deviation with the decimals that a score deserves; empty where it was not measured.

    Examples
    --------
    >>> spread([31.0, 32.0], "psnr"), spread([], "psnr"), spread([40.0, math.inf], "resolution_angstrom")
    ('31.50 ± 0.71', '', '∞')
    """
    if not values:
        return ""
    if not all(map(math.isfinite, values)):
        return "∞"  # a resolution that was never reached
    decimals = DECIMALS.get(score, 3 if score.startswith(CORRELATIONS) else 2)
    deviation = f" ± {stdev(values):.{decimals}f}" if len(values) > 1 and score != "seconds" else ""
    return f"{mean(values):.{decimals}f}{deviation}"
