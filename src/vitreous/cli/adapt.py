"""`vitreous adapt`."""

from __future__ import annotations

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
    absolute,
    budget_of,
    configuration,
)
from vitreous.cli.segment import Fitted, Inverted

METHODS = "vox-uda, source-only, supervised, dann, pdam, asc, le-uda."
DENOISERS = "Of the target, for its pseudo-labels: none, ibf, bf, ngm, noise-model."


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("adapt")(adapt_command)


def adapt_command(
    source: Annotated[Path, typer.Option(help="Labelled subtomograms: what simulate subtomograms made.")],
    target: Annotated[
        Path,
        typer.Option(help="Unlabelled ones: a folder, store or STAR file; or a tomogram, with --picks."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Run directory for model and report.")],
    method: Annotated[str, typer.Option(help=METHODS)] = "vox-uda",
    denoiser: Annotated[str | None, typer.Option(help=DENOISERS)] = None,
    picks: Annotated[
        Path | None, typer.Option(help="Where particles are in a target tomogram: STAR file or table.")
    ] = None,
    config: Config = None,
    steps: Steps = None,
    time_budget: TimeBudget = None,
    shift: Annotated[
        int,
        typer.Option(help="Shift boxes at random by up to so many voxels: for models of whole tomograms."),
    ] = 0,
    fit: Fitted = "refuse",
    invert: Inverted = None,
    voxel_size: VoxelSize = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Learn to segment particles that have no labels from simulated ones that do."""
    budget = budget_of(steps, time_budget)
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.adapt import AdaptRequest, adapt
    from vitreous.workflows.subtomograms.loading import checked_fit

    config = configuration(config)
    request = AdaptRequest(
        source.absolute(),
        target.absolute(),
        output.absolute(),
        method,
        denoiser,
        absolute(picks),
        config,
        steps,
        budget,
        seed,
        device,
        shift,
        checked_fit(fit),
        invert,
        voxel_size,
        overwrite,
    )
    with progress.active():
        show_adapted(adapt(request, progress), as_json=json)


def show_adapted(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print where a trained model is, and its last figures."""
    lines = [f"{name.replace('_', ' ')}: {value:.3g}" for name, value in facts["figures"].items()]
    lines += [f"model: {facts['run_dir']}", f"report: {facts['report']}"]
    print_result(facts, lines, as_json=as_json)
