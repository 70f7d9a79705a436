"""`vitreous segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Device, Json, Overwrite, Quiet, VoxelSize

FIT_HELP = (
    "Voxels or sizes that differ: refuse, resample (band-limited, then cut or continued), or resize "
    "(subtomograms: stretched to the size, as the Vox-UDA paper does)."
)
Fitted = Annotated[str, typer.Option("--fit", help=FIT_HELP)]
Inverted = Annotated[
    bool | None,
    typer.Option(
        "--invert/--no-invert",
        help="Protein is bright; or dark, whatever it looks like. Dark if left out, unless it looks bright.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("segment")(segment_command)


def segment_command(
    file: Annotated[Path, typer.Argument(help="Tomogram, or subtomograms: a folder, store or STAR file.")],
    model: Annotated[Path, typer.Option(help="Run directory of vitreous adapt, or another trained model.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Label volume; for subtomograms a folder, or a .zarr store."),
    ],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write each class's probability.")
    ] = False,
    fit: Fitted = "refuse",
    invert: Inverted = None,
    voxel_size: VoxelSize = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the report goes.")] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Label what is in a tomogram or in subtomograms with a trained model."""
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.segment import segment

    with progress.active():
        facts = segment(
            file,
            model,
            output,
            run_dir=run_dir,
            progress=progress,
            fit=fit,
            invert=invert,
            probabilities=probabilities,
            voxel_size_angstrom=voxel_size,
            device=device,
            overwrite=overwrite,
        )
        show_segmented(facts, as_json=json)


def show_segmented(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print where the labels are, and how much was found."""
    lines = [f"segmented: {facts['output']}", f"report: {facts['report']}"]
    if "shares" in facts:
        lines[1:1] = [f"{name}: {share:.2%} of the voxels" for name, share in facts["shares"].items()]
    print_result(facts, lines, as_json=as_json)
