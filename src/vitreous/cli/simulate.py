"""`vitreous simulate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.options import Json, MaxMemory, Quiet, VoxelSize
from vitreous.cli.simulate_subtomograms import subtomograms
from vitreous.core.errors import InputError

if TYPE_CHECKING:
    from vitreous.workflows.simulate import Likeness, SimulateOutcome, SimulationSpec

TOMOGRAMS = "tomograms"


class TomogramsUnlessNamed(TyperGroup):
    """`vitreous simulate demo` is `vitreous simulate tomograms demo`; other names are sub-commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the first sub-command before words that begin with none."""
        if args and args[0] not in self.commands:
            args = [TOMOGRAMS, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=TomogramsUnlessNamed,
    help="Simulate tomograms (vitreous simulate demo -o DIR) or subtomograms, with their ground truth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def register(root: typer.Typer) -> None:
    """Add this module's commands."""
    root.add_typer(app, name="simulate")


@app.command(TOMOGRAMS)
def tomograms_command(
    spec: Annotated[
        str | None,
        typer.Argument(
            help="A preset, such as demo or crowded-cell, or a TOML file.",
            metavar="PRESET|SPEC.toml",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder to write.")] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Tomogram to take the voxel spacing, tilt range, noise and contrast from."),
    ] = None,
    voxel_size: VoxelSize = None,
    print_spec: Annotated[
        bool, typer.Option("--print-spec", help="Print the specification as TOML and stop.")
    ] = False,
    layout: Annotated[
        str, typer.Option(help="vitreous, or shrec21 for the files of SHREC 2021.")
    ] = "vitreous",
    count: Annotated[int | None, typer.Option("-n", "--count", help="Number of tomograms.", min=1)] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed instead of the specification's.", min=0, max=2**63 - 1)
    ] = None,
    max_memory: MaxMemory = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the tomograms of an earlier run.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Simulate tomograms with their whole truth; `vitreous simulate demo -o DIR` does for short.

    For subtomograms see `vitreous simulate subtomograms --help`.
    """
    if spec is None:
        remedy = "name a preset or a file: vitreous simulate demo -o DIR"
        raise InputError("nothing to simulate was given", remedy=remedy)
    if output is None and not print_spec:
        raise InputError("no output was given", remedy="add -o DIR")
    if layout not in ("vitreous", "shrec21"):
        raise InputError(f"--layout {layout} is unknown", remedy="use vitreous or shrec21")
    if voxel_size is not None and like is None:
        raise InputError("--voxel-size has no tomogram to belong to", remedy="add --like TOMOGRAM")
    progress = ConsoleProgress(quiet=quiet)

    from vitreous.workflows.simulate import (
        SimulateRequest,
        is_file,
        load_spec,
        preset_text,
        simulate_files,
        spec_text,
    )

    if print_spec and like is None:
        sys.stdout.write(spec_text(load_spec(spec)) if is_file(spec) else preset_text(spec))
        return
    asked = {"tomograms": count, "seed": seed}
    chosen = load_spec(spec).model_copy(update={k: v for k, v in asked.items() if v is not None})
    source = str(Path(spec).absolute()) if is_file(spec) else spec
    kind: Any = layout
    with progress.active():
        likeness = None
        if like is not None:
            chosen, likeness = in_style_of(like, chosen, voxel_size, progress)
        if print_spec or output is None:
            sys.stdout.write(spec_text(chosen))
            return
        request = SimulateRequest(chosen, output.absolute(), source, kind, max_memory, overwrite, likeness)
        outcome = simulate_files(request, progress)
    show_simulated(outcome, as_json=json)


def in_style_of(
    tomogram: Path, spec: SimulationSpec, voxel_size: float | None, progress: ConsoleProgress
) -> tuple[SimulationSpec, Likeness]:
    """The specification in a tomogram's style, and whose that is; doubts are printed."""
    from vitreous.workflows.simulate import Likeness, spec_and_doubts

    liked, doubts = spec_and_doubts(spec, tomogram, voxel_size, progress)
    for text in doubts:
        progress.warn(text)
    return liked, Likeness(tomogram.absolute(), voxel_size, doubts)


app.command("subtomograms")(subtomograms)


def show_simulated(outcome: SimulateOutcome, *, as_json: bool) -> None:
    """Print where the tomograms are, and their figures."""
    tomograms = [
        {"folder": str(folder), "defocus_um": one["defocus_um"], **one["metrics"], "seconds": one["seconds"]}
        for folder, one in zip(outcome.folders, outcome.tomograms, strict=True)
    ]
    facts = {
        "output": str(outcome.output),
        "report": str(outcome.report),
        "tomograms": tomograms,
        "warnings": outcome.facts["warnings"],
    }
    lines = [f"simulated: {one['folder']} (SNR {one['snr']:.3g})" for one in tomograms]
    print_result(facts, [*lines, f"report: {outcome.report}"], as_json=as_json)
