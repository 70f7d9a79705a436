"""Pick from one file into its run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress, SilentProgress
from vitreous.io import (
    check_writable,
    file_sha256,
    open_volume,
    particle_format,
    read_pose_table,
    remove_stale,
    write_particles,
    write_pose_table,
    write_text_atomic,
)
from vitreous.io.names import tomogram_name
from vitreous.workflows.pick.from_labels import LabelPicker
from vitreous.workflows.pick.from_template import TemplatePicker
from vitreous.workflows.pick.pickers import BlobPicker, Found, Picker
from vitreous.workflows.pick.report import pick_report, score_histogram
from vitreous.workflows.pick.request import PickRequest, PickSettings
from vitreous.workflows.pick.source import PickSource, check_memory, open_pick_source
from vitreous.workflows.run_directory import RunDirectory, check_unchanged, damage_in_words
from vitreous.workflows.search_template import absolute_structure

KIND = "pick"
BYTES_PER_PICK, EXPECTED_PICKS = 400, 1000  # of the file of picks
PICKERS: Mapping[str, Picker] = {"dog": BlobPicker(), "labels": LabelPicker(), "template": TemplatePicker()}
ASSUMED_PIXEL: Mapping[str, str] = {
    "relion5": "RELION 5 places these particles by the pixel of the tilt series, which was taken to be the "
    "tomogram's voxel of {:.4g} Å: if it is another, give --tilt-series-pixel.",
    "relion4": "RELION 4 counts coordinates in the pixel of the tilt series, which was taken to be the "
    "tomogram's voxel of {:.4g} Å: if it is another, give --tilt-series-pixel.",
}
TABLE = "picks.csv"  # in the run directory: the same with names, which not every format has


def pick_file(request: PickRequest, progress: Progress) -> dict[str, Any]:
    """Pick particles in one tomogram: a file of particles, and a run directory with `report.html`.

    Returns
    -------
    dict
        What `run.json` says of the finished run, with where it is.

    Raises
    ------
    InputError
        If the input is unusable, or the output exists and is not this run's.
    Interrupted
        If the user stopped; picking takes seconds to minutes and begins anew when resumed.
    """
    request.settings.check()
    picker = PICKERS[request.settings.method]
    kind = particle_format(request.output, request.settings.format)
    check_format(request, kind)
    config = picker.config(replace(request.settings, format=kind))
    run = RunDirectory(request.run_dir)
    source = open_pick_source(request)
    try:
        prepared = picker.prepared(source, config)
    except ValueError as error:
        raise InputError(str(error), path=request.input, remedy=picker.remedy) from error
    memory = check_memory(source, picker.memory(source, config), request.settings.max_memory)
    inputs = {str(path): file_sha256(path) for path in request.volumes}
    claim(request, run, inputs)
    with run.locked():
        begun = time.monotonic()
        progress.note(memory)
        facts = run.begin(KIND, request.to_json(), inputs_sha256=inputs, command=request.command())
        try:
            found = picker.pick(source, config, prepared, progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        warnings = (*source.warnings, *found.doubts, *pixel_doubts(request, kind, source))
        for text in warnings:
            progress.warn(text)
        write_picks(request, source, found)
        write_pose_table(run.path / TABLE, found.poses, overwrite=True)
        facts |= {
            "status": "done",
            "method": request.settings.method,
            "settings": config.model_dump(mode="json"),
            "described": dict(picker.described(config)),
            "threshold": picker.threshold(config),
            "diameters_angstrom": dict(found.diameters_angstrom),
            "picks": len(found.poses),
            "candidates": len(found.candidates),
            **found.facts,
            "histogram": score_histogram(found),
            "seconds": round(time.monotonic() - begun, 2),
            "warnings": list(warnings),
            "output_sha256": file_sha256(request.output),
        }
        write_text_atomic(
            run.report, pick_report(request, facts, source.volume, found.poses, picker.score_text)
        )
        run.write(facts)
    return outcome(request, run, facts)


def pick(
    tomogram: str | Path,
    output: str | Path,
    *,
    mask: str | Path | None = None,
    run_dir: str | Path | None = None,
    voxel_size_angstrom: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Pick particles in a tomogram, a label volume or a probability map.

    Parameters
    ----------
    tomogram
        A file.
    output
        The file of picks; its suffix says for which program.
    mask
        Specimen mask: picks lie where it is above 0.5.
    run_dir
        Where the report goes; beside the output if None, with its suffix in the name: TS_1.run may be that
        of a denoised TS_1.mrc.
    voxel_size_angstrom
        Where the file has none.
    overwrite
        Replace what an earlier run left.
    progress
        Receives progress; silent by default.
    **settings
        Fields of `PickSettings`, such as `method` or `diameter_angstrom`.

    Returns
    -------
    dict
        How many "picks" there are, where they are in "output" and "report".

    Raises
    ------
    InputError
        If something cannot be used.
    """
    asked, place = PickSettings(**settings), Path(output).absolute()
    if asked.template is not None:
        asked = replace(asked, template=absolute_structure(asked.template))
    folder = place.parent / f"{place.name}.run" if run_dir is None else Path(run_dir).absolute()
    within = None if mask is None else Path(mask).absolute()
    request = PickRequest(
        Path(tomogram).absolute(), place, folder, asked, within, voxel_size_angstrom, overwrite
    )
    return pick_file(request, progress or SilentProgress())


def resume_picking(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Pick again what was stopped, from its run directory alone.

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
    return pick_file(replace(request, run_dir=run.path), progress)


def rerender_picks(run_dir: Path) -> Path:
    """Write the report of a finished run again, from its files.

    Raises
    ------
    InputError
        If it is not finished, no run of this kind, or a file it reads or wrote is not what it was.
    """
    run = RunDirectory(run_dir.absolute())
    request, facts = request_of(run)
    if facts["status"] != "done":
        raise InputError("is no finished run", path=run.path, remedy="resume it first")
    check_unchanged({**facts["inputs_sha256"], str(request.output): facts["output_sha256"]})
    volume = open_volume(request.input, voxel_spacing_angstrom=request.voxel_size_angstrom)
    poses = read_pose_table(run.path / TABLE)
    text = PICKERS[request.settings.method].score_text
    return write_text_atomic(run.report, pick_report(request, facts, volume, poses, text))


def request_of(run: RunDirectory) -> tuple[PickRequest, dict[str, Any]]:
    """The request that a run directory holds, and all that its `run.json` says."""
    facts = run.read()
    if facts["kind"] != KIND:
        raise InputError(f"holds a run of kind {facts['kind']}", path=run.path)
    with damage_in_words(run):
        return PickRequest.from_json(facts["request"]), facts


def claim(request: PickRequest, run: RunDirectory, inputs: Mapping[str, str]) -> None:
    """Make sure that writing the output is allowed and will work, before any work is done."""
    for path in request.volumes:
        if request.output.resolve() == path.resolve():
            raise InputError("the output is an input", path=request.output, remedy="choose another -o")
    resuming = run.unfinished(KIND, request.is_of, inputs, request.overwrite)
    remove_stale(request.output)
    check_writable(request.output, BYTES_PER_PICK * EXPECTED_PICKS, request.overwrite or resuming)
    check_writable(run.path / "run.json", 0, True)


def check_format(request: PickRequest, kind: str) -> None:
    """Raise InputError for what the output's format has no place for."""
    pixel, name = request.settings.tilt_series_pixel_angstrom, request.settings.tomogram_name
    if pixel is not None and kind not in ASSUMED_PIXEL:
        raise InputError("--tilt-series-pixel goes with files of RELION", remedy="leave it out")
    if name is not None and kind == "poses":
        raise InputError("--tomogram-name goes with .star, .tbl and .json", remedy="leave it out")
    if name is not None and kind == "dynamo" and not name.isdecimal():
        raise InputError("--tomogram-name of a table of Dynamo is a number", remedy="give its number")


def pixel_doubts(request: PickRequest, kind: str, source: PickSource) -> tuple[str, ...]:
    """What was assumed of the tilt series' pixel, as a sentence; none if it is given or not needed."""
    if request.settings.tilt_series_pixel_angstrom is not None or kind not in ASSUMED_PIXEL:
        return ()
    return (ASSUMED_PIXEL[kind].format(source.spacing_angstrom),)


def write_picks(request: PickRequest, source: PickSource, found: Found) -> None:
    """Write the file of particles."""
    write_particles(
        request.output,
        found.poses,
        tomogram_name=request.settings.tomogram_name or tomogram_name(request.input),
        shape=source.volume.shape,
        voxel_spacing_angstrom=source.spacing_angstrom,
        tilt_series_pixel_angstrom=request.settings.tilt_series_pixel_angstrom,
        scores=found.scores,
        kind=request.settings.format,
        overwrite=True,  # claim() has looked
    )


def outcome(request: PickRequest, run: RunDirectory, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a user wants to know of a finished run."""
    kept = ["method", "settings", "picks", "candidates", "seconds", "warnings"]
    kept += [key for key in ("diameter_angstrom", "classes", "threshold", "orientations") if key in facts]
    places = {"output": str(request.output), "run_dir": str(run.path), "report": str(run.report)}
    return {**places, **{key: facts[key] for key in kept}}
