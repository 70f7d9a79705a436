"""`vitreous resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.cli import dual
from vitreous.cli.adapt import show_adapted
from vitreous.cli.annotate import show_annotated
from vitreous.cli.average import show_average
from vitreous.cli.console import ConsoleProgress, print_result
from vitreous.cli.denoise import show
from vitreous.cli.options import Json, Quiet
from vitreous.cli.pick import show_picks
from vitreous.cli.segment import show_segmented
from vitreous.cli.simulate import show_simulated


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("resume")(resume_command)


def resume_command(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of a stopped run.")],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Go on with a stopped run; the result has the same bytes as an uninterrupted one."""
    progress = ConsoleProgress(quiet=quiet)
    from vitreous.workflows.run_directory import RunDirectory

    kind = RunDirectory(run_dir.absolute()).read()["kind"]
    with progress.active():
        if kind == "simulate":
            from vitreous.workflows.simulate import resume_simulation

            show_simulated(resume_simulation(run_dir, progress), as_json=json)
        elif kind == "subtomograms":
            from vitreous.workflows.subtomograms import resume_subtomograms

            facts = resume_subtomograms(run_dir, progress)
            print_result(facts, [f"subtomograms: {facts['output']} ({facts['count']})"], as_json=json)
        elif kind == "pick":
            from vitreous.workflows.pick import resume_picking

            show_picks(resume_picking(run_dir, progress), as_json=json)
        elif kind == "average":
            from vitreous.workflows.average import resume_averaging

            show_average(resume_averaging(run_dir, progress), as_json=json)
        elif kind == "wedge":
            from vitreous.workflows.wedge import resume_filling

            show([resume_filling(run_dir, progress)], as_json=json)
        elif kind == "dual-train":
            from vitreous.workflows.dual import resume_dual

            dual.show_trained(resume_dual(run_dir, progress), as_json=json)
        elif kind == "dual-simulate":
            from vitreous.workflows.dual import resume_dual_simulation

            dual.show_simulated(resume_dual_simulation(run_dir, progress), as_json=json)
        elif kind == "adapt":
            from vitreous.workflows.adapt import resume_adaptation

            show_adapted(resume_adaptation(run_dir, progress), as_json=json)
        elif kind == "segment":
            from vitreous.workflows.segment import resume_segmentation

            show_segmented(resume_segmentation(run_dir, progress), as_json=json)
        elif kind == "annotate":
            from vitreous.workflows.annotate import resume_annotation

            show_annotated(resume_annotation(run_dir, progress), as_json=json)
        else:
            from vitreous.workflows.denoise_files import resume

            show(resume(run_dir, progress), as_json=json)
