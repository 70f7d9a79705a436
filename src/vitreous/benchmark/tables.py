"""The tables by name, and how one is run and written down."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import vitreous
from vitreous.benchmark import (
    annotation,
    dual_noise,
    filter_speed,
    memory,
    microtubule,
    quick,
    simulate,
    speed,
    subtomogram_averaging,
    transfer,
)
from vitreous.benchmark.adaptation import AdaptationTable
from vitreous.benchmark.adaptation_tables import ADAPTATION_TABLES
from vitreous.benchmark.comparison import Comparison, Scale
from vitreous.benchmark.denoisers import DENOISER_TABLES
from vitreous.benchmark.runner import Record, Row, measure_rows
from vitreous.benchmark.wedge import dual_t3
from vitreous.core import InputError, Progress
from vitreous.inference import choose_device
from vitreous.io import write_text_atomic
from vitreous.report import TableSection, render_tables_report


@dataclass(frozen=True)
class Options:
    """What a table may need to know; `checkpoints` is where rows that take hours may keep their training."""

    seeds: tuple[int, ...]
    only: tuple[str, ...]
    data: Path | None
    scale: Scale
    progress: Progress
    checkpoints: Path


@dataclass(frozen=True)
class TableKind:
    """A table: what it shows, its rows, and how records become tables."""

    description: str
    rows: Callable[[Options], Iterator[Row]]
    summarize: Callable[[Sequence[Record]], list[TableSection]]


@dataclass(frozen=True)
class TableResult:
    """A finished table as Markdown, its records and the HTML report."""

    markdown: str
    records: list[Record]
    report: Path


def comparison_kind(comparison: Comparison) -> TableKind:
    """A comparison as a table."""
    return TableKind(
        comparison.description,
        lambda o: comparison.rows(o.scale, o.seeds, o.only, o.progress, o.data),
        comparison.summarize,
    )


def adaptation_kind(table: AdaptationTable) -> TableKind:
    """A table of adaptation methods as a table."""

    def rows(options: Options) -> Iterator[Row]:
        if options.data is not None:
            remedy = "leave out --data; vitreous adapt and evaluate segment take your own"
            raise InputError("this table makes its own subtomograms", remedy=remedy)
        return table.rows(options.scale, options.seeds, options.only, options.progress, options.checkpoints)

    return TableKind(table.description, rows, table.summarize)


def undivided(rows: Callable[[Options], Iterator[Row]]) -> Callable[[Options], Iterator[Row]]:
    """The rows of a table that is measured as a whole."""

    def checked(options: Options) -> Iterator[Row]:
        if options.only:
            raise InputError("this table is measured as a whole", remedy="leave out --row")
        return rows(options)

    return checked


TABLES = {
    "denoise-quick": TableKind(
        "denoising methods on white, wedge-shaped and reconstructed noise",
        lambda o: quick.quick_rows(o.seeds, o.only, o.progress),
        quick.summarize,
    ),
    "blindspot-speed": TableKind(
        "training throughput of the blind-spot networks",
        undivided(lambda o: speed.speed_rows()),
        speed.summarize,
    ),
    "filter-speed": TableKind(
        "classical filters against scikit-image's and SimpleITK's",
        undivided(lambda o: filter_speed.filter_speed_rows()),
        filter_speed.summarize,
    ),
    "memory": TableKind(
        "peak memory on a large volume", undivided(lambda o: memory.memory_rows()), memory.summarize
    ),
    "simulate": TableKind(
        "what the simulator must reach: time, memory, physics, labels and poses (shrec21 with --row)",
        lambda o: simulate.simulate_rows(o.only, o.progress),
        simulate.summarize,
    ),
    "averaging": TableKind(
        "alignment error, resolution and speed of subtomogram averaging; real ribosomes with --data",
        lambda o: subtomogram_averaging.averaging_rows(o.seeds, o.only, o.data, o.progress),
        subtomogram_averaging.summarize,
    ),
    "annotate": TableKind(
        "the whole chain on simulated tomograms: picks, verdicts, time",
        lambda o: annotation.annotation_rows(o.scale, o.seeds, o.only, o.progress),
        annotation.summarize,
    ),
    "microtubule": TableKind(
        "a real tomogram crop with known tubulin positions (needs --data)",
        undivided(lambda o: microtubule.microtubule_rows(o.data, o.seeds, o.progress)),
        microtubule.summarize,
    ),
    **{name: comparison_kind(comparison) for name, comparison in DENOISER_TABLES.items()},
    "dual-t3": comparison_kind(dual_t3()),
    "dual-transfer": TableKind(
        "DUAL §§ 2.3, 2.4: segmentation of another microscope by networks trained on simulations",
        lambda o: transfer.transfer_rows(o.scale, o.seeds, o.only, o.progress),
        transfer.summarize,
    ),
    "dual-noise": TableKind(
        "whether DUAL's simulated noise is right: statistics of held-out tomograms, beside Gaussian noise",
        lambda o: dual_noise.noise_rows(o.scale, o.seeds, o.only, o.progress),
        dual_noise.summarize,
    ),
    **{name: adaptation_kind(table) for name, table in ADAPTATION_TABLES.items()},
}


def table_names() -> dict[str, str]:
    """Names and descriptions of all tables."""
    return {name: kind.description for name, kind in TABLES.items()}


def run_table(
    name: str,
    folder: Path,
    *,
    seeds: Sequence[int],
    only: tuple[str, ...],
    data: Path | None,
    progress: Progress,
    scale: Scale = "small",
) -> TableResult:
    """Measure what is missing of a table in `folder` and write `NAME.jsonl`, `NAME.md` and `NAME.html`."""
    if name not in TABLES:
        raise InputError(f"there is no table {name}", remedy=f"use one of {', '.join(TABLES)}, or list")
    kind = TABLES[name]
    if folder.exists() and not folder.is_dir():
        raise InputError("is no folder", path=folder, remedy="name a folder with -o")
    checkpoints = folder / f"{name}.checkpoints"
    options = Options(tuple(seeds), only, data, scale, progress, checkpoints)
    compute = choose_device().description
    records = measure_rows(kind.rows(options), folder / f"{name}.jsonl", progress, compute)
    tables = kind.summarize(records)
    versions = f"vitreous {vitreous.__version__}, torch {torch.__version__}"
    machine = f"{versions}, {platform.machine()}, {compute}"
    markdown = "\n\n".join([f"## {name}: {kind.description}", machine, *(as_markdown(t) for t in tables)])
    write_text_atomic(folder / f"{name}.md", markdown + "\n")
    page = render_tables_report(f"Benchmark: {name}", tables, lead=f"{kind.description}. {machine}.")
    report = write_text_atomic(folder / f"{name}.html", page)
    return TableResult(markdown, records, report)


def as_markdown(section: TableSection) -> str:
    """A heading, its text and a Markdown table."""
    parts = [f"### {section.heading}"]
    if section.text:
        parts.append(section.text)
    if section.rows:
        lines = [section.header, ["---"] * len(section.header), *section.rows]
        parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
    return "\n\n".join(parts)
