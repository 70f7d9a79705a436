"""`simulate`: what the simulator must reach, check by check."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vitreous.benchmark import simulation_checks as checks
from vitreous.benchmark.runner import Record, Row
from vitreous.core import InputError, Progress, SilentProgress
from vitreous.report import TableSection
from vitreous.simulate import SubtomogramSettings
from vitreous.workflows.subtomograms import SubtomogramRequest, expanded, write_subtomograms

# A process of its own, so that the peak memory is that of the simulation alone.
SCRIPT = """
import json, resource, sys, time
begun = time.monotonic()
from pathlib import Path
from vitreous.core import SilentProgress
from vitreous.workflows.simulate import SimulateRequest, SimulationSpec, load_spec, simulate_files
asked, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
spec = load_spec(asked) if isinstance(asked, str) else SimulationSpec.model_validate(asked)
made = simulate_files(SimulateRequest(spec, folder), SilentProgress())
print(json.dumps({
    "seconds": time.monotonic() - begun,
    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    "instances": made.tomograms[0]["metrics"]["instances"],
}))
"""
CROWD = {"ribosome": 20, "26s": 20, "tric": 25, "apoferritin": 25, "rubisco": 30, "hsp90": 30}
STANDARD = {
    "box": {"shape": [128, 256, 256], "voxel_spacing_angstrom": 10.0},
    "particles": [{"structure": f"phantom:{name}", "count": count} for name, count in CROWD.items()],
}


def in_a_process(asked: object) -> checks.Figures:
    """Seconds, peak memory and instances of one tomogram, from structures to its files."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-c", SCRIPT, json.dumps(asked), f"{folder}/run"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 (our own)
    figures: checks.Figures = json.loads(done.stdout)
    return figures


def thousand_subtomograms() -> checks.Figures:
    """Seconds for 1,000 subtomograms of 32³, files included."""
    with tempfile.TemporaryDirectory() as folder:
        names = expanded(["vox-uda-1"])[:2]
        request = SubtomogramRequest(names, Path(folder) / "set", SubtomogramSettings(count=250))
        begun = time.monotonic()
        facts = write_subtomograms(request, SilentProgress())
        return {"seconds": time.monotonic() - begun, "subtomograms": facts["count"]}


@dataclass(frozen=True)
class Check:
    """What is measured, what it must reach in words, and whether figures do."""

    title: str
    reach: str
    measure: Callable[[], checks.Figures]
    is_met: Callable[[checks.Figures], bool]


CHECKS = {
    "tomogram": Check(
        "128 × 256 × 256, 41 tilts, 150 particles",
        "180 s, 3 GB",
        partial(in_a_process, STANDARD),
        lambda f: f["seconds"] <= 180 and f["peak_gb"] <= 3 and f["instances"] == 150,
    ),
    "subtomograms": Check(
        "1,000 subtomograms of 32³", "120 s", thousand_subtomograms, lambda f: f["seconds"] <= 120
    ),
    "full-range": Check(
        "back-projection over ±90° against the grand model",
        "correlation ≥ 0.98",
        checks.back_projected_full_range,
        lambda f: f["correlation"] >= 0.98,
    ),
    "average": Check(
        "average at written poses against the template, FSC to half Nyquist",
        "true ≥ 0.9, wrong < 0.5",
        checks.averaged_tomogram,
        lambda f: f["true"] >= 0.9 and f["wrong"] < 0.5,
    ),
    "average-subtomograms": Check(
        "the same of single subtomograms",
        "true ≥ 0.9, wrong < 0.5",
        checks.averaged_subtomograms,
        lambda f: f["true"] >= 0.9 and f["wrong"] < 0.5,
    ),
    "snr": Check(
        "requested against measured SNR",
        "within 5 %",
        checks.requested_snr,
        lambda f: f["relative_error"] <= 0.05,
    ),
    "halves": Check(
        f"noise of even against odd, {checks.DRAWS} draws",
        "0 within 4 standard errors",
        checks.independent_halves,
        lambda f: f["standard_errors"] <= 4,
    ),
    "ctf": Check("measured against simulated CTF zeros", "1 bin", checks.ctf_zeros, lambda f: f["bins"] <= 1),
    "masks": Check(
        "voxels and instances that contradict each other",
        "none",
        checks.mask_violations,
        lambda f: not any(f.values()),
    ),
    "adjointness": Check(
        "projector against back-projector, float32",
        "1e-5",
        checks.adjointness,
        lambda f: f["relative_error"] <= 1e-5,
    ),
    "shrec21": Check(
        "one tomogram of the preset shrec21",
        "2700 s, 14 GB",
        partial(in_a_process, "shrec21"),
        lambda f: f["seconds"] <= 2700 and f["peak_gb"] <= 14,
    ),
}
ON_REQUEST = ("shrec21",)  # takes most of an hour


def simulate_rows(only: Sequence[str], progress: Progress) -> Iterator[Row]:
    """Every check, or those named; shrec21 only when named.

    Raises
    ------
    InputError
        If there is none of a name.
    """
    for name in only or [name for name in CHECKS if name not in ON_REQUEST]:
        if name not in CHECKS:
            raise InputError(f"there is no check {name}", remedy=f"use one of {', '.join(CHECKS)}")
        yield Row({"check": name}, partial(measured, name))
    if not only:
        progress.note(f"not measured unless named with --row: {', '.join(ON_REQUEST)}")


def measured(name: str) -> Record:
    """Figures of a check, whether they are good enough, and seconds."""
    begun = time.monotonic()
    figures = CHECKS[name].measure()
    met = bool(CHECKS[name].is_met(figures))
    return {"figures": figures, "met": met, "wall_seconds": round(time.monotonic() - begun, 1)}


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """One table, a line for each check."""
    rows = []
    for r in records:
        check = CHECKS[r["check"]]
        figures = ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in r["figures"].items())
        rows.append([check.title, check.reach, figures, "yes" if r["met"] else "**no**"])
    header = ("check", "reach", "measured", "met")
    return [TableSection("What the simulator must reach", header=header, rows=rows)]
