"""Judge the picks of a file into a folder: half maps, a verdict in words and a report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Interrupted, Progress, SilentProgress
from vitreous.evidence import NOT_FOUND, UNCLEAR
from vitreous.inference.memory import BASE_BYTES
from vitreous.io import check_writable, faults_in_words, file_sha256, write_text_atomic
from vitreous.metrics import band_correlation
from vitreous.picking import Picks
from vitreous.report import TableSection, render_tables_report
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings
from vitreous.workflows.annotate.believe import halves_of, judged, some_of
from vitreous.workflows.annotate.estimate import bytes_held, bytes_of_boxes, check_memory
from vitreous.workflows.annotate.report import UNSEEN, average_sections, verdict_section
from vitreous.workflows.annotate.request import file_name
from vitreous.workflows.annotate.subject import Subject, open_subject
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.average.picks import read_picks
from vitreous.workflows.judge.request import JudgeRequest
from vitreous.workflows.run_directory import (
    RunDirectory,
    check_unchanged,
    damage_in_words,
    finished_run,
    stopped_run,
)
from vitreous.workflows.search_template import absolute_structure

KIND = "judge"
SAME = 1e-3  # relative difference of voxel spacings that comes from rounding
FINEST = (0.4, 0.5)  # cycles/voxel: there is little but noise
MOST_SHARED = 0.5  # a half and the whole have 0.7, two halves what signal there is
SEEN = (
    "They may have been chosen in this very tomogram, whose noise then had a part in it: only a tomogram "
    "that picking has not seen can show that they are no noise (--unseen)."
)
HOW = (
    "Picks and random places are aligned to the structure and to decoys (random phases, a membrane, gold, "
    "what it was to be compared with, complexes unlike it, and the two that are nearest in mass and not of "
    "one shape with it) in {searched}; they are scored, in just these poses, in {judged}. The structure is "
    "**found** if the picks score better than random places and better than as each decoy; the chance of a "
    'wrong "found" by noise is 1 %, if the noises of the two are independent and picking has not seen the '
    "second."
)
WITH_UNSEEN = ("the tomogram", "the one that picking has not seen")
SPLIT = (
    "the tomogram with half of its noise, drawn anew, added",
    "the tomogram with twice as much of the drawn noise taken off",
)

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Copies:
    """What is aligned and what judges, for scores in the voxels of the search; for averages in finer ones."""

    searched: Array
    judged: Array
    averaged: tuple[Array, Array]


def judge_file(request: JudgeRequest, progress: Progress) -> dict[str, Any]:
    """Say whether picks are the structure that they are said to be, and how far to believe it.

    Returns
    -------
    dict
        What `run.json` says of the finished run, with where it is.

    Raises
    ------
    InputError
        If an input is unusable or does not belong to the others, or the folder holds something else.
    Interrupted
        If the user stopped; judging takes a minute or so and begins anew when resumed.
    """
    asked = request.asked
    asked.settings.check()
    work, run, begun = Work(asked, progress), RunDirectory(asked.output), time.monotonic()
    inputs = digests(work, request)
    work.open()
    picks, warnings = picks_of(request, work.subject)
    unseen = None if request.unseen is None else opened_alike(request.unseen, work)
    tomograms = 1 if unseen is None else 2
    memory = check_memory(work, BASE_BYTES + bytes_of_boxes(work) + tomograms * bytes_held(work))
    claim(request, run, inputs)
    with run.locked():
        facts = run.begin(KIND, request.to_json(), inputs_sha256=inputs, command=request.command())
        progress.note(f"{len(picks)} picks, {memory}")
        try:
            with faults_in_words(run.path):
                averages, found = evidence_of(request, work, picks, unseen)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        warnings = [*work.subject.warnings, *warnings, *([] if unseen is None else unseen.warnings)]
        for text in warnings:
            progress.warn(text)
        facts |= {
            "status": "done",
            "average": averages,
            "judged": found,
            "warnings": warnings,
            "seconds": round(time.monotonic() - begun, 1),
        }
        write_text_atomic(run.report, judgement_report(request, work, facts))
        run.write(facts)
    return outcome(request, facts)


def judge(
    tomogram: str | Path,
    picks: str | Path,
    structure: str,
    output: str | Path,
    *,
    unseen: str | Path | None = None,
    against: Sequence[str] = (),
    voxel_size_angstrom: float | None = None,
    coordinate_pixel_angstrom: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Say whether picks are the structure that they are said to be, and how far to believe it.

    Parameters
    ----------
    tomogram
        The file that they were found in.
    picks
        A file of RELION, Dynamo, copick, or a table of poses.
    structure
        "phantom:NAME", "pdb:ID", an atomic model, or a map with its mass: "map.mrc@540".
    output
        The folder for half maps and report.
    unseen
        A tomogram of the same specimen with independent noise that picking has not seen. Without one nothing
        is said to be found.
    against
        Other structures that the picks may be.
    voxel_size_angstrom
        Where a tomogram has none.
    coordinate_pixel_angstrom
        Of picks that count in pixels.
    overwrite
        Replace what an earlier run left.
    progress
        Receives progress; silent by default.
    **settings
        Fields of `AnnotateSettings` that judging has: `seed`, `max_memory`, `invert`, `tilt_range_deg`,
        `defocus_um`, `binning`.

    Returns
    -------
    dict
        The verdict in "judged"; where the results are in "output" and "report".

    Raises
    ------
    InputError
        If something cannot be used.
    """
    asked = AnnotateRequest(
        Path(tomogram).absolute(),
        tuple(absolute_structure(text) for text in (structure, *against)),
        Path(output).absolute(),
        AnnotateSettings(**settings),
        voxel_size_angstrom,
        overwrite,
    )
    hidden = None if unseen is None else Path(unseen).absolute()
    request = JudgeRequest(asked, Path(picks).absolute(), hidden, coordinate_pixel_angstrom)
    return judge_file(request, progress or SilentProgress())


def evidence_of(
    request: JudgeRequest, work: Work, picks: Picks, unseen: Subject | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the averages of the picks show, and the verdict, in plain values."""
    name, copies = request.structure, copies_of(work, unseen)
    work.progress.start("judging", 2)
    averages = halves_of(work, name, some_of(work, picks), copies.searched, copies.averaged)
    work.progress.advance()
    pair = copies.searched, copies.judged
    found = judged(work, name, picks, averages, pair, doubts=(), structures=1)
    work.progress.advance()
    if unseen is None and found["outcome"] != NOT_FOUND:
        found |= {"outcome": UNCLEAR, "said": f"{UNCLEAR} ({len(picks)} picks)"}
        found["reasons"] = (*found["reasons"], SEEN)
    return averages, found


def copies_of(work: Work, unseen: Subject | None) -> Copies:
    """The tomogram and the unseen one; or the tomogram's own noise split in two, as annotating does."""
    subject, seed = work.subject, work.request.settings.seed
    if unseen is None:
        return Copies(*subject.split(seed), subject.for_averages(seed))
    return Copies(subject.working, unseen.working, (subject.finer(), unseen.finer()))


def picks_of(request: JudgeRequest, subject: Subject) -> tuple[Picks, list[str]]:
    """The picks that lie in the tomogram, the best first if they have scores, and what is to be said of them.

    Raises
    ------
    InputError
        If they cannot be read, are of another tomogram, or none lies in it.
    """
    volume, spacing = subject.volume, subject.volume.mean_spacing_angstrom or 0.0
    table, _ = read_picks(request.averaging(), {request.asked.input: volume}, spacing)
    positions = np.concatenate([poses.positions_angstrom for poses in table.poses.values()])
    extent = spacing * (np.array(volume.shape) - 1)
    inside = ((positions >= 0) & (positions <= extent)).all(axis=1)
    if not inside.any():
        text = f"no pick lies in {request.asked.input}"
        remedy = "check that they belong together, and --voxel-size"
        raise InputError(text, path=request.picks, remedy=remedy)
    outside = int((~inside).sum())
    notes = [f"{outside} picks lie outside the tomogram and were left out."] if outside else []
    return Picks(positions[inside], np.zeros(inside.sum())), notes


def opened_alike(path: Path, work: Work) -> Subject:
    """A tomogram of the same specimen, made ready as the first one was.

    Raises
    ------
    InputError
        If it cannot be used, has another shape or voxel spacing, or the noise of the first.
    """
    subject, asked = work.subject, work.request
    first, second = asked.input, path
    if first.resolve() == second.resolve() or file_sha256(first) == file_sha256(second):
        text = "--unseen is the very tomogram that the picks were found in"
        raise InputError(text, path=path, remedy="give the other half, or leave it out")
    settings = replace(
        asked.settings,
        binning=subject.prepared.binning,
        invert=subject.bright,
        tilt_range_deg=subject.style.tilt_range_deg,
    )
    other = open_subject(replace(asked, input=path, settings=settings), [])
    remedy = "give a tomogram of the same voxels"
    if other.volume.shape != subject.volume.shape:
        sides = " × ".join(map(str, other.volume.shape))
        text = f"has {sides} voxels, other than {first}"
        raise InputError(text, path=path, remedy=remedy)
    if abs(other.spacing_angstrom / subject.spacing_angstrom - 1) > SAME:
        raise InputError(f"has voxels of another size than {first}", path=path, remedy=remedy)
    shared = abs(band_correlation(subject.finer(), other.finer(), FINEST))
    if shared > MOST_SHARED:
        text = f"shares its noise with {first} (correlation {shared:.2f} at the finest detail)"
        raise InputError(text, path=path, remedy="give the other half, or leave it out")
    return other


def digests(work: Work, request: JudgeRequest) -> dict[str, str]:
    """SHA-256 of every file that the verdict depends on."""
    structures = [Path(spec.structure) for spec in work.particles if spec.source in ("model", "map")]
    return {str(path): file_sha256(path) for path in (*request.inputs, *structures)}


def claim(request: JudgeRequest, run: RunDirectory, inputs: Mapping[str, str]) -> None:
    """Make sure that the folder is free for this request, and holds no input that it would replace."""
    folder, elsewhere = run.path.resolve(), "choose another -o"
    maps = [run.path / "averages" / f"{file_name(request.structure)}_half{n}.mrc" for n in (1, 2)]
    written = {folder / "run.json", folder / "report.html", *(path.resolve() for path in maps)}
    for path in map(Path, inputs):
        if path.resolve() in written:
            raise InputError("would be replaced by the result", path=path, remedy=elsewhere)
        if path.resolve() in (folder, *folder.parents):
            raise InputError(f"lies in {path}", path=run.path, remedy=elsewhere)
    overwrite = request.asked.overwrite
    resuming = run.unfinished(KIND, request.is_of, inputs, overwrite)
    if run.exists() and not resuming and not overwrite:
        remedy = f"see {run.report}, add --overwrite or choose another -o"
        raise InputError("holds this run, finished", path=run.path, remedy=remedy)
    for path in (*maps, run.path / "run.json", run.report):
        check_writable(path, 0, overwrite or resuming)


def judgement_report(request: JudgeRequest, work: Work, facts: Mapping[str, Any]) -> str:
    """An HTML page: the verdict, how it came about, and the averages."""
    name, averages, found = request.structure, facts["average"], facts["judged"]
    searched, judging = SPLIT if request.unseen is None else WITH_UNSEEN
    unseen = UNSEEN if request.unseen is None else "the tomogram that picking has not seen"
    sections = [
        verdict_section(work, {name: found}, {name: averages}),
        TableSection("How it was judged", HOW.format(searched=searched, judged=judging)),
        *average_sections(work, name, averages, unseen),
        TableSection("Decoys", "Picks that fit the structure better than each.", rows=shares(found)),
        TableSection("Repeat", f"`{facts['command']}`"),
    ]
    return render_tables_report(f"Judged: {request.picks.name}", sections, warnings=facts["warnings"])


def shares(found: Mapping[str, Any]) -> list[list[str]]:
    """Each decoy with the share of picks that fit the structure better, the best decoy first."""
    return [
        [name, f"{share:.0%}"] for name, share in sorted(found["shares"].items(), key=lambda item: item[1])
    ]


def outcome(request: JudgeRequest, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a user wants to know of a finished run."""
    run = RunDirectory(request.asked.output)
    kept = ("average", "judged", "warnings", "seconds")
    return {
        "output": str(run.path),
        "report": str(run.report),
        "structure": request.structure,
        **{key: facts[key] for key in kept},
    }


def resume_judging(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Judge again what was stopped, from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file is not what it was.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        request = JudgeRequest.from_json(facts["request"], run.path)
    check_unchanged(facts.get("inputs_sha256", {}))
    return judge_file(request, progress)


def rerender_judgement(run_dir: Path) -> Path:
    """Write the report of a finished run again, from its files.

    Raises
    ------
    InputError
        If it is not finished, or a file is not what it was.
    """
    run, facts = finished_run(run_dir, KIND)
    with damage_in_words(run):
        request = JudgeRequest.from_json(facts["request"], run.path)
    work = Work(request.asked, SilentProgress())
    return write_text_atomic(run.report, judgement_report(request, work, facts))
