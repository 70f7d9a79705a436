"""`vitreous resume` and `report`: what is done with the runs of each command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from vitreous.cli import dual
from vitreous.cli.adapt import show_adapted
from vitreous.cli.annotate import show_annotated
from vitreous.cli.average import show_average
from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.denoise import show
from vitreous.cli.judge import show_judged
from vitreous.cli.options import Json, Quiet
from vitreous.cli.pick import show_picks
from vitreous.cli.segment import show_segmented
from vitreous.cli.simulate import show_simulated
from vitreous.cli.simulate_subtomograms import show_subtomograms
from vitreous.core.errors import InputError


@dataclass(frozen=True)
class Runs:
    """What a kind of run is resumed and shown with; its workflow is imported only then.

    Parameters
    ----------
    workflow
        A module of `vitreous.workflows`.
    resume, rerender
        Its functions that go on with a run and write its report again; None if it does not.
    show
        Prints what `resume` returns.
    """

    workflow: str
    resume: str
    show: Callable[..., None]
    rerender: str | None = None

    def function(self, name: str) -> Any:
        """A function of the workflow."""
        return getattr(import_module(f"vitreous.workflows.{self.workflow}"), name)


def show_filled(outcome: Any, *, as_json: bool) -> None:
    """Print where a filled tomogram is."""
    show([outcome], as_json=as_json)


DENOISED = Runs("denoise_files", "resume", show, "rerender")
KINDS = {
    "denoise": DENOISED,
    "simulate": Runs("simulate", "resume_simulation", show_simulated, "rerender_simulation"),
    "subtomograms": Runs("subtomograms", "resume_subtomograms", show_subtomograms),
    "pick": Runs("pick", "resume_picking", show_picks, "rerender_picks"),
    "average": Runs("average", "resume_averaging", show_average, "rerender_average"),
    "wedge": Runs("wedge", "resume_filling", show_filled, "rerender"),
    "dual-train": Runs("dual", "resume_dual", dual.show_trained),
    "dual-convert": Runs("dual", "resume_conversion", dual.show_converted),
    "dual-simulate": Runs("dual", "resume_dual_simulation", dual.show_simulated),
    "adapt": Runs("adapt", "resume_adaptation", show_adapted, "rerender_adaptation"),
    "segment": Runs("segment", "resume_segmentation", show_segmented, "rerender_segmentation"),
    "judge": Runs("judge", "resume_judging", show_judged, "rerender_judgement"),
    "annotate": Runs("annotate", "resume_annotation", show_annotated, "rerender_annotation"),
}
PICTURED = ("denoise", "wedge", "annotate")  # whose middle slices say what came out


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("resume")(resume_command)
    app.command("report")(report_command)


def resume_command(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of a stopped run.")],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Go on with a stopped run; the result has the same bytes as an uninterrupted one."""
    progress = ConsoleProgress(quiet=quiet)
    runs = KINDS.get(kind_of(run_dir), DENOISED)
    with progress.active():
        runs.show(runs.function(runs.resume)(run_dir, progress), as_json=json)


def report_command(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of a finished run.")],
    picture: Annotated[Path | None, typer.Option(help="Also write the middle slices as this PNG.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing picture.")] = False,
) -> None:
    """Write the report of a finished run again."""
    kind = kind_of(run_dir)
    runs = KINDS.get(kind, DENOISED)
    if runs.rerender is None:
        text = f"is a run of vitreous {kind.replace('-', ' ')}, which writes its report once"
        raise InputError(text, path=run_dir, remedy="see report.html in it")
    if picture is not None and kind in KINDS and kind not in PICTURED:
        raise InputError("--picture belongs to a denoised or annotated tomogram", remedy="leave it out")
    pictured = kind in PICTURED or kind not in KINDS
    more = {"picture": picture, "overwrite": overwrite} if pictured else {}
    path = runs.function(runs.rerender)(run_dir, **more)
    print_result({"report": str(path)}, [f"report: {path}"], as_json=False)


def kind_of(run_dir: Path) -> str:
    """The kind that `run.json` names."""
    from vitreous.workflows.run_directory import RunDirectory

    return str(RunDirectory(run_dir.absolute()).read()["kind"])
