"""`vitreous wedge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.cli.console import ConsoleProgress
from vitreous.cli.denoise import show
from vitreous.cli.options import (
    Config,
    Device,
    InvertOutput,
    Json,
    Mask,
    MaxMemory,
    Overwrite,
    Quiet,
    Reference,
    RunDir,
    Seed,
    Steps,
    TimeBudget,
    VoxelSize,
    absolute,
    budget_of,
    configuration,
)


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("wedge")(wedge_command)


def wedge_command(
    file: Annotated[Path, typer.Argument(help="Tomogram: MRC or OME-Zarr.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Output file; the uncertainty goes beside it.")
    ],
    method: Annotated[str, typer.Option(help="noise-model, dual or isonet.")] = "noise-model",
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
    config: Config = None,
    mask: Mask = None,
    reference: Reference = None,
    steps: Steps = None,
    time_budget: TimeBudget = None,
    max_memory: MaxMemory = None,
    run_dir: RunDir = None,
    voxel_size: VoxelSize = None,
    defocus: Annotated[
        float | None,
        typer.Option(help="isonet: deconvolve with this mean defocus in µm first.", metavar="UM"),
    ] = None,
    invert: InvertOutput = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fill the missing wedge of a tomogram, and denoise it."""
    budget = budget_of(steps, time_budget)
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
        config=configuration(config),
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
