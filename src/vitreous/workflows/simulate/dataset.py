"""Simulate any number of tomograms into a folder, one at a time; finished ones are left alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Interrupted, Progress, Template
from vitreous.inference.memory import GIGABYTE
from vitreous.io import atomic_folder, check_writable, faults_in_words, write_text_atomic
from vitreous.workflows.run_directory import RunDirectory, damage_in_words, stopped_run
from vitreous.workflows.simulate.estimate import check_memory, estimate, words_for_time
from vitreous.workflows.simulate.evidence import dataset_report, warnings_of
from vitreous.workflows.simulate.files import KIND, write_tomogram
from vitreous.workflows.simulate.measured_noise import MeasuredNoise, noise_of
from vitreous.workflows.simulate.request import SimulateRequest
from vitreous.workflows.simulate.spec_file import is_file, spec_text
from vitreous.workflows.simulate.structures import build_templates, input_digests
from vitreous.workflows.simulate.tomogram import simulate_tomogram

RUN_KIND = "simulate"
SPECIFICATION = "spec.toml"


@dataclass(frozen=True)
class SimulateOutcome:
    """Where the tomograms are, and what `run.json` says of the run and of each of them."""

    output: Path
    folders: tuple[Path, ...]
    report: Path
    facts: Mapping[str, Any]
    tomograms: tuple[Mapping[str, Any], ...]


def simulate_files(request: SimulateRequest, progress: Progress) -> SimulateOutcome:
    """Simulate tomograms into a folder, going on where an earlier run of the same request stopped.

    Each tomogram gets a folder of its own, which appears complete or not at all; those that are there
    are not made again, and more can be added by asking for more.

    Raises
    ------
    InputError
        If a structure cannot be had, the memory or the disk does not suffice, nothing finds room in
        the box, or the folder holds something else.
    Interrupted
        If the user stopped; finished tomograms stay.
    """
    run = RunDirectory(request.output)
    digests = input_digests(request.spec)
    claim(request, run, digests)
    missing = [i for i in range(request.spec.tomograms) if request.overwrite or not is_made(request, i)]
    templates: Sequence[Template] = ()
    noise = None
    if missing:
        announce(request, len(missing), progress)
        templates = build_templates(request.spec, progress)
        told = None if request.like is None else request.like.voxel_size_angstrom
        noise = noise_of(request.spec, progress, told)
    else:
        progress.note("already done")
    with run.locked():
        facts = run.begin(RUN_KIND, request.to_json(), inputs_sha256=digests, command=request.command())
        if request.overwrite:
            clear(request.output)
        write_text_atomic(request.output / SPECIFICATION, spec_text(request.spec))
        try:
            for number, index in enumerate(missing, 1):
                progress.note(f"{number} of {len(missing)}: {request.folder(index)}")
                simulate_folder(request, index, templates, noise, progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        except InputError:
            run.write({**facts, "status": "failed"})
            raise
        return finish(request, run, facts)


def resume_simulation(run_dir: Path, progress: Progress) -> SimulateOutcome:
    """Go on with a stopped run from its folder alone.

    Raises
    ------
    InputError
        If it is finished, no run of this kind, or a structure is not what it was.
    """
    run, facts = stopped_run(run_dir, RUN_KIND)
    return simulate_files(request_of(run, facts), progress)


def rerender_simulation(run_dir: Path) -> Path:
    """Write the report of a finished run again, from its files.

    Raises
    ------
    InputError
        If it is not finished, or no run of this kind.
    """
    run = RunDirectory(run_dir.absolute())
    facts = run.read()
    if facts["kind"] != RUN_KIND or facts["status"] != "done":
        raise InputError("is no finished simulation", path=run.path)
    request = request_of(run, facts)
    each = tuple(RunDirectory(folder).read() for folder in request.folders)
    return write_text_atomic(run.report, dataset_report(request, each))


def request_of(run: RunDirectory, facts: Mapping[str, Any]) -> SimulateRequest:
    """The request that a `run.json` holds."""
    with damage_in_words(run):
        return SimulateRequest.from_json(facts["request"], run.path)


def claim(request: SimulateRequest, run: RunDirectory, digests: Mapping[str, str]) -> None:
    """Make sure that the folder is free for this request, before any work is done."""
    check_inputs_stay(request, run, digests)
    remedy = "add --overwrite or choose another -o"
    run.refuse_other_kind(RUN_KIND)
    if run.exists() and not request.overwrite:
        facts = run.read()
        if not request.continues(facts["request"]):
            raise InputError("holds another run", path=run.path, remedy=remedy)
        for path, digest in digests.items():
            if facts.get("inputs_sha256", {}).get(path) != digest:
                raise InputError(f"changed since the run in {run.path} began", path=path, remedy=remedy)
    for index, folder in enumerate(request.folders):
        ours = tomogram_facts(folder) is not None if request.overwrite else is_made(request, index)
        if folder.exists() and not ours:
            raise InputError("is in the way", path=folder, remedy="move it, or choose another -o")
    check_writable(run.path / "run.json", 0, overwrite=True)


def check_inputs_stay(request: SimulateRequest, run: RunDirectory, digests: Mapping[str, str]) -> None:
    """Raise InputError if an input is, or holds, what the run writes, or would remove with `overwrite`."""
    folder, elsewhere = run.path.resolve(), "choose another -o"
    written = {folder / name for name in ("run.json", "report.html", SPECIFICATION)}
    for path in map(Path, [*digests, *([request.source] if is_file(request.source) else [])]):
        real = path.resolve()
        tomograms = [place for place in real.parents if place.parent == folder and tomogram_facts(place)]
        if real in written or tomograms:
            raise InputError("would be replaced by the result", path=path, remedy=elsewhere)
        if real in (folder, *folder.parents):
            raise InputError(f"lies in {path}", path=run.path, remedy=elsewhere)


def announce(request: SimulateRequest, count: int, progress: Progress) -> None:
    """Say what will be done and what it takes; refuse what memory or disk do not hold."""
    spec = request.spec
    taken = estimate(spec, count)
    check_memory(spec, taken.memory_bytes, request.max_memory)
    check_writable(request.output / "run.json", taken.disk_bytes, overwrite=True)
    sides = " × ".join(map(str, spec.box.shape))
    progress.note(
        f"{count} {'tomogram' if count == 1 else 'tomograms'} of {sides} voxels (z × y × x): about "
        f"{words_for_time(taken.seconds)}, up to {taken.memory_bytes / GIGABYTE:.1f} GB of memory, "
        f"{taken.disk_bytes / GIGABYTE:.2g} GB of disk"
    )


def simulate_folder(
    request: SimulateRequest,
    index: int,
    templates: Sequence[Template],
    noise: MeasuredNoise | None,
    progress: Progress,
) -> None:
    """Make one tomogram and its folder."""
    folder = request.folder(index)
    begun = time.monotonic()
    made = simulate_tomogram(request.spec, index, templates=templates, noise=noise, progress=progress)
    progress.note(f"writing {folder}")
    with faults_in_words(folder), atomic_folder(folder) as temporary:
        write_tomogram(temporary, made, request)
    progress.note(f"done in {time.monotonic() - begun:.0f} s, SNR {made.snr:.3g}")


def finish(request: SimulateRequest, run: RunDirectory, facts: dict[str, Any]) -> SimulateOutcome:
    """Write the report of the whole and say that it is done."""
    each = tuple(RunDirectory(folder).read() for folder in request.folders)
    write_text_atomic(run.report, dataset_report(request, each))
    facts = {
        **facts,
        "status": "done",
        "tomograms": [folder.name for folder in request.folders],
        "warnings": warnings_of(request, each),
    }
    run.write(facts)
    return SimulateOutcome(run.path, request.folders, run.report, facts, each)


def is_made(request: SimulateRequest, index: int) -> bool:
    """Whether the folder of a tomogram is there, complete, and of this request."""
    facts = tomogram_facts(request.folder(index))
    if facts is None or facts.get("layout") != request.layout:
        return False
    asked = {"spec": {**request.spec.to_json(), "tomograms": 0}, "index": index}
    before = facts["request"]
    return {**before, "spec": {**before["spec"], "tomograms": 0}} == asked


def tomogram_facts(folder: Path) -> dict[str, Any] | None:
    """The `run.json` of a simulated tomogram; None if the folder is none."""
    try:
        facts = RunDirectory(folder).read()
    except InputError:
        return None
    return facts if facts["kind"] == KIND else None


def clear(output: Path) -> None:
    """Remove the tomograms of an earlier run, and nothing else."""
    with faults_in_words(output / "run.json"):
        for folder in sorted(output.iterdir()):
            if tomogram_facts(folder) is not None:
                shutil.rmtree(folder)
