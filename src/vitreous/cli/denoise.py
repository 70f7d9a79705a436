"""`vitreous denoise`, `demo` and `resume`."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.core.errors import InputError

if TYPE_CHECKING:
    from vitreous.workflows.denoise_files import DenoiseOutcome

METHOD_HELP = "auto, noise-model, blindspot, n2n, gaussian, lowpass or median."
Seed = Annotated[int, typer.Option(help="Seed of every random draw.", min=0, max=2**63 - 1)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings only.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("denoise")(denoise_command)
    app.command("demo")(demo_command)
    app.command("resume")(resume_command)


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
    mask: Annotated[Path | None, typer.Option(help="Specimen mask: look only where it is above 0.5.")] = None,
    model: Annotated[Path | None, typer.Option(help="Run directory of a trained model to apply.")] = None,
    shared_model: Annotated[bool, typer.Option(help="Train one model on all tomograms.")] = False,
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1)] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Training time instead of steps: 90s, 10m, 2h.")
    ] = None,
    max_memory: Annotated[str | None, typer.Option(help="Memory to stay under, such as 8GB.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the report and model go.")] = None,
    voxel_size: Annotated[
        float | None, typer.Option(help="Voxel spacing in Å where the file has none.")
    ] = None,
    invert: Annotated[bool, typer.Option(help="Invert the contrast of the output.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace existing outputs.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Denoise tomograms; each is its own training data."""
    files = files or ([even] if even else [])
    if not files:
        raise InputError(
            "no tomogram was given", remedy="name a file: vitreous denoise tomogram.mrc -o denoised.mrc"
        )
    if output is None:
        raise InputError(
            "no output was given", remedy="add -o denoised.mrc, or -o FOLDER for several tomograms"
        )
    if steps is not None and time_budget is not None:
        raise InputError("--steps and --time-budget exclude each other", remedy="give one of them")
    if voxel_size is not None and not 0 < voxel_size < math.inf:
        raise InputError("--voxel-size must be a positive number of Å")
    budget = None if time_budget is None else seconds_of(time_budget)
    several = (
        len(files) > 1
        or shared_model
        or (os.path.isdir(output) and output.suffix != ".zarr")
        or not output.suffix
    )
    if several and (even or odd or run_dir):
        raise InputError(
            "--even, --odd and --run-dir belong to a single tomogram", remedy="denoise it alone, with -o FILE"
        )
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.denoise import DenoiseSettings
    from vitreous.workflows.denoise_files import (
        DenoiseRequest,
        denoise_file,
        denoise_files,
        plain_name,
        plan_files,
    )

    settings = DenoiseSettings(method, steps, budget, seed, device, max_memory, invert, absolute(model))
    folder = run_dir or output.parent / f"{plain_name(output)}.run"
    request = DenoiseRequest(
        files[0].absolute(),
        output.absolute(),
        folder.absolute(),
        settings,
        absolute(even),
        absolute(odd),
        absolute(mask),
        voxel_size,
        overwrite,
    )
    with progress.active():
        if several:
            planned = plan_files(files, output, request)
            outcomes = denoise_files(planned, progress, shared=shared_model, folder=output)
        else:
            outcomes = [denoise_file(request, progress)]
    show(outcomes, as_json=json)


def demo_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the demonstration.")] = Path(
        "runs/demo"
    ),
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Build a noisy phantom, denoise it, score it against the truth; offline, minutes."""
    progress = ConsoleProgress(quiet=quiet)
    from vitreous.workflows.demo import run_demo

    with progress.active():
        outcome = run_demo(output.absolute(), seed=seed, device=device, progress=progress)
    scores = outcome.facts["scores"]
    lines = [
        f"{row}: PSNR {s['psnr']:.2f} dB, SSIM {s['ssim']:.3f}, correlation {s['cc']:.3f}"
        for row, s in scores.items()
    ]
    print_result(facts_of(outcome), [*lines, f"report: {outcome.report}"], as_json=json)


def resume_command(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of a stopped run.")],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Go on with a stopped run; the result has the same bytes as an uninterrupted one."""
    progress = ConsoleProgress(quiet=quiet)
    from vitreous.workflows.denoise_files import resume

    with progress.active():
        outcomes = resume(run_dir, progress)
    show(outcomes, as_json=json)


def show(outcomes: list[DenoiseOutcome], *, as_json: bool) -> None:
    """Print where the results are."""
    facts: Any = [facts_of(o) for o in outcomes]
    lines = [line for o in outcomes for line in (f"denoised: {o.output}", f"report: {o.report}")]
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


def absolute(path: Path | None) -> Path | None:
    """The absolute form of a path that may not be given."""
    return None if path is None else path.absolute()


def seconds_of(text: str) -> float:
    """Seconds of "90s", "10m" or "2h".

    Examples
    --------
    >>> seconds_of("10m")
    600.0
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([smh]?)", text.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise InputError(f"--time-budget {text} is no time", remedy="write for example --time-budget 10m")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
