"""Segment one tomogram or one set of subtomograms into its run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Interrupted, Progress, SilentProgress
from vitreous.inference import choose_device
from vitreous.io import (
    check_writable,
    file_sha256,
    open_volume,
    remove_stale,
    write_text_atomic,
    written_suffix,
)
from vitreous.io.volumes import MRC_SUFFIXES
from vitreous.report import TableSection
from vitreous.segmentation import SegmentationModel, labels_of, load_segmentation_model
from vitreous.workflows.denoise_files import plain_name
from vitreous.workflows.run_directory import (
    RunDirectory,
    check_unchanged,
    damage_in_words,
    finished_run,
    same_request,
    stopped_run,
)
from vitreous.workflows.segment.report import segmentation_report, set_sections, tomogram_sections
from vitreous.workflows.segment.request import SegmentRequest
from vitreous.workflows.segment.sets import LABELS, open_set, segment_set, write_set
from vitreous.workflows.segment.tomogram import (
    SlabStore,
    check_memory,
    open_tomogram,
    probability_files,
    segment_tomogram,
    write_segmentation,
)
from vitreous.workflows.subtomograms.loading import checked_fit, skipped_warning
from vitreous.workflows.subtomograms.opening import is_set

KIND = "segment"
TOLD = ("subtomograms", "resampled", "share", "shape", "shares", "contrast_turned")  # shown in the report


@dataclass(frozen=True, eq=False)
class Result:
    """What a run leaves: files, facts, doubts, what the report shows; and when it began, in seconds."""

    model: SegmentationModel
    files: Sequence[Path]
    told: Mapping[str, Any]
    warnings: Sequence[str]
    sections: Sequence[TableSection]
    begun: float


def segment_file(request: SegmentRequest, progress: Progress) -> dict[str, Any]:
    """Segment a tomogram or a set of subtomograms, going on where an earlier run of the same request stopped.

    Returns
    -------
    dict
        What `run.json` says of the finished run, with where it is.

    Raises
    ------
    InputError
        If input and model do not fit each other, one cannot be read, or the output exists.
    Interrupted
        If the user stopped; slabs of a tomogram that are done are kept.
    """
    if request.fit == "resize" and not is_set(request.input):
        raise InputError(
            "--fit resize belongs to subtomograms", path=request.input, remedy="use --fit resample"
        )
    model = load_segmentation_model(request.model, choose_device(request.device).device)
    run = RunDirectory(request.run_dir)
    work = segmented_set if is_set(request.input) else segmented_tomogram
    return work(request, model, run, progress)


def segment(
    file: str | Path,
    model: str | Path,
    output: str | Path,
    *,
    run_dir: str | Path | None = None,
    fit: str = "refuse",
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Label what is in a tomogram or in subtomograms with a trained model.

    Parameters
    ----------
    file
        A tomogram, or subtomograms: a folder, store or STAR file.
    model
        Run directory of a trained model.
    output
        The label volume; for subtomograms a folder or a `.zarr` store.
    run_dir
        Where the report goes; beside the output if None.
    fit
        What to do with voxels or sizes that differ: "refuse", "resample" or "resize".
    progress
        Receives progress; silent by default.
    **settings
        Other fields of `SegmentRequest`, such as `probabilities` or `invert`.

    Returns
    -------
    dict
        Where the results are in "output" and "report".

    Raises
    ------
    InputError
        If something cannot be used.
    """
    place = Path(output).absolute()
    folder = place.parent / f"{plain_name(place)}.run" if run_dir is None else Path(run_dir).absolute()
    paths = Path(file).absolute(), place, Path(model).absolute(), folder
    request = SegmentRequest(*paths, checked_fit(fit), **settings)
    return segment_file(request, progress or SilentProgress())


def segmented_set(
    request: SegmentRequest, model: SegmentationModel, run: RunDirectory, progress: Progress
) -> dict[str, Any]:
    """Segment a set of subtomograms; it takes minutes and begins anew when resumed."""
    output, remedy = request.output, "name a folder or a .zarr store with -o"
    if output.is_file() or output.suffix.lower() in (*MRC_SUFFIXES, ".tif", ".tiff", ".star"):
        raise InputError("is a file's name, and a set is written as a folder", path=output, remedy=remedy)
    source, grid = open_set(request, model)
    outputs = [request.output if request.output.suffix == ".zarr" else request.output / LABELS]
    digests = claim(request, run, outputs, 5 * len(source.boxes) * grid.side**3)
    with run.locked():
        begun = time.monotonic()
        facts = begin(request, run, digests)
        try:
            loaded, found = segment_set(request, source, grid, model, progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        warnings = tuple(text for text in (skipped_warning(loaded),) if text)
        for text in warnings:
            progress.warn(text)
        files = write_set(request, source, loaded, found)
        told = {
            "subtomograms": len(loaded),
            "skipped": list(loaded.skipped),
            "resampled": loaded.changed,
            "share": float((labels_of(found, axis=1) > 0).mean()),
        }
        sections = set_sections(loaded, found)
        return finish(request, run, facts, Result(model, files, told, warnings, sections, begun))


def segmented_tomogram(
    request: SegmentRequest, model: SegmentationModel, run: RunDirectory, progress: Progress
) -> dict[str, Any]:
    """Segment a tomogram."""
    written_suffix(request.output)
    source = open_tomogram(request, model)
    memory = check_memory(source, model, request.input)
    shape = (len(model.description.classes) - 1, *source.fitted.shape)
    outputs = [request.output, *probability_files(request, model)]
    digests = claim(request, run, outputs, 5 * source.volume.data.size)
    store = SlabStore(run.path / "unfinished", shape)
    with run.locked():
        begun = time.monotonic()
        if request.overwrite:
            store.clear()
        facts = begin(request, run, digests)
        progress.note(f"{' × '.join(map(str, source.fitted.shape))} voxels, {memory}")
        for text in source.warnings:
            progress.warn(text)
        try:
            found = segment_tomogram(source, model, store, progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        files = write_segmentation(request, source, model, found)
        labels: NDArray[Any] = open_volume(request.output, allow_damaged=True).data
        counts = np.bincount(np.ravel(labels), minlength=len(model.description.classes))
        shares = {n: float(c / labels.size) for n, c in zip(model.description.classes, counts, strict=True)}
        told = {"shape": list(source.volume.shape), "resampled": source.fitted is not source.volume.data}
        told |= {"shares": shares, "contrast_turned": source.turned}
        sections = tomogram_sections(source, labels)
        outcome = finish(request, run, facts, Result(model, files, told, source.warnings, sections, begun))
        store.clear()
    return outcome


def begin(request: SegmentRequest, run: RunDirectory, digests: dict[str, str]) -> dict[str, Any]:
    """Record that the run starts."""
    return run.begin(KIND, request.to_json(), inputs_sha256=digests, command=request.command())


def finish(
    request: SegmentRequest, run: RunDirectory, facts: dict[str, Any], result: Result
) -> dict[str, Any]:
    """Write report and `run.json`; returns what a user wants to know."""
    seconds = round(time.monotonic() - result.begun, 2)
    facts |= {"status": "done", "classes": list(result.model.description.classes), **result.told}
    facts |= {"outputs": list(map(str, result.files)), "warnings": list(result.warnings), "seconds": seconds}
    write_text_atomic(run.report, page_of(request, result.model, facts, result.sections))
    run.write(facts)
    kept = ("classes", "warnings", "seconds", *result.told)
    places = {"output": str(request.output), "run_dir": str(run.path), "report": str(run.report)}
    return {**places, "outputs": facts["outputs"], **{key: facts[key] for key in kept}}


def page_of(
    request: SegmentRequest,
    model: SegmentationModel,
    facts: Mapping[str, Any],
    sections: Sequence[TableSection],
) -> str:
    """The report, from what `run.json` says and the pictures."""
    summary = {
        "input": str(request.input),
        "model": str(request.model),
        "classes": ", ".join(facts["classes"]),
        "voxel spacing of the model": f"{model.description.voxel_spacing_angstrom:.4g} Å",
        **{name.replace("_", " "): words(facts[name]) for name in TOLD if name in facts},
        "time": f"{facts['seconds']:.0f} s",
    }
    return segmentation_report(summary, sections, request.command(), facts["warnings"])


def rerender_segmentation(run_dir: Path) -> Path:
    """Write the report of a finished run again; subtomograms are segmented anew for it.

    Raises
    ------
    InputError
        If it is not finished, or a file is not what it was.
    """
    run, facts = finished_run(run_dir, KIND)
    with damage_in_words(run):
        request = SegmentRequest.from_json(facts["request"], run.path)
    model = load_segmentation_model(request.model, choose_device(request.device).device)
    if is_set(request.input):
        source, grid = open_set(request, model)
        sections = set_sections(*segment_set(request, source, grid, model, SilentProgress()))
    else:
        labels: NDArray[Any] = open_volume(request.output, allow_damaged=True).data
        sections = tomogram_sections(open_tomogram(request, model), labels)
    return write_text_atomic(run.report, page_of(request, model, facts, sections))


def words(value: Any) -> str:
    """A fact for people."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {words(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " × ".join(map(str, value))
    return f"{value:.2%}" if isinstance(value, float) else str(value)


def claim(request: SegmentRequest, run: RunDirectory, outputs: list[Path], size: int) -> dict[str, str]:
    """Make sure that writing will work and is allowed; returns the inputs' digests."""
    paths = (request.input, request.model / "model.json", request.model / "model.safetensors")
    for output in outputs:
        if output.resolve() == request.input.resolve() or request.input.resolve() in output.resolve().parents:
            raise InputError("the output is in the input", path=output, remedy="choose another -o")
    digests = {str(path): file_sha256(path) for path in paths}
    resuming = run.unfinished(KIND, lambda facts: is_of(request, facts), digests, request.overwrite)
    for output in outputs:
        remove_stale(output)
        if output.name == LABELS:
            if output.exists() and not (request.overwrite or resuming):
                raise InputError("output exists", path=output, remedy="add --overwrite or choose another -o")
            check_writable(run.path / "run.json", size, True)
        else:
            check_writable(output, size, request.overwrite or resuming)
    check_writable(run.path / "run.json", 0, True)
    return digests


def is_of(request: SegmentRequest, facts: Mapping[str, Any]) -> bool:
    """Whether a `run.json` is of this request."""
    return same_request(facts["request"], request.to_json())


def resume_segmentation(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Go on with a stopped segmentation from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a file it reads is not what it was.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        request = SegmentRequest.from_json(facts["request"], run.path)
    check_unchanged(facts.get("inputs_sha256", {}))
    return segment_file(request, progress)
