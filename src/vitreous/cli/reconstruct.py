"""`vitreous reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Json, MaxMemory, Overwrite, Quiet, VoxelSize


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("reconstruct")(reconstruct_command)


def reconstruct_command(
    stack: Annotated[Path, typer.Argument(help="Aligned tilt series, the tilt axis along y: MRC.")],
    tilts: Annotated[Path, typer.Option(help="Tilt angles: .tlt, .rawtlt, .txt or .mdoc.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Tomogram to write.")],
    method: Annotated[str, typer.Option(help="wbp (weighted back-projection) or sirt.")] = "wbp",
    thickness: Annotated[
        str | None, typer.Option(help="Depth in voxels (300) or Å (3000A); else half the width.")
    ] = None,
    even_odd: Annotated[
        bool, typer.Option("--even-odd", help="Also write tomograms of the even and of the odd tilts.")
    ] = False,
    iterations: Annotated[int, typer.Option(help="Iterations of SIRT.", min=1)] = 20,
    nonnegative: Annotated[
        bool, typer.Option("--nonnegative", help="Keep SIRT's voxels from being negative.")
    ] = False,
    hamming: Annotated[bool, typer.Option("--hamming", help="Damp high frequencies (wbp).")] = False,
    low_pass: Annotated[float | None, typer.Option(help="Cut off at this resolution in Å (wbp).")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Turn the contrast: dark becomes bright.")] = False,
    keep_scale: Annotated[
        bool, typer.Option("--keep-scale", help="Do not bring images to mean 0 and deviation 1.")
    ] = False,
    voxel_size: VoxelSize = None,
    max_memory: MaxMemory = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Reconstruct a tomogram from an aligned tilt series."""
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.reconstruct import ReconstructRequest, ReconstructSettings, reconstruct_file

    settings = ReconstructSettings(
        method, thickness, iterations, nonnegative, hamming, low_pass, invert, keep_scale, max_memory
    )
    request = ReconstructRequest(
        stack.absolute(), tilts.absolute(), output.absolute(), settings, even_odd, voxel_size, overwrite
    )
    with progress.active():
        facts = reconstruct_file(request, progress)
    lines = [f"reconstructed: {facts[name]}" for name in ("output", "even", "odd") if name in facts]
    print_result(facts, lines, as_json=json)
