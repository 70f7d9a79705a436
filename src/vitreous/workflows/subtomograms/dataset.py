"""Sets of simulated subtomograms, in memory or as files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import vitreous
from vitreous.core import InputError, Interrupted, Progress, SilentProgress
from vitreous.io import check_writable, file_sha256, write_text_atomic
from vitreous.simulate import Subtomogram, SubtomogramSet, SubtomogramSettings, SubtomogramSimulator, Which
from vitreous.workflows.run_directory import RunDirectory, damage_in_words, stopped_run
from vitreous.workflows.simulate.spec import ParticleSpec
from vitreous.workflows.simulate.structures import template_of
from vitreous.workflows.subtomograms.files import BYTES_PER_VOXEL, BlockStore, SubtomogramFolder
from vitreous.workflows.subtomograms.report import subtomogram_report
from vitreous.workflows.subtomograms.request import SubtomogramRequest, expanded, parsed_structures

KIND = "subtomograms"
BLOCK = 50  # subtomograms that an interruption can cost
FORMATS = ("zarr", "mrc")
FILES = ("model", "map")


def simulate_subtomograms(
    structures: Sequence[str], settings: SubtomogramSettings | None = None, progress: Progress | None = None
) -> SubtomogramSet:
    """Simulate subtomograms, in memory; the same ones that `vitreous simulate subtomograms` writes.

    Parameters
    ----------
    structures
        "phantom:NAME", "pdb:ID", paths of atomic models, or "MAP.mrc=MASS" with the mass in kDa;
        "vox-uda-1" and "vox-uda-2" are the sets of that paper, as phantoms.
    settings
        See `SubtomogramSettings`; those of Vox-UDA's source domain when not given.
    progress
        Receives progress.

    Raises
    ------
    InputError
        If a structure cannot be read or does not fit the box, or an SNR makes no sense.
    Interrupted
        If the user stopped.

    Examples
    --------
    >>> made = simulate_subtomograms(["phantom:ldh"], SubtomogramSettings(count=2, snrs=(0.05,), side=24))
    >>> made.densities.shape, made.poses.names
    ((2, 24, 24, 24), ('phantom:ldh', 'phantom:ldh'))
    """
    simulator = _simulator(parsed_structures(expanded(structures)), settings or SubtomogramSettings())
    progress = progress or SilentProgress()
    progress.start("subtomograms", len(simulator))
    wanted = simulator.all
    return SubtomogramSet.of(simulator, wanted, _watched(simulator, wanted, progress))


def write_subtomograms(request: SubtomogramRequest, progress: Progress) -> dict[str, Any]:
    """Simulate subtomograms into a folder, going on where an earlier run of the same request stopped.

    The folder gets the volumes, `subtomograms.csv` (which `read_pose_table` reads too; `instance` - 1 is
    the index in the Zarr arrays), `report.html` and `run.json`. Volumes and table appear when all is done.

    Returns
    -------
    dict
        Plain values: output, table, count, classes, seconds and warnings.

    Raises
    ------
    InputError
        If the request makes no sense, a structure cannot be read, or the folder holds other results.
    Interrupted
        If the user stopped; what was made is kept for the next run.
    """
    if request.format not in FORMATS:
        raise InputError(f"--format {request.format} is none", remedy=f"use one of {', '.join(FORMATS)}")
    run = RunDirectory(request.output)
    label = f"vitreous {vitreous.__version__}: simulated subtomograms"
    folder = SubtomogramFolder(run.path, request.settings, request.format, label)
    structures = parsed_structures(request.structures)
    digests = {one.structure: file_sha256(one.structure) for one in structures if one.source in FILES}
    resuming = _claim(request, run, folder, digests)
    simulator = _simulator(structures, request.settings)
    # Blocks stay until all is written.
    check_writable(
        run.path / "run.json", 2 * BYTES_PER_VOXEL * len(simulator) * request.settings.side**3, True
    )
    blocks = BlockStore(run.path / "unfinished")
    with run.locked():
        if not resuming:
            blocks.clear()
        began = time.monotonic()
        facts = run.begin(KIND, request.to_json(), inputs_sha256=digests, command=request.command())
        try:
            _make_blocks(simulator, blocks, progress)
        except Interrupted:
            run.write({**facts, "status": "interrupted"})
            raise Interrupted(run.path) from None
        result = _finish(simulator, blocks, folder, progress)
        page = subtomogram_report(simulator, request.command(), result["warnings"])
        write_text_atomic(run.report, page)
        result["seconds"] = round(time.monotonic() - began, 2)
        run.write({**facts, "status": "done", **result})
        blocks.clear()
    return {"run_dir": str(run.path), "report": str(run.report), **result}


def resume_subtomograms(run_dir: Path, progress: Progress) -> dict[str, Any]:
    """Go on with a stopped run from its folder alone.

    Raises
    ------
    InputError
        If it is finished, or no run of this kind.
    """
    run, facts = stopped_run(run_dir, KIND)
    with damage_in_words(run):
        asked = facts["request"]
        settings = SubtomogramSettings.model_validate(asked["settings"])
        request = SubtomogramRequest(tuple(asked["structures"]), run.path, settings, asked["format"])
    return write_subtomograms(request, progress)


def _simulator(structures: Sequence[ParticleSpec], settings: SubtomogramSettings) -> SubtomogramSimulator:
    templates = [
        replace(template_of(one, settings.voxel_spacing_angstrom), name=one.class_name) for one in structures
    ]
    return SubtomogramSimulator(templates, settings)


def _claim(
    request: SubtomogramRequest, run: RunDirectory, folder: SubtomogramFolder, digests: Mapping[str, str]
) -> bool:
    """Whether to go on with what is in the folder; refuses what must not be replaced."""
    run.refuse_other_kind(KIND)
    if request.overwrite:
        return False
    remedy = "add --overwrite or choose another -o"
    if run.exists():
        facts = run.read()
        if facts["request"] != request.to_json():
            raise InputError("holds another run", path=run.path, remedy=remedy)
        if facts["status"] == "done":
            raise InputError("holds these subtomograms already", path=run.path, remedy=remedy)
        if facts.get("inputs_sha256") != digests:
            raise InputError("a structure has changed since this run began", path=run.path, remedy=remedy)
        return True
    existing = folder.existing()
    if existing is not None:
        raise InputError("output exists", path=existing, remedy=remedy)
    return False


def _parts(simulator: SubtomogramSimulator) -> Iterator[tuple[int, list[Which]]]:
    """First instance and contents of every block."""
    wanted = simulator.all
    for first in range(0, len(wanted), BLOCK):
        yield first + 1, wanted[first : first + BLOCK]


def _make_blocks(simulator: SubtomogramSimulator, blocks: BlockStore, progress: Progress) -> None:
    """Make every block that is not there yet."""
    missing = [part for part in _parts(simulator) if blocks.get(part[0]) is None]
    done = len(simulator) - sum(len(wanted) for _, wanted in missing)
    if done:
        progress.note(f"going on with the run that was stopped: {done} subtomograms are there")
    progress.start("subtomograms", len(simulator), done)
    for first, wanted in missing:
        blocks.put(SubtomogramSet.of(simulator, wanted, _watched(simulator, wanted, progress), first))


def _watched(
    simulator: SubtomogramSimulator, wanted: Sequence[Which], progress: Progress
) -> Iterator[Subtomogram]:
    """Subtomograms one after another, until the user wants to stop."""
    for made in simulator.make_many(wanted):
        if progress.should_stop():
            raise Interrupted
        yield made
        progress.advance()


def _finish(
    simulator: SubtomogramSimulator, blocks: BlockStore, folder: SubtomogramFolder, progress: Progress
) -> dict[str, Any]:
    """Bring the blocks into their final form."""
    lonely = 0

    def counted() -> Iterator[SubtomogramSet]:
        nonlocal lonely
        for block in blocks.all(first for first, _ in _parts(simulator)):
            lonely += sum(len(names) < simulator.settings.neighbours for names in block.neighbours)
            yield block

    progress.start("writing", len(simulator))
    output = folder.write(len(simulator), counted(), progress.advance)
    warnings = [f"{lonely} subtomograms have fewer neighbours than asked for: no room"] if lonely else []
    for text in warnings:
        progress.warn(text)
    return {
        "output": str(output),
        "table": str(folder.table),
        "count": len(simulator),
        "classes": [template.name for template in simulator.templates],
        "warnings": warnings,
    }
