"""The chain, stage by stage: what is done is on disk and not done again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress, SilentProgress
from vitreous.core.errors import VitreousError
from vitreous.inference.predict import is_out_of_memory
from vitreous.io import (
    check_writable,
    faults_in_words,
    file_sha256,
    write_bytes_atomic,
    write_text_atomic,
)
from vitreous.training import CheckpointStore
from vitreous.workflows.annotate.beginning import denoise, inspect
from vitreous.workflows.annotate.believe import average, judge
from vitreous.workflows.annotate.estimate import bytes_needed, check_memory, minutes_needed
from vitreous.workflows.annotate.network import segment, simulate, train_network
from vitreous.workflows.annotate.picks import pick
from vitreous.workflows.annotate.report import annotation_report, middle_png, warnings_of
from vitreous.workflows.annotate.request import (
    AnnotateRequest,
    AnnotateSettings,
)
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.run_directory import (
    RunDirectory,
    check_picture,
    check_unchanged,
    damage_in_words,
    finished_run,
    stopped_run,
)
from vitreous.workflows.search_template import absolute_structure

KIND = "annotate"
OUTPUTS = (
    "denoise",
    "denoised.mrc",
    "training",
    "checkpoints",
    "model",
    "probabilities",
    "picks",
    "labels.mrc",
    "copick",
    "averages",
    "report.html",
)


@dataclass(frozen=True)
class Stage:
    """One step of the chain: what it is called, what it does, and what it does in words."""

    name: str
    run: Callable[[Work], dict[str, Any]]
    does: str


STAGES = (
    Stage("inspect", inspect, "looking at the tomogram"),
    Stage("denoise", denoise, "denoising"),
    Stage("simulate", simulate, "simulating specimens in its style"),
    Stage("train", train_network, "training the segmentation network"),
    Stage("segment", segment, "segmenting"),
    Stage("pick", pick, "picking"),
    Stage("average", average, "averaging"),
    Stage("judge", judge, "judging"),
)


def annotate_file(request: AnnotateRequest, progress: Progress) -> dict[str, Any]:
    """Annotate one tomogram, going on where an earlier run of the same request stopped.

    Returns
    -------
    dict
        What `run.json` says of the finished run, with where it is.

    Raises
    ------
    InputError
        If the input is unusable, or the folder holds something else.
    Interrupted
        If the user stopped; what is done is kept.
    """
    request.settings.check()
    run, work = RunDirectory(request.output), Work(request, progress)
    work.open()  # what cannot be used is refused before anything is written
    inputs = digests(work)
    memory = check_memory(work, bytes_needed(work))
    resuming = claim(request, run, inputs)
    with run.locked():
        if resuming:
            work.facts = dict(run.read().get("stages", {}))
        else:
            progress.note(f"{len(STAGES)} stages, about {minutes_needed(work):.0f} min in all; {memory}")
        facts = run.begin(
            KIND, request.to_json(), inputs_sha256=inputs, command=request.command(), stages=work.facts
        )
        if not work.facts:
            forget(run)  # now that the record says of no stage that it is done, whenever a kill may come
        for number, stage in enumerate(STAGES, 1):
            if stage.name not in work.facts:
                progress.note(f"stage {number} of {len(STAGES)}: {stage.does}")
                work.facts[stage.name] = carried_out(stage, work, facts)
                run.write({**facts, "stages": work.facts})
        facts |= {"status": "done", "stages": work.facts}
        write_text_atomic(run.report, annotation_report(work, facts))
        run.write(facts)
        CheckpointStore(work.place("checkpoints")).clear()
    return outcome(request, run, facts)


def annotate(
    tomogram: str | Path,
    structures: Sequence[str],
    output: str | Path,
    *,
    voxel_size_angstrom: float | None = None,
    overwrite: bool = False,
    dual: str | Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Find the structures of a list in a tomogram, and say how far to believe it.

    Parameters
    ----------
    tomogram
        A file.
    structures
        "phantom:NAME", "pdb:ID", atomic models, or maps with their mass: "map.mrc@540".
    output
        The folder for everything.
    voxel_size_angstrom
        Where the file has none.
    overwrite
        Replace what an earlier run left.
    dual
        Run directory of `vitreous dual train`, to make the specimens that the network learns from.
    progress
        Receives progress; silent by default.
    **settings
        Fields of `AnnotateSettings`, such as `steps` or `seed`.

    Returns
    -------
    dict
        For each structure the verdict in "structures"; where the results are in "output" and "report".

    Raises
    ------
    InputError
        If something cannot be used.
    """
    request = AnnotateRequest(
        Path(tomogram).absolute(),
        tuple(absolute_structure(text) for text in structures),
        Path(output).absolute(),
        AnnotateSettings(**settings),
        voxel_size_angstrom,
        overwrite,
        None if dual is None else Path(dual).absolute(),
    )
    return annotate_file(request, progress or SilentProgress())


def outcome(request: AnnotateRequest, run: RunDirectory, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a user wants to know of a finished run."""
    return {
        "output": str(request.output),
        "report": str(run.report),
        "structures": facts["stages"]["judge"]["structures"],
        "seconds": {name: stage["seconds"] for name, stage in facts["stages"].items()},
        "warnings": warnings_of(facts["stages"]),
    }


def rerender_annotation(run_dir: Path, picture: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write the report of a finished run again, from its files, and its middle slices as a PNG.

    Raises
    ------
    InputError
        If it is not finished, the tomogram is not what it was, or the picture is no PNG or exists and
        `overwrite` is false.
    """
    run, facts = finished_run(run_dir, KIND)
    check_picture(picture, overwrite)
    work = Work(AnnotateRequest.from_json(facts["request"], run.path), SilentProgress(), facts["stages"])
    if picture is not None:
        write_bytes_atomic(picture, middle_png(work), overwrite=overwrite)
    return write_text_atomic(run.report, annotation_report(work, facts))


def carried_out(stage: Stage, work: Work, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage found, with its time; when it fails, that is noted and said with the way to go on."""
    begun = time.monotonic()
    try:
        with faults_in_words(work.place(stage.name)):
            found = stage.run(work)
    except Interrupted:
        work.run.write({**facts, "status": "interrupted", "stages": work.facts})
        raise Interrupted(work.folder) from None
    except VitreousError as error:
        note_failure(stage, work, facts)
        if not work.facts:
            raise
        raise type(error)(f"{stage.does} failed: {error}. {going_on(work)}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        note_failure(stage, work, facts)
        text = f"{stage.does} failed: there is not enough memory"
        raise InputError(text, remedy=f"close other programs. {going_on(work)}") from error
    return {**found, "seconds": round(time.monotonic() - begun, 1)}


def note_failure(stage: Stage, work: Work, facts: Mapping[str, Any]) -> None:
    """Write down which stage failed, and what the earlier ones found."""
    work.run.write({**facts, "status": "failed", "failed": stage.name, "stages": work.facts})


def going_on(work: Work) -> str:
    """How to go on after a failure, as a sentence."""
    return f"What was done before is kept; vitreous resume {work.folder} goes on from there"


def digests(work: Work) -> dict[str, str]:
    """SHA-256 of every file that the result depends on."""
    files = [work.request.input]
    files += [Path(spec.structure) for spec in work.particles if spec.source in ("model", "map")]
    files += [] if work.request.dual is None else [work.request.dual / "model.json"]
    return {str(path): file_sha256(path) for path in files}


def claim(request: AnnotateRequest, run: RunDirectory, inputs: Mapping[str, str]) -> bool:
    """Make sure that the folder is free for this request; whether a stopped run of it is gone on with."""
    elsewhere = "choose another -o"
    folder = run.path.resolve()
    written = {folder / name for name in OUTPUTS}
    for path in map(Path, inputs):
        if path.resolve() in (folder, *folder.parents):
            raise InputError(f"lies in {path}", path=run.path, remedy=elsewhere)
        if written & {path.resolve(), *path.resolve().parents}:
            raise InputError("would be replaced by the result", path=path, remedy=elsewhere)
    run.refuse_other_kind(KIND)
    others = [path for path in sorted(written) if path.exists() and not run.exists()]
    if others:
        raise InputError("is there already, and of no run", path=others[0], remedy=elsewhere)
    if run.exists() and not request.overwrite:
        resuming = run.unfinished(KIND, request.is_of, inputs, False)
        if not resuming:
            raise InputError(
                "holds a finished run", path=run.path, remedy="add --overwrite or choose another -o"
            )
        return True
    check_writable(run.path / "run.json", 0, True)
    return False


def forget(run: RunDirectory) -> None:
    """Delete what an earlier run left, so that nothing of it is taken for a result of this one."""
    for name in OUTPUTS:
        path = run.path / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def resume_annotation(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Go on with a stopped run from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file is not what it was.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        request = AnnotateRequest.from_json(facts["request"], run.path)
    check_unchanged(facts.get("inputs_sha256", {}))
    return annotate_file(request, progress)
