"""What picking is asked for: a value that goes into `run.json`, comes back from it, and is a command."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vitreous.core import InputError
from vitreous.inference import parse_memory

PICKERS = ("dog", "labels")
PATHS = ("input", "output", "run_dir", "mask")


@dataclass(frozen=True)
class PickSettings:
    """How to pick.

    Parameters
    ----------
    method
        A name of PICKERS.
    diameter_angstrom
        Of the particles; None for the DUAL paper's 290 Å, or what labels show.
    min_distance_angstrom
        Picks that are closer are merged; None for the method's share of the diameter.
    count
        The most picks (of each class); None for as many as the method keeps.
    threshold
        Lowest score, in multiples of the noise of the score map, or as a confidence from 0 to 1; None for
        the method's.
    invert
        Particles are brighter than the ice.
    max_memory
        Memory to stay under, such as "8GB".
    label
        Which classes of a label volume, such as "1=ribosome,3"; "all", or the name of a probability map's.
    format
        Of the output, a name of `io.particles.SUFFIXES`; None for what its suffix says.
    """

    method: str = "dog"
    diameter_angstrom: float | None = None
    min_distance_angstrom: float | None = None
    count: int | None = None
    threshold: float | None = None
    invert: bool = False
    max_memory: str | None = None
    label: str = "all"
    format: str | None = None

    def check(self) -> None:
        """Raise InputError for an unknown method, or numbers that make no sense with any."""
        if self.method not in PICKERS:
            raise InputError(f"--method {self.method} is unknown", remedy=f"use {', '.join(PICKERS)}")
        lengths = {"--diameter": self.diameter_angstrom, "--min-distance": self.min_distance_angstrom}
        for option, value in lengths.items():
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{option} must be a positive number of Å")
        threshold = 0.0 if self.threshold is None else self.threshold
        if (self.count is not None and self.count < 1) or not 0 <= threshold < math.inf:
            raise InputError("--count must be positive, and --threshold must not be negative")
        if self.max_memory is not None:
            parse_memory(self.max_memory)
        if self.label != PickSettings.label and self.method != "labels":
            raise InputError("--label goes with --method labels", remedy="leave it out")

    def chosen(self, *names: str) -> dict[str, Any]:
        """Those of some settings that are not left to the method, by name."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass(frozen=True)
class PickRequest:
    """One tomogram to pick from. Paths are absolute, so that a run can be resumed from anywhere."""

    input: Path
    output: Path
    run_dir: Path
    settings: PickSettings = field(default_factory=PickSettings)
    mask: Path | None = None
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    @property
    def volumes(self) -> list[Path]:
        """The files that are read, which no output may replace."""
        return [self.input] if self.mask is None else [self.input, self.mask]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; `overwrite` belongs to one call and is left out."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items() if k != "overwrite"}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> PickRequest:
        """Inverse of `to_json`.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        paths: dict[str, Any] = {k: None if facts[k] is None else Path(facts[k]) for k in PATHS}
        settings = PickSettings(**facts["settings"])
        return cls(**paths, settings=settings, voxel_size_angstrom=facts["voxel_size_angstrom"])

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Whether a `run.json` is of this request; the run directory itself may have moved."""
        asked = facts["request"]
        elsewhere = replace(self, run_dir=Path(str(asked.get("run_dir"))))
        return bool(asked == elsewhere.to_json())

    def command(self) -> str:
        """The command line that repeats the run."""
        settings = self.settings
        named = {
            "--method": settings.method,
            "--diameter": settings.diameter_angstrom,
            "--min-distance": settings.min_distance_angstrom,
            "--label": None if settings.label == PickSettings.label else settings.label,
            "--format": settings.format,
            "--count": settings.count,
            "--threshold": settings.threshold,
            "--mask": self.mask,
            "--voxel-size": self.voxel_size_angstrom,
            "--max-memory": settings.max_memory,
        }
        words = ["vitreous", "pick", str(self.input), "-o", str(self.output)]
        for option, value in named.items():
            words += [] if value is None else [option, str(value)]
        return shlex.join([*words, "--invert"] if settings.invert else words)
