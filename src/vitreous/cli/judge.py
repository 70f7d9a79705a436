"""`vitreous judge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli.annotate import places
from vitreous.cli.average import CoordinatePixel
from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Json, MaxMemory, Overwrite, Quiet, Seed, VoxelSize
from vitreous.cli.segment import Inverted


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("judge")(judge_command)


def judge_command(
    file: Annotated[Path, typer.Argument(help="Tomogram that the picks were found in.")],
    picks: Annotated[Path, typer.Argument(help="Picks: one .star, .tbl, .json or .csv file.")],
    structure: Annotated[
        str,
        typer.Option(
            help="What they are said to be: phantom:NAME, pdb:ID, a .pdb or .cif file, or a map with its "
            "mass in kDa: map.mrc@540.",
            metavar="ID",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for half maps and report.")],
    unseen: Annotated[
        Path | None,
        typer.Option(
            help="Tomogram with independent noise that picking has not seen: the other half, if FILE is the "
            "half that was picked in. Without one nothing is said to be found."
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Another structure that they may be; more than once for several.", metavar="ID"),
    ] = None,
    tilt_range: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Lowest and highest tilt in degrees; else read off the noise.", metavar="MIN MAX"),
    ] = None,
    defocus: Annotated[
        float | None, typer.Option(help="Underfocus in µm, if known; else 2.5 to 5.", metavar="UM")
    ] = None,
    binning: Annotated[int | None, typer.Option(help="Compare in voxels so many times wider.")] = None,
    coordinate_pixel: CoordinatePixel = None,
    tomogram_name: Annotated[
        str | None, typer.Option(help="What the picks call the tomogram; else as its file is called.")
    ] = None,
    invert: Inverted = None,
    voxel_size: VoxelSize = None,
    max_memory: MaxMemory = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say whether picks are the structure that they are said to be, and how far to believe it."""
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.judge import judge

    with progress.active():
        facts = judge(
            file,
            picks,
            structure,
            output,
            unseen=unseen,
            against=against or (),
            voxel_size_angstrom=voxel_size,
            coordinate_pixel_angstrom=coordinate_pixel,
            tomogram_name=tomogram_name,
            overwrite=overwrite,
            progress=progress,
            seed=seed,
            max_memory=max_memory,
            invert=invert,
            tilt_range_deg=tilt_range,
            defocus_um=defocus,
            binning=binning,
        )
        show_judged(facts, as_json=json)


def show_judged(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print the verdict, and where everything is."""
    found = facts["judged"]
    lines = [f"{facts['structure']}: {found['said']}", *found["reasons"], *found["also"], *places(facts)]
    print_result(facts, lines, as_json=as_json)
