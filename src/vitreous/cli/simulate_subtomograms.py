"""`vitreous simulate subtomograms`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Json, Overwrite, Quiet, Seed
from vitreous.core.errors import InputError

STRUCTURES_HELP = (
    "vox-uda-1 (1bxn, 1f1b, 1yg6), vox-uda-2 (2byu, 2h12, 2ldb), phantom:NAME, pdb:ID, "
    "a .pdb or .cif file, or MAP.mrc=MASS in kDa."
)


def subtomograms(
    structures: Annotated[
        list[str] | None, typer.Argument(help=STRUCTURES_HELP, metavar="STRUCTURE...", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder to write.")] = None,
    snr: Annotated[
        list[float] | None,
        typer.Option(
            help="Variance of signal over noise; may be repeated. 0.03 and 0.05.", show_default=False
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Subtomograms of each structure at each SNR.", min=1)] = 500,
    side: Annotated[int, typer.Option(help="Voxels along the edge.", min=8, max=256)] = 32,
    voxel_size: Annotated[float, typer.Option(help="Voxel spacing in Å.")] = 10.0,
    neighbours: Annotated[int, typer.Option(help="Particles beside the target.", min=0, max=100)] = 4,
    tilt_range: Annotated[
        tuple[float, float], typer.Option(help="Lowest and highest tilt in degrees.", metavar="MIN MAX")
    ] = (-60.0, 60.0),
    tilt_step: Annotated[float, typer.Option(help="Step between tilts in degrees.")] = 3.0,
    defocus: Annotated[float, typer.Option(help="Underfocus in µm.", min=-100, max=100)] = 5.0,
    no_ctf: Annotated[bool, typer.Option("--no-ctf", help="Image without a CTF.")] = False,
    format: Annotated[str, typer.Option(help="zarr (one store) or mrc (a file for each).")] = "zarr",
    invert: Annotated[bool, typer.Option("--invert", help="Make protein bright.")] = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Simulate subtomograms with masks of their targets; the defaults are Vox-UDA's source domain."""
    if not structures:
        remedy = "name some: vitreous simulate subtomograms vox-uda-1 -o FOLDER"
        raise InputError("no structure was given", remedy=remedy)
    if output is None:
        raise InputError("no output was given", remedy="add -o FOLDER")
    if not 0 < voxel_size < math.inf:
        raise InputError("--voxel-size must be a positive number of Å")
    progress = ConsoleProgress(quiet=quiet)

    from pydantic import ValidationError

    from vitreous.simulate import SubtomogramSettings, TiltScheme
    from vitreous.workflows.search_template import absolute_structure
    from vitreous.workflows.subtomograms import SubtomogramRequest, expanded, write_subtomograms

    low, high = tilt_range
    order = "dose-symmetric" if low <= 0 <= high else "continuous"
    try:
        settings = SubtomogramSettings(
            side=side,
            voxel_spacing_angstrom=voxel_size,
            count=count,
            snrs=tuple(snr or (0.03, 0.05)),
            neighbours=neighbours,
            tilts=TiltScheme(lowest_deg=low, highest_deg=high, step_deg=tilt_step, order=order),
            defocus_um=None if no_ctf else defocus,
            invert=invert,
            seed=seed,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        text = f"{'.'.join(map(str, fault['loc']))} {fault['msg'].removeprefix('Value error, ')}".strip()
        raise InputError(text, remedy="see vitreous simulate subtomograms --help") from error
    names = tuple(absolute_structure(name) for name in expanded(structures))
    request = SubtomogramRequest(names, output.absolute(), settings, format, overwrite)
    with progress.active():
        show_subtomograms(write_subtomograms(request, progress), as_json=json)


def show_subtomograms(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print where the subtomograms are and how many."""
    lines = [f"subtomograms: {facts['output']} ({facts['count']})", f"table: {facts['table']}"]
    print_result(facts, [*lines, f"report: {facts['report']}"], as_json=as_json)
