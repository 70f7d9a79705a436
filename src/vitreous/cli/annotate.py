"""`vitreous annotate` and `demo`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Device, Json, MaxMemory, Overwrite, Quiet, Seed, Steps, VoxelSize, budget_of
from vitreous.cli.segment import Inverted
from vitreous.core.errors import InputError

STRUCTURE_HELP = (
    "phantom:NAME, pdb:ID, a .pdb or .cif file, or a map with its mass in kDa: map.mrc@540. Several."
)

NO_FILES, MODELS = ("phantom:", "pdb:"), (".pdb", ".ent", ".cif", ".mmcif")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("annotate")(annotate_command)
    app.command("demo")(demo_command)


def annotate_command(
    words: Annotated[list[str], typer.Argument(help="Tomogram: MRC or OME-Zarr.", metavar="FILE")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for everything.")],
    structures: Annotated[
        list[str] | None, typer.Option("--structures", help=STRUCTURE_HELP, metavar="ID...")
    ] = None,
    steps: Steps = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Training time of both networks instead of steps: 5m, 1h.")
    ] = None,
    tilt_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Signed lowest and highest tilt in degrees; else read off the noise.", metavar="MIN MAX"
        ),
    ] = None,
    defocus: Annotated[
        float | None, typer.Option(help="Underfocus in µm, if known; else 2.5 to 5.", metavar="UM")
    ] = None,
    binning: Annotated[
        int | None, typer.Option(help="The network works on voxels so many times wider.")
    ] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Adapt the network to the tomogram by its own labels (Vox-UDA).")
    ] = False,
    dual: Annotated[
        Path | None,
        typer.Option(
            help="Run of vitreous dual train on such tomograms: it makes the specimens to learn from."
        ),
    ] = None,
    invert: Inverted = None,
    tilt_series_pixel: Annotated[
        float | None,
        typer.Option(help="RELION: of the unbinned tilt series, in Å; else the voxel's edge.", metavar="A"),
    ] = None,
    voxel_size: VoxelSize = None,
    max_memory: MaxMemory = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Find the structures you name in a tomogram, and say how far to believe it."""
    file, *more = words  # an option takes one word, so the other structures stand among the arguments
    if file.startswith(NO_FILES) or file.lower().endswith(MODELS):
        remedy = "put the tomogram first: vitreous annotate FILE --structures …"
        raise InputError("is a structure, where the tomogram should stand", path=file, remedy=remedy)
    budget = budget_of(steps, time_budget)
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.annotate import annotate

    with progress.active():
        facts = annotate(
            file,
            (*(structures or ()), *more),
            output,
            voxel_size_angstrom=voxel_size,
            overwrite=overwrite,
            dual=dual,
            progress=progress,
            steps=steps,
            time_budget_seconds=budget,
            seed=seed,
            device=device,
            max_memory=max_memory,
            invert=invert,
            tilt_range_deg=tilt_range,
            defocus_um=defocus,
            binning=binning,
            adapt=adapt,
            tilt_series_pixel_angstrom=tilt_series_pixel,
        )
        show_annotated(facts, as_json=json)


def demo_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the demonstration.")] = Path(
        "runs/demo"
    ),
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Simulate a tomogram, annotate it, compare with the truth; offline, minutes."""
    progress = ConsoleProgress(quiet=quiet)
    from vitreous.workflows.demo import run_demo

    with progress.active():
        facts = run_demo(output.absolute(), seed=seed, device=device, progress=progress)
        show_demo(facts, as_json=json)


def show_demo(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print what was found of what is there, and where everything is."""
    gained = facts["scores"]
    lines = [f"denoised: PSNR {gained['psnr']:.2f} dB, {gained['delta_psnr']:.2f} dB above the tomogram's"]
    lines += [
        f"{name}: {found['said']}; {found['true']} are there, precision {found['precision']:.2f}, "
        f"recall {found['recall']:.2f}"
        if found["true"]
        else f"{name}: {found['said']}; none is there"
        for name, found in facts["structures"].items()
    ]
    print_result(facts, [*lines, *places(facts)], as_json=as_json)


def show_annotated(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print what was found, and where everything is."""
    lines = [f"{name}: {found['said']}" for name, found in facts["structures"].items()]
    print_result(facts, [*lines, *places(facts)], as_json=as_json)


def places(facts: Mapping[str, Any]) -> list[str]:
    """Where everything is, in lines."""
    return [f"results: {facts['output']}", f"report: {facts['report']}"]
