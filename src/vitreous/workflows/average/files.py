"""Average the picks of files into a folder, and go on with a run that was stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitreous.averaging import Round, WedgeAverage, refine_halves
from vitreous.core import InputError, Interrupted, Progress, SilentProgress
from vitreous.io import check_writable, write_text_atomic
from vitreous.workflows.average.halves import Halves, halves_of
from vitreous.workflows.average.particles import TomogramParticles, open_particles
from vitreous.workflows.average.plan import averaged_diameter, box_side, check_memory, diameter_of
from vitreous.workflows.average.report import average_report
from vitreous.workflows.average.request import AverageRequest, AverageSettings
from vitreous.workflows.average.results import MAPS, finished, write_results
from vitreous.workflows.average.rounds import (
    SUFFIXES,
    forget_rounds,
    last_round,
    round_files,
    save_round,
    told_rounds,
)
from vitreous.workflows.run_directory import RunDirectory, check_unchanged, damage_in_words
from vitreous.workflows.search_template import SearchTemplate, absolute_structure, digests, open_template

KIND = "average"
OUTPUTS = (*(f"{name}.mrc" for name in MAPS), "fsc.json", "aligned.star", "report.html", "run.json")


def average_files(request: AverageRequest, progress: Progress) -> dict[str, Any]:
    """Align and average picks: half maps, average, FSC, an aligned STAR file and a report in one folder.

    Returns
    -------
    dict
        What `run.json` says of the finished run.

    Raises
    ------
    InputError
        If an input is unusable or does not belong to the others, or the folder holds another run.
    Interrupted
        If the user stopped; rounds that are done are kept.
    """
    settings, run = request.settings, RunDirectory(request.output)
    settings.check()
    opened = open_particles(request)
    template = (
        None if settings.template is None else open_template(settings.template, opened.spacing_angstrom)
    )
    side = box_side(request, opened, template)
    memory = check_memory(request, side)
    particles = TomogramParticles(opened, side, bright=settings.invert)
    halves = halves_of(request, particles, averaged_diameter(request, template, particles))
    inputs = digests(request.inputs)
    resuming = claimed(request, run, inputs, side)
    begun = time.monotonic()
    with run.locked():
        if not resuming:
            forget_rounds(run.path)  # before the new request is recorded, which would go on with them
        facts = run.begin(KIND, request.to_json(), inputs_sha256=inputs, command=request.command())
        progress.note(f"{opened.count} particles in boxes of {side} voxels, {memory}")
        try:
            done = averaged(request, particles, halves, template, progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        facts |= finished(request, particles, halves, template, done)
        facts |= {"rounds": told_rounds(run.path), "seconds": round(time.monotonic() - begun, 1)}
        facts["status"] = "done"
        for text in facts["warnings"]:
            progress.warn(text)
        write_results(request, particles, halves, done, facts)
        write_text_atomic(run.report, average_report(request, facts, done))
        run.write(facts)
    return outcome(request, facts)


def average(
    tomograms: str | Path | Sequence[str | Path],
    picks: str | Path,
    output: str | Path,
    *,
    voxel_size_angstrom: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Align and average the picks in one or several tomograms, in two halves.

    Parameters
    ----------
    tomograms
        One file, or several.
    picks
        A file of RELION, Dynamo, copick, or a table of poses.
    output
        The folder for maps, particles and report.
    voxel_size_angstrom
        Where a tomogram has none.
    overwrite
        Replace what an earlier run left.
    progress
        Receives progress; silent by default.
    **settings
        Fields of `AverageSettings`, such as `template` or `symmetry`.

    Returns
    -------
    dict
        The resolution in "resolution_angstrom"; where the results are in "average" and "report".

    Raises
    ------
    InputError
        If something cannot be used.
    """
    asked = AverageSettings(**settings)
    if asked.template is not None:
        asked = replace(asked, template=absolute_structure(asked.template))
    files = (tomograms,) if isinstance(tomograms, (str, Path)) else tomograms
    request = AverageRequest(
        tuple(Path(file).absolute() for file in files),
        Path(picks).absolute(),
        Path(output).absolute(),
        asked,
        voxel_size_angstrom,
        overwrite,
    )
    return average_files(request, progress or SilentProgress())


def claimed(request: AverageRequest, run: RunDirectory, inputs: Mapping[str, str], side: int) -> bool:
    """Whether an unfinished run is gone on with; InputError if the folder holds what must not be replaced."""
    check_inputs_stay(request, run)
    resuming = run.unfinished(KIND, request.is_of, inputs, request.overwrite)
    if run.exists() and not resuming and not request.overwrite:
        remedy = f"see {run.report}, add --overwrite or choose another -o"
        raise InputError("holds this run, finished", path=run.path, remedy=remedy)
    rounds = [path for kind in SUFFIXES for path in round_files(run.path, kind)]
    if rounds and not run.exists() and not request.overwrite:
        remedy = "add --overwrite or choose another -o"
        raise InputError("holds rounds of a run, and no run.json", path=run.path, remedy=remedy)
    for name in OUTPUTS:
        check_writable(run.path / name, 4 * side**3, request.overwrite or resuming)
    return resuming


def check_inputs_stay(request: AverageRequest, run: RunDirectory) -> None:
    """Raise InputError if an input is, or holds, what the run writes, or would forget with `overwrite`."""
    folder, elsewhere = run.path.resolve(), "choose another -o"
    rounds = [path.resolve() for kind in SUFFIXES for path in round_files(run.path, kind)]
    written = {*(folder / name for name in OUTPUTS), *rounds}
    for path in request.inputs:
        if path.resolve() in written:
            raise InputError("would be replaced by the result", path=path, remedy=elsewhere)
        if path.resolve() in (folder, *folder.parents):
            raise InputError(f"lies in {path}", path=run.path, remedy=elsewhere)


def averaged(
    request: AverageRequest,
    particles: TomogramParticles,
    halves: Halves,
    template: SearchTemplate | None,
    progress: Progress,
) -> Round:
    """The last of all rounds, those that are not done yet being done and kept."""
    config = request.settings.config(diameter_of(request, template))
    folder, side = request.output, particles.side
    done = last_round(folder)
    if done is not None:
        progress.note(f"going on after round {done.number}")
    references = torch.zeros(2, side, side, side)
    if done is None:
        if template is None:
            reference = own_average(particles, config.symmetry)
        else:
            reference = template.box(side, request.settings.defocus_um)
        references = reference.expand(2, -1, -1, -1)
    for one in refine_halves(
        particles, halves.which, references, particles.start(), config, done=done, progress=progress
    ):
        save_round(folder, one)
        done = one
        progress.note(f"round {one.number}: {one.resolution_angstrom:.1f} Å")
    assert done is not None
    return done


def own_average(particles: TomogramParticles, symmetry: str) -> Tensor:
    """The mean of all particles as the picks have them."""
    sums, start = WedgeAverage(particles.side, symmetry), particles.start()
    for numbers, wedge in particles.groups():
        for number in numbers:
            block = number[None]
            sums.add(particles.boxes(block), start.select(block), wedge)
    return sums.volume()


def resume_averaging(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Go on with a stopped run, from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file it reads is not what it was.
    """
    run = RunDirectory(run_dir.absolute())
    request, facts = request_of(run)
    if facts["status"] == "done":
        raise InputError("the run is already done", path=run.path, remedy=f"see {run.report}")
    check_unchanged(facts.get("inputs_sha256", {}))
    return average_files(replace(request, output=run.path), progress)


def rerender_average(run_dir: Path) -> Path:
    """Write the report of a finished run again, from its files.

    Raises
    ------
    InputError
        If it is not finished, no run of this kind, or a file of it is damaged.
    """
    run = RunDirectory(run_dir.absolute())
    request, facts = request_of(run)
    done = last_round(run.path)
    if facts["status"] != "done" or done is None:
        raise InputError("is no finished run", path=run.path, remedy="resume it first")
    return write_text_atomic(run.report, average_report(request, facts, done))


def request_of(run: RunDirectory) -> tuple[AverageRequest, dict[str, Any]]:
    """The request that a folder holds, and all that its `run.json` says."""
    facts = run.read()
    if facts["kind"] != KIND:
        raise InputError(f"holds a run of kind {facts['kind']}", path=run.path)
    with damage_in_words(run):
        return AverageRequest.from_json(facts["request"]), facts


def outcome(request: AverageRequest, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a user wants to know of a finished run."""
    folder = request.output
    kept = (
        *("particles", "resolution_angstrom", "evidence_beyond_angstrom", "template_resolution_angstrom"),
        *("mean_score", "box_voxels", "voxel_spacing_angstrom", "seconds", "warnings"),
    )
    places = {
        "output": str(folder),
        "average": str(folder / "average.mrc"),
        "half_maps": [str(folder / f"half{n}.mrc") for n in (1, 2)],
        "particles_star": str(folder / "aligned.star"),
        "report": str(folder / "report.html"),
    }
    return {**places, **{key: facts[key] for key in kept}}
