"""`memory`: peak memory of denoising a large file in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vitreous.benchmark.runner import Record, Row
from vitreous.core import Volume
from vitreous.io import write_volume
from vitreous.report import TableSection

SHAPE = (256, 512, 512)
LIMITS = ("none", "1.6GB")

# Runs one prediction of an untrained network on a memory-mapped file and prints what the system counted.
SCRIPT = """
import json, resource, sys, time
from vitreous.core import SilentProgress
from vitreous.io import open_volume
from vitreous.methods import NoiseModel, NoiseModelConfig
from vitreous.inference import choose_device
from vitreous.workflows.denoise import (
    DenoiseSettings, Source, TrainedModel, plan_memory, predict, prepared_model, standardized
)
path, limit = sys.argv[1:]
source = Source(open_volume(path))
settings = DenoiseSettings(max_memory=None if limit == "none" else limit)
compute = choose_device("cpu")
method = NoiseModel(NoiseModelConfig(draws=1, binning=1), precision=compute.precision)
model = TrainedModel(method, method.build_network(0), compute)
volume, _ = standardized(source, needs_target=False)
model, (prepared,) = prepared_model(model, [volume], 0)
plan = plan_memory(model, source, settings)
begun = time.monotonic()
result = predict(model, prepared, plan, 0, SilentProgress())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
facts = {"seconds": time.monotonic() - begun, "tile": plan.tile, "peak_gb": peak}
print(json.dumps({**facts, "estimate_gb": plan.peak_bytes / 1e9}))
"""


def memory_rows() -> Iterator[Row]:
    """With and without a limit."""
    for limit in LIMITS:
        yield Row({"limit": limit}, partial(peak_memory, limit))


def peak_memory(limit: str) -> Record:
    """Peak resident memory of one prediction of a 256 × 512 × 512 volume."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.mrc"
        noise = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
        write_volume(path, Volume(noise, (10.0, 10.0, 10.0)))
        del noise
        words = [sys.executable, "-c", SCRIPT, str(path), limit]
        done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 (our own script)
    facts: Record = json.loads(done.stdout)
    volumes = 2 * 4 * int(np.prod(SHAPE)) / 1e9
    return {**facts, "input_and_output_gb": volumes, "beyond_gb": facts["peak_gb"] - volumes}


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """One table."""
    header = [
        "--max-memory",
        "tile",
        "estimate GB",
        "peak GB",
        "beyond input + output GB",
        "seconds (one draw)",
    ]
    rows = [
        [
            r["limit"],
            str(r["tile"]),
            *(f"{r[k]:.2f}" for k in ("estimate_gb", "peak_gb", "beyond_gb")),
            f"{r['seconds']:.0f}",
        ]
        for r in records
    ]
    heading = f"Denoising {' × '.join(map(str, SHAPE))} voxels on the CPU"
    return [TableSection(heading, header=header, rows=rows)]
