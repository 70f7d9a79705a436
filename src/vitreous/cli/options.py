"""Options that several commands have, and what their values mean."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from vitreous.core.errors import InputError


def length(option: typer.CallbackParam, value: float | None) -> float | None:
    """A length as it was given, if it is one."""
    if value is not None and not 0 < value < math.inf:
        raise InputError(f"{option.opts[0]} must be a positive number of Å")
    return value


Seed = Annotated[int, typer.Option(help="Seed of every random draw.", min=0, max=2**63 - 1)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings only.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Steps = Annotated[
    int | None, typer.Option(help="Training steps; of the first round where there are several.", min=1)
]
TimeBudget = Annotated[str | None, typer.Option(help="Training time instead of steps: 90s, 10m, 2h.")]
MaxMemory = Annotated[str | None, typer.Option(help="Memory to stay under, such as 8GB.")]
Config = Annotated[
    str | None, typer.Option(help="Settings of the method: paper, or a TOML file.", metavar="FILE|paper")
]
Mask = Annotated[Path | None, typer.Option(help="Specimen mask: look only where it is above 0.5.")]
Reference = Annotated[Path | None, typer.Option(help="The truth, if known: adds scores.")]
RunDir = Annotated[Path | None, typer.Option(help="Where the report and model go.")]
VoxelSize = Annotated[
    float | None, typer.Option(help="Voxel spacing in Å where a file has none.", callback=length)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
InvertOutput = Annotated[bool, typer.Option("--invert", help="Invert the contrast of the output.")]


def absolute(path: Path | None) -> Path | None:
    """The absolute form of a path that may not be given."""
    return None if path is None else path.absolute()


def configuration(config: str | None) -> str | None:
    """A configuration's name, or the absolute path of its file."""
    return config if config in (None, "paper") else os.path.abspath(config)


def budget_of(steps: int | None, time_budget: str | None) -> float | None:
    """Seconds of `--time-budget`, which `--steps` excludes."""
    if steps is not None and time_budget is not None:
        raise InputError("--steps and --time-budget exclude each other", remedy="give one of them")
    return None if time_budget is None else seconds_of(time_budget)


def seconds_of(text: str) -> float:
    """Seconds of "90s", "10m" or "2h".

    Examples
    --------
    >>> seconds_of("10m")
    600.0
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([smh]?)", text.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise InputError(f"--time-budget {text} is no time", remedy="write for example --time-budget 10m")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
