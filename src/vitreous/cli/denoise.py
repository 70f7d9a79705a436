"""`vitreous denoise`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
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
from vitreous.core.errors import InputError

if TYPE_CHECKING:
    from vitreous.core import Progress
    from vitreous.workflows.denoise_files import DenoiseOutcome, DenoiseRequest

METHOD_HELP = (
    "auto, noise-model, blindspot, n2n; n2v, sc-net, nmsg; dncnn, ffdnet, vnet (trained on simulated pairs); "
    "dual (unpaired with simulated densities); "
    "gaussian, lowpass, median, bilateral, nad, nlm, bm4d, deconv."
)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("denoise")(denoise_command)


def denoise_command(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Tomograms: MRC or OME-Zarr.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Output file; a folder for several tomograms.")
    ] = None,
    method: Annotated[str, typer.Option(help=METHOD_HELP)] = "auto",
    even: Annotated[Path | None, typer.Option(help="Even half tomogram.")] = None,
    odd: Annotated[Path | None, typer.Option(help="Odd half tomogram.")] = None,
    mask: Mask = None,
    reference: Reference = None,
    model: Annotated[Path | None, typer.Option(help="Run directory of a trained model to apply.")] = None,
    shared_model: Annotated[bool, typer.Option(help="Train one model on all tomograms.")] = False,
    config: Config = None,
    print_config: Annotated[bool, typer.Option(help="Print those settings as TOML and stop.")] = False,
    strength: Annotated[
        float | None, typer.Option(help="dual: share of the noise to remove, 0 to 1.", min=0, max=1)
    ] = None,
    steps: Steps = None,
    time_budget: TimeBudget = None,
    max_memory: MaxMemory = None,
    run_dir: RunDir = None,
    voxel_size: VoxelSize = None,
    invert: InvertOutput = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    defocus: Annotated[
        float | None, typer.Option(help="deconv: mean defocus in µm, positive for underfocus.", metavar="UM")
    ] = None,
    voltage: Annotated[
        float | None, typer.Option(help="deconv: acceleration voltage in kV; 300.", metavar="KV")
    ] = None,
    cs: Annotated[
        float | None, typer.Option(help="deconv: spherical aberration in mm; 2.7.", metavar="MM")
    ] = None,
    amplitude_contrast: Annotated[
        float | None, typer.Option(help="deconv: share of amplitude contrast; 0.07.", metavar="SHARE")
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Denoise tomograms; each is its own training data."""
    files = files or ([even] if even else [])
    if not (files or print_config):
        remedy = "name a file: vitreous denoise tomogram.mrc -o denoised.mrc"
        raise InputError("no tomogram was given", remedy=remedy)
    if output is None and not print_config:
        remedy = "add -o denoised.mrc, or -o FOLDER for several tomograms"
        raise InputError("no output was given", remedy=remedy)
    budget = budget_of(steps, time_budget)
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.denoise import DenoiseSettings, config_text
    from vitreous.workflows.denoise_files import DenoiseRequest, plain_name

    settings = DenoiseSettings(
        method,
        steps,
        budget,
        seed,
        device,
        max_memory,
        invert,
        absolute(model),
        configuration(config),
        strength,
        defocus_um=defocus,
        voltage_kv=voltage,
        spherical_aberration_mm=cs,
        amplitude_contrast=amplitude_contrast,
    )
    if print_config or output is None:
        sys.stdout.write(config_text(settings, halves=even is not None))
        return
    folder = run_dir or output.parent / f"{plain_name(output)}.run"
    request = DenoiseRequest(
        files[0].absolute(),
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
        show(carried_out(files, request, progress, shared_model, run_dir), as_json=json)


def carried_out(
    files: list[Path], request: DenoiseRequest, progress: Progress, shared: bool, run_dir: Path | None
) -> list[DenoiseOutcome]:
    """Denoise one file into another, or any number into a folder."""
    from vitreous.workflows.denoise_files import denoise_file, denoise_files, plan_files, wants_folder

    if not wants_folder(request.output, files, shared=shared):
        return [denoise_file(request, progress)]
    for option, path in (
        ("--even", request.even),
        ("--odd", request.odd),
        ("--reference", request.reference),
        ("--run-dir", run_dir),
    ):
        if path is not None:
            text = f"{option} belongs to a single tomogram"
            raise InputError(text, remedy="denoise it alone, with -o FILE")
    planned = plan_files(files, request.output, request)
    return denoise_files(planned, progress, shared=shared, folder=request.output)


def show(outcomes: list[DenoiseOutcome], *, as_json: bool) -> None:
    """Print where the results are, and their scores if there are any."""
    facts: Any = [facts_of(o) for o in outcomes]
    lines = []
    for outcome in outcomes:
        lines += [
            f"{row}: PSNR {s['psnr']:.2f} dB, SSIM {s['ssim']:.3f}, correlation {s['cc']:.3f}"
            for row, s in outcome.facts.get("scores", {}).items()
        ]
        lines += [f"denoised: {outcome.output}", f"report: {outcome.report}"]
    print_result(facts[0] if len(facts) == 1 else {"files": facts}, lines, as_json=as_json)


def facts_of(outcome: DenoiseOutcome) -> dict[str, Any]:
    """An outcome as plain values."""
    kept = ("method", "reason", "seconds", "warnings", "found", "scores")
    facts = {key: outcome.facts[key] for key in kept if key in outcome.facts}
    return {
        "output": str(outcome.output),
        "run_dir": str(outcome.run_dir),
        "report": str(outcome.report),
        **facts,
    }
