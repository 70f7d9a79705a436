"""Pick from one file into its run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import InputError, Interrupted, Poses, Progress
from vitreous.io import (
    check_writable,
    file_sha256,
    open_volume,
    read_relion_particles,
    remove_stale,
    write_relion5_particles,
    write_text_atomic,
)
from vitreous.picking import DogConfig, Picked, Picks, pick_blobs
from vitreous.workflows.denoise_files import plain_name
from vitreous.workflows.pick.report import pick_report, score_histogram
from vitreous.workflows.pick.request import PickRequest
from vitreous.workflows.pick.source import PickSource, check_memory, open_pick_source
from vitreous.workflows.run_directory import RunDirectory, check_unchanged

KIND = "pick"
BYTES_PER_PICK = 400  # of the STAR file
OTHER_POLARITY = -0.4  # skewness of the score map; noise alone stays within ±0.2


def pick_file(request: PickRequest, progress: Progress) -> dict[str, Any]:
    """Pick particles in one tomogram: a RELION 5 STAR file, and a run directory with `report.html`.

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
    config = request.settings.config()
    run = RunDirectory(request.run_dir)
    source = open_pick_source(request, config)
    memory = check_memory(source, config, request.settings.max_memory)
    inputs = {str(path): file_sha256(path) for path in request.volumes}
    claim(request, run, inputs, config)
    with run.locked():
        begun = time.monotonic()
        progress.note(f"particles of {config.diameter_angstrom:.0f} Å, {memory}")
        facts = run.begin(KIND, request.to_json(), inputs_sha256=inputs, command=request.command())
        try:
            picked = pick_blobs(
                source.volume.data,
                (source.spacing_angstrom,) * 3,
                config,
                mask=source.mask,
                statistics=source.statistics,
                progress=progress,
            )
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        warnings = (*source.warnings, *doubts(picked, config))
        for text in warnings:
            progress.warn(text)
        write_picks(request, source, picked.picks)
        facts |= {
            "status": "done",
            "method": request.settings.method,
            "settings": config.model_dump(mode="json"),
            "diameter_angstrom": config.diameter_angstrom,
            "picks": len(picked.picks),
            "candidates": len(picked.candidates),
            "histogram": score_histogram(picked),
            "skewness": picked.skewness,
            "seconds": round(time.monotonic() - begun, 2),
            "warnings": list(warnings),
            "output_sha256": file_sha256(request.output),
        }
        write_text_atomic(run.report, pick_report(request, facts, source.volume, picked.picks))
        run.write(facts)
    return outcome(request, run, facts)


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
    particles = read_relion_particles(request.output)
    poses, scores = list(particles.poses.values()), list(particles.scores.values())
    picks = Picks(poses[0].positions_angstrom, scores[0]) if poses else Picks(np.zeros((0, 3)), np.zeros(0))
    return write_text_atomic(run.report, pick_report(request, facts, volume, picks))


def request_of(run: RunDirectory) -> tuple[PickRequest, dict[str, Any]]:
    """The request that a run directory holds, and all that its `run.json` says."""
    facts = run.read()
    if facts["kind"] != KIND:
        raise InputError(f"holds a run of kind {facts['kind']}", path=run.path)
    try:
        return PickRequest.from_json(facts["request"]), facts
    except (LookupError, TypeError) as error:
        raise InputError("run.json is damaged", path=run.path, remedy="start the run again") from error


def claim(request: PickRequest, run: RunDirectory, inputs: Mapping[str, str], config: DogConfig) -> None:
    """Make sure that writing the output is allowed and will work, before any work is done."""
    if request.output.suffix.lower() != ".star":
        text = "the output is of no type that is written here"
        raise InputError(text, path=request.output, remedy="name the output .star")
    for path in request.volumes:
        if request.output.resolve() == path.resolve():
            raise InputError("the output is an input", path=request.output, remedy="choose another -o")
    resuming = run.unfinished(request.is_of, inputs, request.overwrite)
    remove_stale(request.output)
    check_writable(request.output, BYTES_PER_PICK * config.count, request.overwrite or resuming)
    check_writable(run.path / "run.json", 0, True)


def doubts(picked: Picked, config: DogConfig) -> tuple[str, ...]:
    """What may be wrong with a result, as sentences."""
    texts = []
    if picked.non_finite:
        texts.append(f"{picked.non_finite} voxels are NaN or infinite; they were taken as the mean.")
    if picked.skewness < OTHER_POLARITY:
        told, other = ("bright", "dark") if config.bright else ("dark", "bright")
        change = "leave out" if config.bright else "add"
        texts.append(
            f"Particles were taken to be {told}, but {other} blobs stand out more: {change} --invert?"
        )
    above = int((picked.candidates > config.threshold).sum())
    if not len(picked.picks):
        texts.append(
            f"Nothing scores above the threshold of {config.threshold:g}: the file of picks is empty. "
            "A lower --threshold or another --diameter may find something."
        )
    elif above > len(picked.picks):
        texts.append(
            f"{above} maxima score above the threshold, and the best {len(picked.picks)} were kept: "
            "raise --count for more."
        )
    return tuple(texts)


def write_picks(request: PickRequest, source: PickSource, picks: Picks) -> None:
    """Write the STAR file; orientations are not known and written as none."""
    count = len(picks)
    rotations = np.tile(np.eye(3), (count, 1, 1))
    write_relion5_particles(
        request.output,
        Poses(rotations, picks.positions_angstrom, ("particle",) * count),
        tomogram_name=plain_name(request.input),
        shape=source.volume.shape,
        voxel_spacing_angstrom=source.spacing_angstrom,
        scores=picks.scores,
        overwrite=True,  # claim() has looked
    )


def outcome(request: PickRequest, run: RunDirectory, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a user wants to know of a finished run."""
    kept = ("method", "diameter_angstrom", "settings", "picks", "candidates", "seconds", "warnings")
    places = {"output": str(request.output), "run_dir": str(run.path), "report": str(run.report)}
    return {**places, **{key: facts[key] for key in kept}}
