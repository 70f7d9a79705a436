"""`denoise-quick`: the default methods on six kinds of noise, against filters and ceilings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from vitreous.benchmark.cases import CASES, make_case
from vitreous.benchmark.comparison import spread
from vitreous.benchmark.contestants import CEILINGS, TUNED, measure
from vitreous.benchmark.runner import Record, Row, selected
from vitreous.benchmark.scores import spectrum_ratios
from vitreous.benchmark.standing import Rivals, standing
from vitreous.core import Progress
from vitreous.report import TableSection

FILTERS = tuple(f"{name}{TUNED}" for name in ("gaussian", "lowpass", "median"))
RIVALS = Rivals(FILTERS, ("noise-model",), tuple(CEILINGS))
SCORES = ("psnr", "delta_psnr", "ssim", "cc", "low_fsc", "low_gain", "contrast")


def quick_rows(seeds: Sequence[int], cases: Sequence[str], progress: Progress) -> Iterator[Row]:
    """All rows, seed after seed: every case and method."""
    names = selected(cases, CASES)
    for seed in seeds:
        for name in names:
            for method in methods_of(name):
                key = {"case": name, "seed": seed, "method": method}
                yield Row(key, partial(measure, CASES[name], seed, method, progress))
            key = {"case": name, "seed": seed, "method": "spectrum"}
            yield Row(key, partial(measure_spectrum, name, seed))


def measure_spectrum(name: str, seed: int) -> Record:
    """How well the noise spectrum of a case is estimated."""
    return dict(spectrum_ratios(make_case(CASES[name], seed)))


def methods_of(case: str) -> tuple[str, ...]:
    """Blindspot where its noise is white or for comparison; halves once, as the lower of the two ceilings."""
    blind = ("blindspot",) if case in ("white", "wedge") else ()
    halves = ("n2n",) if case == "wbp-4" else ()
    return ("noisy", *FILTERS, *blind, "noise-model", "supervised", *halves)


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """Scores per case, then shares of the way, then spectrum ratios."""
    tables = []
    for case in dict.fromkeys(r["case"] for r in records):
        rows = [
            [
                method,
                *(spread([r[s] for r in found], s) for s in SCORES),
                spread([r["seconds"] for r in found], "seconds"),
            ]
            for method, found in by_method(records, case).items()
            if method != "spectrum"
        ]
        header = ("method", *SCORES, "seconds")
        tables.append(TableSection(CASES[case].description, header=header, rows=rows))
    tables.append(standing(records, RIVALS))
    shells = [
        [c, *(spread(v, "ratio") for v in ratio_columns(records, c))]
        for c in dict.fromkeys(r["case"] for r in records)
    ]
    measured = next(r for r in records if r["method"] == "spectrum")
    names = [k for k in measured if "-" in k and k[0].isdigit()]
    heading = "Estimated over true noise power per shell (cycles/voxel)"
    tables.append(TableSection(heading, header=("case", *names), rows=shells))
    return tables


def by_method(records: Sequence[Record], case: str) -> dict[str, list[Record]]:
    """Records of a case, grouped by method in order of appearance."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record["case"] == case:
            groups.setdefault(record["method"], []).append(record)
    return groups


def ratio_columns(records: Sequence[Record], case: str) -> list[list[float]]:
    """Spectrum ratios of a case, one list per shell."""
    found = by_method(records, case).get("spectrum", [])
    keys = [k for k in (found[0] if found else {}) if "-" in k and k[0].isdigit()]
    return [[float(r[k]) for r in found] for k in keys]
