"""`vitreous pick`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Json, MaxMemory, Overwrite, Quiet, VoxelSize


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("pick")(pick_command)


def pick_command(
    file: Annotated[Path, typer.Argument(help="Tomogram, label volume or probability map: MRC or OME-Zarr.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="File to write: .star (RELION), .tbl (Dynamo), .json (copick) or .csv."
        ),
    ],
    method: Annotated[str, typer.Option(help="dog (difference of Gaussians), labels or template.")] = "dog",
    diameter: Annotated[
        float | None,
        typer.Option(help="Diameter of the particles in Å; 290, or what labels show.", metavar="A"),
    ] = None,
    min_distance: Annotated[
        float | None,
        typer.Option(help="Merge picks closer than this, in Å; about 0.8 of the diameter.", metavar="A"),
    ] = None,
    label: Annotated[
        str, typer.Option(help="Classes of a label volume, such as 1=ribosome,3; or all.", metavar="K")
    ] = "all",
    template: Annotated[
        str | None, typer.Option(help="What is matched: phantom:NAME, pdb:ID, an atomic model or a map.")
    ] = None,
    angular_step: Annotated[
        float | None, typer.Option(help="Between orientations of the template, in degrees.", metavar="DEG")
    ] = None,
    low_pass: Annotated[
        float | None,
        typer.Option(help="Finest detail of the template that is compared, in Å; 60.", metavar="A"),
    ] = None,
    symmetry: Annotated[
        str, typer.Option(help="Point group of the template: C1, C2 …, D2 …, T, O or I.")
    ] = "C1",
    tilt_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="template: lowest and highest tilt; else read off the tomogram.", metavar="MIN MAX"
        ),
    ] = None,
    defocus: Annotated[
        float | None,
        typer.Option(
            help="template: underfocus in µm to show it with, of a tomogram without CTF correction.",
            metavar="UM",
        ),
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="relion5, relion4, dynamo, copick or poses; by the suffix.")
    ] = None,
    tilt_series_pixel: Annotated[
        float | None,
        typer.Option(help="RELION: of the unbinned tilt series, in Å; else the voxel's edge.", metavar="A"),
    ] = None,
    tomogram_name: Annotated[
        str | None,
        typer.Option(
            help="What the output calls the tomogram; else as the file's name has it.", metavar="NAME"
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Keep the best ones (of each class); 500, or 10000 of labels.", min=1)
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Lowest score: 4 times the noise of the score map, 0.3 of a label's confidence, or what "
            "the size of a template search asks for.",
            min=0,
        ),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Specimen mask: pick only where it is above 0.5.")] = None,
    invert: Annotated[
        bool, typer.Option("--invert", help="Particles are bright; otherwise dark, as in raw tomograms.")
    ] = False,
    voxel_size: VoxelSize = None,
    max_memory: MaxMemory = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the report goes.")] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Pick particles of one size: positions with scores for RELION, Dynamo or copick, and a report."""
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.pick import pick

    with progress.active():
        facts = pick(
            file,
            output,
            mask=mask,
            run_dir=run_dir,
            voxel_size_angstrom=voxel_size,
            overwrite=overwrite,
            progress=progress,
            method=method,
            diameter_angstrom=diameter,
            min_distance_angstrom=min_distance,
            count=count,
            threshold=threshold,
            invert=invert,
            max_memory=max_memory,
            label=label,
            template=template,
            angular_step_deg=angular_step,
            low_pass_angstrom=low_pass,
            symmetry=symmetry,
            tilt_range_deg=tilt_range,
            defocus_um=defocus,
            format=file_format,
            tilt_series_pixel_angstrom=tilt_series_pixel,
            tomogram_name=tomogram_name,
        )
        show_picks(facts, as_json=json)


def show_picks(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print where the picks are and how many."""
    lines = [f"picks: {facts['output']} ({facts['picks']})", f"report: {facts['report']}"]
    print_result(facts, lines, as_json=as_json)
