"""Judge the picks of a file into a folder: half maps, a verdict in words and a report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress, SilentProgress
from vitreous.evidence import NOT_FOUND, UNCLEAR
from vitreous.inference.memory import BASE_BYTES
from vitreous.io import check_writable, faults_in_words, file_sha256, write_text_atomic
from vitreous.picking import Picks, merged
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings
from vitreous.workflows.annotate.believe import CLOSEST, halves_of, in_brief, judged, some_of
from vitreous.workflows.annotate.boxes import THOROUGH, boxes_for
from vitreous.workflows.annotate.chain import digests
from vitreous.workflows.annotate.estimate import bytes_held, bytes_of_boxes, check_memory
from vitreous.workflows.annotate.request import file_name
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.judge.picks import Given, given_picks
from vitreous.workflows.judge.report import judgement_report
from vitreous.workflows.judge.request import JudgeRequest
from vitreous.workflows.judge.unseen import Copies, check_header, copies_of, open_unseen
from vitreous.workflows.run_directory import (
    RunDirectory,
    check_unchanged,
    damage_in_words,
    finished_run,
    stopped_run,
)
from vitreous.workflows.search_template import absolute_structure

KIND = "judge"
SEEN = (
    "They may have been chosen in this very tomogram, whose noise then had a part in it: only a tomogram "
    "that picking has not seen can show that they are no noise (--unseen)."
)


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
    inputs = digests(work) | {str(path): file_sha256(path) for path in request.beside}
    work.open()
    given = given_picks(request, work.subject, CLOSEST * work.sizes[request.structure])
    if request.unseen is not None:
        check_header(request.unseen, work, inputs)
    tomograms = 1 if request.unseen is None else 2
    memory = check_memory(work, BASE_BYTES + bytes_of_boxes(work) + tomograms * bytes_held(work))
    unseen = None if request.unseen is None else open_unseen(request.unseen, work)
    claim(request, run, inputs)
    with run.locked():
        facts = run.begin(KIND, request.to_json(), inputs_sha256=inputs, command=request.command())
        forget(run)
        progress.note(f"{len(given.picks)} picks, {memory}")
        warnings = [*work.subject.warnings, *given.notes, *given.doubts]
        if unseen is not None:
            warnings += [f"{unseen.volume.path}: {text}" for text in unseen.warnings]
        for text in warnings:
            progress.warn(text)
        try:
            with faults_in_words(run.path):
                averages, found = evidence_of(request, work, given, copies_of(work, unseen))
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
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
    against: str | Sequence[str] = (),
    tilt_range_deg: tuple[float, float] | None = None,
    defocus_um: float | None = None,
    invert: bool | None = None,
    binning: int | None = None,
    voxel_size_angstrom: float | None = None,
    coordinate_pixel_angstrom: float | None = None,
    tomogram_name: str | None = None,
    seed: int = 0,
    max_memory: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Say whether picks are the structure that they are said to be, and how far to believe it.

    Parameters
    ----------
    tomogram
        The file that they were found in.
    picks
        A file of RELION, Dynamo, copick, or a table of poses; orientations are not used.
    structure
        "phantom:NAME", "pdb:ID", an atomic model, or a map with its mass: "map.mrc@540".
    output
        The folder for half maps and report.
    unseen
        A tomogram of the same specimen with independent noise that picking has not seen: the other half, if
        they were picked in the first half, not in both. Without one nothing is said to be found.
    against
        Other structures that the picks may be.
    tilt_range_deg, defocus_um, invert, binning
        As for `AnnotateSettings`.
    voxel_size_angstrom
        Where a tomogram has none.
    coordinate_pixel_angstrom
        Of picks that count in pixels.
    tomogram_name
        What the picks call the tomogram, where its file is called otherwise.
    seed, max_memory
        As for `AnnotateSettings`.
    overwrite
        Replace what an earlier run left.
    progress
        Receives progress; silent by default.

    Returns
    -------
    dict
        The verdict in "judged"; where the results are in "output" and "report".

    Raises
    ------
    InputError
        If something cannot be used.
    """
    others = (against,) if isinstance(against, str) else against
    settings = AnnotateSettings(
        seed=seed,
        max_memory=max_memory,
        invert=invert,
        tilt_range_deg=tilt_range_deg,
        defocus_um=defocus_um,
        binning=binning,
    )
    asked = AnnotateRequest(
        Path(tomogram).absolute(),
        tuple(absolute_structure(text) for text in (structure, *others)),
        Path(output).absolute(),
        settings,
        voxel_size_angstrom,
        overwrite,
    )
    hidden = None if unseen is None else Path(unseen).absolute()
    place = Path(picks).absolute()
    request = JudgeRequest(asked, place, hidden, coordinate_pixel_angstrom, tomogram_name)
    return judge_file(request, progress or SilentProgress())


def evidence_of(
    request: JudgeRequest, work: Work, given: Given, copies: Copies
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the averages of the picks show, and the verdict, in plain values."""
    name = request.structure
    work.progress.start("judging", 3)
    looked = centred(work, name, some_of(work, given.picks), copies)
    work.progress.advance()
    averages = halves_of(work, name, looked, copies.searched, copies.averaged)
    work.progress.advance()
    pair = copies.searched, copies.judged
    found = judged(work, name, looked, given.picks, averages, pair, given.doubts, 1, recorded=copies.recorded)
    work.progress.advance()
    if request.unseen is None and found["outcome"] != NOT_FOUND:
        found |= {"outcome": UNCLEAR, "reasons": (*found["reasons"], SEEN)}
    return averages, {**found, "said": in_brief(found)}


def centred(work: Work, name: str, picks: Picks, copies: Copies) -> Picks:
    """The picks where the structure fits best near them, none in the place of a better one.

    Where a program put a pick on a particle is its own affair; the search that judges reaches less far.
    """
    template = work.templates[name]
    boxes = boxes_for(work, template)
    poses = boxes.aligned_at(copies.searched, picks.positions_angstrom, template.density, search=THOROUGH)
    places = boxes.found(picks.positions_angstrom, poses)
    return merged(Picks(places, poses.scores.numpy()), CLOSEST * work.sizes[name])


def claim(request: JudgeRequest, run: RunDirectory, inputs: Mapping[str, str]) -> None:
    """Make sure that the folder is free for this request, and holds no input that it would replace."""
    folder, elsewhere = run.path.resolve(), "choose another -o"
    maps = run.path / "averages"
    written = {folder / "run.json", folder / "report.html", maps.resolve()}
    for path in map(Path, inputs):
        if written & {path.resolve(), *path.resolve().parents}:
            raise InputError("would be replaced by the result", path=path, remedy=elsewhere)
        if path.resolve() in (folder, *folder.parents):
            raise InputError(f"lies in {path}", path=run.path, remedy=elsewhere)
    overwrite = request.asked.overwrite
    resuming = run.unfinished(KIND, request.is_of, inputs, overwrite)
    if run.exists() and not resuming and not overwrite:
        remedy = f"see {run.report}, add --overwrite or choose another -o"
        raise InputError("holds this run, finished", path=run.path, remedy=remedy)
    if maps.exists() and not run.exists():
        raise InputError("is there already, and of no run", path=maps, remedy=elsewhere)
    half = maps / f"{file_name(request.structure)}_half1.mrc"
    for path in (half, run.path / "run.json", run.report):
        check_writable(path, 0, overwrite or resuming)


def forget(run: RunDirectory) -> None:
    """Delete what an earlier run left, so that nothing of it is taken for a result of this one."""
    shutil.rmtree(run.path / "averages", ignore_errors=True)
    run.report.unlink(missing_ok=True)


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
