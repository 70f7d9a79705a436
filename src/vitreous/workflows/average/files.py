"""Average the picks of files into a folder, and go on with a run that was stopped."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitreous.averaging import (
    Round,
    WedgeAverage,
    finest_passed,
    low_passed,
    particle_mask,
    refine_halves,
    starting_halves,
)
from vitreous.core import InputError, Interrupted, Poses, Progress, Volume
from vitreous.core.volume import as_spacing
from vitreous.io import (
    ALIGNMENT_SCORE,
    SUBSET,
    check_writable,
    write_aligned_particles,
    write_text_atomic,
    write_volume,
)
from vitreous.metrics import fourier_shell_correlation, fsc_resolution
from vitreous.workflows.average.particles import Opened, TomogramParticles, open_particles
from vitreous.workflows.average.plan import box_side, check_memory, diameter_of
from vitreous.workflows.average.report import average_report
from vitreous.workflows.average.request import AverageRequest
from vitreous.workflows.average.rounds import (
    SUFFIXES,
    forget_rounds,
    last_round,
    round_files,
    save_round,
    told_rounds,
)
from vitreous.workflows.run_directory import RunDirectory, check_unchanged, damage_in_words
from vitreous.workflows.search_template import SearchTemplate, digests, open_template

KIND = "average"
MAPS = ("average", "half1", "half2", "average_filtered")
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
    inputs = digests(request.inputs)
    resuming = claimed(request, run, inputs, side)
    begun = time.monotonic()
    with run.locked():
        if not resuming:
            forget_rounds(run.path)  # before the new request is recorded, which would go on with them
        facts = run.begin(KIND, request.to_json(), inputs_sha256=inputs, command=request.command())
        progress.note(f"{opened.count} particles in boxes of {side} voxels, {memory}")
        try:
            done, history = averaged(request, opened, template, side, progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        facts |= finished(request, opened, template, done, history)
        facts |= {"status": "done", "seconds": round(time.monotonic() - begun, 1)}
        for text in facts["warnings"]:
            progress.warn(text)
        write_results(request, opened, done, facts)
        write_text_atomic(run.report, average_report(request, facts, done))
        run.write(facts)
    return outcome(request, facts)


def claimed(request: AverageRequest, run: RunDirectory, inputs: Mapping[str, str], side: int) -> bool:
    """Whether an unfinished run is gone on with; InputError if the folder holds what must not be replaced."""
    resuming = run.unfinished(request.is_of, inputs, request.overwrite)
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


def averaged(
    request: AverageRequest, opened: Opened, template: SearchTemplate | None, side: int, progress: Progress
) -> tuple[Round, list[dict[str, Any]]]:
    """All rounds that are not done yet; the last one, and what is told of each."""
    particles = TomogramParticles(opened, side, bright=request.settings.invert)
    config = request.settings.config(diameter_of(request, template))
    done = last_round(request.output)
    folder = request.output
    if done is not None:
        progress.note(f"going on after round {done.number}")
    half = starting_halves(len(particles))
    references = torch.zeros(2, side, side, side)
    if done is None:
        reference = own_average(particles, config.symmetry) if template is None else template.box(side)
        references = reference.expand(2, -1, -1, -1)
    for one in refine_halves(
        particles, half, references, particles.start(), config, done=done, progress=progress
    ):
        save_round(folder, one)
        done = one
        progress.note(f"round {one.number}: {one.resolution_angstrom:.1f} Å")
    assert done is not None
    return done, told_rounds(folder)


def own_average(particles: TomogramParticles, symmetry: str) -> Tensor:
    """The mean of all particles as the picks have them."""
    sums, start = WedgeAverage(particles.side, symmetry), particles.start()
    for numbers, wedge in particles.groups():
        for number in numbers:
            block = number[None]
            sums.add(particles.boxes(block), start.select(block), wedge)
    return sums.volume()


def finished(
    request: AverageRequest,
    opened: Opened,
    template: SearchTemplate | None,
    done: Round,
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    """What `run.json` says of the result."""
    spacing, side = opened.spacing_angstrom, done.average.shape[0]
    particles = TomogramParticles(opened, side, bright=request.settings.invert)
    mask = particle_mask(particles, request.settings.config(diameter_of(request, template))).numpy()
    curve, resolution = None, None
    if template is not None:
        box = template.box(side).numpy() * mask
        found = fourier_shell_correlation(done.average.numpy() * mask, box)
        curve, resolution = found[1].tolist(), fsc_resolution(found, spacing)
    return {
        "particles": opened.count,
        "box_voxels": side,
        "voxel_spacing_angstrom": spacing,
        "diameter_angstrom": diameter_of(request, template) or (side - 10) * spacing,
        "resolution_angstrom": plain(done.resolution_angstrom),
        "finest_used_angstrom": done.finest_used_angstrom,
        "evidence_beyond_angstrom": finest_passed(request.settings.low_pass_angstrom),
        "template_fsc": curve,
        "template_resolution_angstrom": plain(resolution),
        "mean_score": float(done.poses.scores.mean()),
        "rounds": history,
        "settings": request.to_json()["settings"],
        "wedges": {one.name: one.wedge.described for one in opened.tomograms},
        "warnings": [*opened.warnings, *doubts(request, done, spacing)],
    }


def doubts(request: AverageRequest, done: Round, spacing: float) -> list[str]:
    """What may be wrong with a result, as sentences."""
    limit = finest_passed(request.settings.low_pass_angstrom)
    texts = []
    if not done.resolution_angstrom < limit:
        texts.append(
            f"The half maps agree no further than the {limit:.0f} Å up to which they share detail: that is "
            "no evidence of a particle. Check --invert, the picks and the template."
        )
    if abs(done.resolution_angstrom - 2 * spacing) < 1e-6:
        texts.append(
            "The FSC never falls to 0.143: smaller voxels would show more, or the halves share noise."
        )
    if request.settings.template is None:
        texts.append("Without a template the average's orientation and hand are its own choice.")
    return texts


def write_results(request: AverageRequest, opened: Opened, done: Round, facts: Mapping[str, Any]) -> None:
    """Maps, FSC and aligned particles."""
    folder, spacing = request.output, opened.spacing_angstrom
    finest = done.resolution_angstrom
    filtered = low_passed(done.average, min(0.5, spacing / finest)) if math.isfinite(finest) else done.average
    for name, values in zip(MAPS, (done.average, *done.halves, filtered), strict=True):
        volume = Volume(values.numpy().astype(np.float32), as_spacing(spacing))
        write_volume(folder / f"{name}.mrc", volume, overwrite=True, label=f"vitreous average: {name}")
    fsc = {
        "frequency_per_angstrom": (done.fsc.frequency / spacing).tolist(),
        **{
            name: getattr(done.fsc, name).tolist()
            for name in ("unmasked", "masked", "randomized", "corrected")
        },
        "against_template": facts["template_fsc"],
        "resolution_angstrom": facts["resolution_angstrom"],
        "evidence_beyond_angstrom": facts["evidence_beyond_angstrom"],
    }
    write_text_atomic(folder / "fsc.json", json.dumps(fsc, indent=2) + "\n")
    particles = TomogramParticles(opened, done.average.shape[0], bright=request.settings.invert)
    names = tuple(name for one in opened.tomograms for name in one.poses.names)
    write_aligned_particles(
        folder / "aligned.star",
        opened.table,
        np.concatenate([one.rows for one in opened.tomograms]),
        Poses(done.poses.rotations.numpy(), particles.positions_angstrom(done.poses), names),
        shapes={one.name: one.volume.shape for one in opened.tomograms},
        voxel_spacing_angstrom=spacing,
        columns={
            ALIGNMENT_SCORE: done.poses.scores.tolist(),
            SUBSET: [int(h) + 1 for h in starting_halves(len(particles))],
        },
        overwrite=True,
    )


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


def plain(value: float | None) -> float | None:
    """None for what JSON cannot say."""
    return value if value is not None and math.isfinite(value) else None
