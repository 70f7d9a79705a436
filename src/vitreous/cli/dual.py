"""`vitreous dual train`, `simulate` and `convert`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import (
    Config,
    Device,
    Json,
    Overwrite,
    Quiet,
    Seed,
    Steps,
    TimeBudget,
    VoxelSize,
    budget_of,
    configuration,
    length,
)

app = typer.Typer(
    help="Learn to simulate and to denoise from tomograms and densities that are no pairs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
ModelFolder = Annotated[Path, typer.Option(help="Run directory of a trained model.")]
DEFAULT_CLEAN = "preset:crowded-cell"


def register(root: typer.Typer) -> None:
    """Add this module's commands."""
    root.add_typer(app, name="dual")


@app.command("train")
def train_command(
    noisy: Annotated[list[Path], typer.Option(help="Tomograms: a file or a folder; may be repeated.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run directory for model and report.")],
    clean: Annotated[
        list[str] | None,
        typer.Option(
            help="Grand models or cleaner tomograms: a file, a folder, or preset:NAME of vitreous simulate; "
            f"may be repeated. {DEFAULT_CLEAN} if left out.",
            metavar="FILE|DIR|preset:NAME",
        ),
    ] = None,
    config: Config = None,
    steps: Steps = None,
    time_budget: TimeBudget = None,
    protein: Annotated[
        str | None,
        typer.Option(
            help="How it looks in the tomograms: dark or bright; else as the --config says, or as the first "
            "tomogram shows."
        ),
    ] = None,
    spacing: Annotated[
        float | None,
        typer.Option(help="Å to rescale both domains to; else the first tomogram's.", callback=length),
    ] = None,
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train on two domains; stopped, the same command or vitreous resume goes on."""
    budget = budget_of(steps, time_budget)
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.denoise import DenoiseSettings
    from vitreous.workflows.dual import DualTrainRequest, train_dual

    settings = DenoiseSettings("dual", steps, budget, seed=seed, device=device, config=configuration(config))
    names = [n if n.startswith("preset:") else os.path.abspath(n) for n in clean or [DEFAULT_CLEAN]]
    request = DualTrainRequest(
        tuple(path.absolute() for path in noisy),
        tuple(names),
        output.absolute(),
        settings,
        protein,
        spacing,
        voxel_size,
        overwrite,
    )
    with progress.active():
        show_trained(train_dual(request, progress), as_json=json)


@app.command("simulate")
def simulate_command(
    grand_models: Annotated[list[Path], typer.Argument(help="Grand models, or folders that hold one.")],
    model: ModelFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the tomograms.")],
    count: Annotated[int, typer.Option("-n", "--count", help="Noise draws for each.", min=1)] = 1,
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make tomograms of grand models, with a copy of their truth beside each."""
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.dual import DualSimulateRequest, simulate_dual

    request = DualSimulateRequest(
        tuple(path.absolute() for path in grand_models),
        model.absolute(),
        output.absolute(),
        count,
        seed,
        device,
        voxel_size,
        overwrite,
    )
    with progress.active():
        facts = simulate_dual(request, progress)
    show_simulated(facts, as_json=json)


@app.command("convert")
def convert_command(
    file: Annotated[Path, typer.Argument(help="Volume to translate.")],
    to: Annotated[str, typer.Option(help="The domain to translate to: clean or noisy.")],
    model: ModelFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Volume to write.")],
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Translate a volume from one domain to the other."""
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.dual import convert_dual

    with progress.active():
        facts = convert_dual(
            file.absolute(),
            output.absolute(),
            to,
            model.absolute(),
            progress,
            seed=seed,
            device=device,
            voxel_size=voxel_size,
            overwrite=overwrite,
        )
    show_converted(facts, as_json=json)


def show_converted(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print where a converted volume is."""
    print_result(facts, [f"converted: {facts['output']}"], as_json=as_json)


def show_simulated(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print where simulated tomograms are."""
    print_result(facts, [f"simulated: {folder}" for folder in facts["tomograms"]], as_json=as_json)


def show_trained(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print where a trained model is, and its last figures."""
    figures = facts["figures"]
    lines = [
        f"{domain}: variance ratio {figures[f'{domain}_variance_ratio']:.3g}, "
        f"spectral distance {figures[f'{domain}_spectral_distance']:.3g}"
        for domain in ("noisy", "clean")
        if figures
    ]
    lines += [f"model: {facts['run_dir']}", f"report: {facts['report']}"]
    print_result(facts, lines, as_json=as_json)
