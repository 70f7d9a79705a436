"""`vitreous average`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Json, MaxMemory, Quiet, VoxelSize
from vitreous.core.errors import InputError

CoordinatePixel = Annotated[
    float | None,
    typer.Option(
        "--coordinate-pixel",
        help="Of picks in pixels (RELION 4), in Å; else as their file says.",
        metavar="A",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("average")(average_command)


def average_command(
    files: Annotated[
        list[Path],
        typer.Argument(help="Tomograms, and the picks in them: one .star, .tbl, .json or .csv file."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for maps, particles and report.")],
    template: Annotated[
        str | None,
        typer.Option(
            help="phantom:NAME, pdb:ID, an atomic model or a map to begin with; else the picks' own average."
        ),
    ] = None,
    symmetry: Annotated[str, typer.Option(help="Point group: C1, C2 …, D2 …, T, O or I.")] = "C1",
    low_pass: Annotated[
        float, typer.Option(help="Finest detail of the template that is used, in Å.", metavar="A")
    ] = 60.0,
    rounds: Annotated[int, typer.Option(help="Rounds of alignment and averaging.", min=1)] = 4,
    angular_step: Annotated[
        float, typer.Option(help="Of the first search, in degrees.", metavar="DEG")
    ] = 15.0,
    reach: Annotated[
        float | None,
        typer.Option(help="Search only so far around the picks' orientations, in degrees.", metavar="DEG"),
    ] = None,
    shift: Annotated[
        float, typer.Option(help="How far from its pick a particle may be, in Å.", metavar="A")
    ] = 40.0,
    box: Annotated[int | None, typer.Option(help="Side of the subtomograms in voxels; even.")] = None,
    diameter: Annotated[
        float | None, typer.Option(help="Of the particle in Å; the template's.", metavar="A")
    ] = None,
    tilt_range: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Signed lowest and highest tilt; else read off the tomogram.", metavar="MIN MAX"),
    ] = None,
    defocus: Annotated[
        float | None,
        typer.Option(
            help="Underfocus in µm to show the template with, of a tomogram without CTF correction.",
            metavar="UM",
        ),
    ] = None,
    invert: Annotated[
        bool, typer.Option("--invert", help="Particles are bright; otherwise dark, as in raw tomograms.")
    ] = False,
    coordinate_pixel: CoordinatePixel = None,
    voxel_size: VoxelSize = None,
    max_memory: MaxMemory = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Align and average picked particles in two halves: half maps, FSC, aligned particles and a report."""
    from vitreous.io.particles import SUFFIXES

    known = [suffix for suffixes in SUFFIXES.values() for suffix in suffixes]
    tables = [path for path in files if path.suffix.lower() in known]
    volumes = [path for path in files if path not in tables]
    if len(tables) != 1 or not volumes:
        raise InputError("averaging needs tomograms and one file of picks", remedy="name them in a row")
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.average import average

    with progress.active():
        facts = average(
            volumes,
            tables[0],
            output,
            voxel_size_angstrom=voxel_size,
            overwrite=overwrite,
            progress=progress,
            template=template,
            symmetry=symmetry,
            low_pass_angstrom=low_pass,
            rounds=rounds,
            angular_step_deg=angular_step,
            reach_deg=reach,
            shift_angstrom=shift,
            box_voxels=box,
            diameter_angstrom=diameter,
            tilt_range_deg=tilt_range,
            defocus_um=defocus,
            invert=invert,
            max_memory=max_memory,
            coordinate_pixel_angstrom=coordinate_pixel,
        )
        show_average(facts, as_json=json)


def show_average(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print what came out and where it is."""
    from vitreous.evidence import resolution_in_words

    text = resolution_in_words(facts["resolution_angstrom"], facts["evidence_beyond_angstrom"])
    lines = [
        f"average of {facts['particles']} particles: {facts['average']}",
        f"resolution: {text} (half maps, FSC = 0.143)",
        f"particles: {facts['particles_star']}",
        f"report: {facts['report']}",
    ]
    print_result(facts, lines, as_json=as_json)
