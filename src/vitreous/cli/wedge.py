"""`vitreous wedge`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from vitreous.cli.console import ConsoleProgress
from vitreous.cli.denoise import Device, Json, Quiet, Seed, absolute, seconds_of, show
from vitreous.core.errors import InputError


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("wedge")(wedge_command)


def wedge_command(
    file: Annotated[Path, typer.Argument(help="Tomogram: MRC or OME-Zarr.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Output file; the uncertainty goes beside it.")
    ],
    method: Annotated[str, typer.Option(help="noise-model or isonet.")] = "noise-model",
    tilt_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Signed lowest and highest tilt in degrees; else read off the noise.", metavar="MIN MAX"
        ),
    ] = None,
    tilt_axis: Annotated[str | None, typer.Option(help="y or x; else read off the noise.")] = None,
    even: Annotated[Path | None, typer.Option(help="Even half tomogram, split by frames.")] = None,
    odd: Annotated[Path | None, typer.Option(help="Odd half tomogram, split by frames.")] = None,
    keep_measured: Annotated[
        bool,
        typer.Option("--keep-measured", help="Fill the missing region only; all else stays the input's."),
    ] = False,
    mask: Annotated[Path | None, typer.Option(help="Specimen mask: look only where it is above 0.5.")] = None,
    reference: Annotated[Path | None, typer.Option(help="The truth, if known: adds scores.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps (isonet: of each round).", min=1)] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Training time instead of steps: 90s, 10m, 2h.")
    ] = None,
    max_memory: Annotated[str | None, typer.Option(help="Memory to stay under, such as 8GB.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the report and model go.")] = None,
    voxel_size: Annotated[
        float | None, typer.Option(help="Voxel spacing in Å where the file has none.")
    ] = None,
    defocus: Annotated[
        float | None,
        typer.Option(help="isonet: deconvolve with this mean defocus in µm first.", metavar="UM"),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Invert the contrast of the output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fill the missing wedge of a tomogram, and denoise it."""
    if steps is not None and time_budget is not None:
        raise InputError("--steps and --time-budget exclude each other", remedy="give one of them")
    if voxel_size is not None and not 0 < voxel_size < math.inf:
        raise InputError("--voxel-size must be a positive number of Å")
    budget = None if time_budget is None else seconds_of(time_budget)
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.denoise_files import plain_name
    from vitreous.workflows.wedge import WedgeRequest, WedgeSettings, fill_file

    settings = WedgeSettings(
        method,
        steps,
        budget,
        seed,
        device,
        max_memory,
        invert,
        defocus_um=defocus,
        tilt_range_deg=tilt_range,
        tilt_axis=tilt_axis,
        keep_measured=keep_measured,
    )
    folder = run_dir or output.parent / f"{plain_name(output)}.run"
    request = WedgeRequest(
        file.absolute(),
        output.absolute(),
        folder.absolute(),
        settings,
        absolute(even),
        absolute(odd),
        absolute(mask),
        absolute(reference),
        voxel_size,
        overwrite,
    )
    with progress.active():
        show([fill_file(request, progress)], as_json=json)
