"""`vitreous inspect`, `evaluate`, `report` and `benchmark`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Json, Quiet, VoxelSize
from vitreous.core import InputError


class Scale(StrEnum):
    """How much of a paper's table to measure."""

    small = "small"
    full = "full"
    paper = "paper"


SCALE_HELP = (
    "How much of a paper's table to measure; paper: in volumes as large as the paper's, and with DUAL as it "
    "was published."
)
DATA_HELP = (
    "Folder of real data, or of clean volumes (SHREC, PolNet) that papers' tables use instead of ours."
)
evaluate = typer.Typer(help="Metrics between files.", no_args_is_help=True, pretty_exceptions_enable=False)
First = Annotated[Path, typer.Argument(help="Volume to judge.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("inspect")(inspect_command)
    app.add_typer(evaluate, name="evaluate")
    app.command("benchmark")(benchmark_command)


def inspect_command(
    files: Annotated[list[Path], typer.Argument(help="Tomograms.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for report.html and inspect.json.")
    ] = None,
    voxel_size: VoxelSize = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say what a tomogram is: contrast, tilt range, noise, specimen, gold, and what is doubtful."""
    progress = ConsoleProgress(quiet=quiet)
    from vitreous.workflows.inspect import inspect_files

    with progress.active():
        found = inspect_files(files, voxel_size, folder=output, overwrite=overwrite, progress=progress)
    lines = [f"{key}: {value}" for facts in found for key, value in facts.items()]
    lines += [] if output is None else [f"report: {output / 'report.html'}"]
    print_result(found[0] if len(found) == 1 else {"files": found}, lines, as_json=json)
    unread = [facts for facts in found if "size_zyx" not in facts]
    if unread:
        text = f"{len(unread)} of {len(found)} files could not be read: {unread[0]['doubts'][0]}"
        raise InputError(text)


@evaluate.command("denoise")
def evaluate_denoise(
    volume: First,
    reference: Annotated[Path, typer.Argument(help="Ground truth of the same size.")],
    noisy: Annotated[Path | None, typer.Option(help="The input, for the gain over it.")] = None,
    json: Json = False,
) -> None:
    """PSNR, SSIM, correlation and FSC resolution against a reference."""
    from vitreous.workflows.evaluate import evaluate_denoised

    facts = evaluate_denoised(volume, reference, noisy)
    print_result(facts, [f"{key}: {value:.4g}" for key, value in facts.items()], as_json=json)


@evaluate.command("fsc")
def evaluate_fsc(
    first: First,
    second: Annotated[Path, typer.Argument(help="Volume to compare with.")],
    threshold: Annotated[float, typer.Option(help="FSC at which the resolution is read off.")] = 0.5,
    voxel_size: VoxelSize = None,
    json: Json = False,
) -> None:
    """Fourier shell correlation of two volumes."""
    from vitreous.workflows.evaluate import evaluate_shells

    facts = evaluate_shells(first, second, threshold, voxel_size)
    below = min(facts["fsc"]) < threshold
    where = f"at FSC = {threshold}" if below else f"or better: the FSC never falls to {threshold}"
    lines = [f"resolution: {facts['resolution_angstrom']:.1f} Å {where}"]
    print_result(facts, lines, as_json=json)


@evaluate.command("pick")
def evaluate_pick(
    picks: Annotated[
        Path,
        typer.Argument(help="Picks: .star (RELION), .tbl (Dynamo), .json (copick), or a table of poses."),
    ],
    truth: Annotated[
        Path, typer.Argument(help="True positions: the same, or a folder that simulate or SHREC 2021 made.")
    ],
    distance: Annotated[
        float, typer.Option(help="How far from the truth a pick may be, in Å.", metavar="A")
    ] = 80.0,
    matching: Annotated[
        str, typer.Option(help="one-to-one, or any: how often a particle may be found does not matter.")
    ] = "one-to-one",
    structure: Annotated[str | None, typer.Option(help="Only true particles of this name.")] = None,
    tomograms: Annotated[
        Path | None, typer.Option(help="A tomograms.star, for RELION 5 files it does not lie beside.")
    ] = None,
    voxel_size: VoxelSize = None,
    json: Json = False,
) -> None:
    """Precision, recall and F1 of picks, and average precision if they have scores."""
    from vitreous.workflows.evaluate_picks import evaluate_picks

    facts = evaluate_picks(
        picks,
        truth,
        distance_angstrom=distance,
        matching=matching,
        structure=structure,
        tomograms=tomograms,
        voxel_size_angstrom=voxel_size,
    )
    shown = {key.replace("_", " "): value for key, value in facts.items() if key != "classes"}
    lines = [f"{key}: {v:.4g}" if isinstance(v, float) else f"{key}: {v}" for key, v in shown.items()]
    for name, one in facts.get("classes", {}).items():
        lines.append(f"{name}: " + ", ".join(f"{k} {one[k]:.4g}" for k in ("precision", "recall", "f1")))
    print_result(facts, lines, as_json=json)


@evaluate.command("segment")
def evaluate_segment(
    segmentation: Annotated[Path, typer.Argument(help="Label volume, or a set of segmented subtomograms.")],
    truth: Annotated[Path, typer.Argument(help="True labels: the same, or what simulate subtomograms made.")],
    json: Json = False,
) -> None:
    """Dice and intersection over union of labels; of subtomograms their mean, and that of each structure."""
    from vitreous.workflows.evaluate_segments import evaluate_segmented

    facts = evaluate_segmented(segmentation, truth)
    lines = [f"dice: {facts['dice']:.4g}", f"iou: {facts['iou']:.4g}"]
    for name, scores in {**facts.get("classes", {}), **facts.get("kinds", {})}.items():
        lines.append(f"{name}: dice {scores['dice']:.4g}, iou {scores['iou']:.4g}")
    print_result(facts, lines, as_json=json)


def benchmark_command(
    table: Annotated[str, typer.Argument(help="Name of a table, or: list.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for records.")] = Path(
        "runs/benchmark"
    ),
    seeds: Annotated[int, typer.Option(help="Number of seeds.", min=1)] = 3,
    first_seed: Annotated[
        int, typer.Option(help="The first of them. Trials use 11 and more, which no table shows.", min=1)
    ] = 1,
    rows: Annotated[
        list[str] | None, typer.Option("--row", help="Only these cases or methods; may be repeated.")
    ] = None,
    scale: Annotated[Scale, typer.Option(help=SCALE_HELP)] = Scale.small,
    data: Annotated[Path | None, typer.Option(help=DATA_HELP)] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure methods on frozen cases; rows that are recorded already are not measured again."""
    progress = ConsoleProgress(quiet=quiet)
    from vitreous.benchmark import run_table, table_names

    if table == "list":
        names = table_names()
        print_result(dict(names), [f"{name}: {text}" for name, text in names.items()], as_json=json)
        return
    with progress.active():
        result = run_table(
            table,
            output.absolute(),
            seeds=range(first_seed, first_seed + seeds),
            only=tuple(rows or ()),
            data=data,
            scale=scale.value,
            progress=progress,
        )
    print_result(
        {"records": result.records, "report": str(result.report)},
        [result.markdown, f"report: {result.report}"],
        as_json=json,
    )
