"""What is asked for one file: a value that goes into `run.json`, comes back from it, and is a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vitreous.workflows.denoise import OPTICS_OPTIONS, DenoiseSettings

PATHS = ("input", "output", "run_dir", "even", "odd", "mask", "reference")


@dataclass(frozen=True)
class DenoiseRequest:
    """One file to denoise. Paths are absolute, so that a run can be resumed from anywhere.

    `reference` is the truth of a simulated volume: with it come scores.
    """

    input: Path
    output: Path
    run_dir: Path
    settings: DenoiseSettings = field(default_factory=DenoiseSettings)
    even: Path | None = None
    odd: Path | None = None
    mask: Path | None = None
    reference: Path | None = None
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    @property
    def volumes(self) -> list[Path]:
        """The volume files that were named, which no output may replace."""
        named = (self.input, self.even, self.odd, self.mask, self.reference)
        return [path for path in named if path is not None]

    @property
    def outputs(self) -> list[Path]:
        """The volume files that are written."""
        return [self.output]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; `overwrite` belongs to one call and is left out."""
        facts = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items() if k != "overwrite"}
        model = self.settings.model
        facts["settings"] = {**asdict(self.settings), "model": None if model is None else str(model)}
        return facts

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> DenoiseRequest:
        """Inverse of `to_json`.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        paths: dict[str, Any] = {k: None if facts[k] is None else Path(facts[k]) for k in PATHS}
        model = facts["settings"]["model"]
        settings = DenoiseSettings(**{**facts["settings"], "model": None if model is None else Path(model)})
        return cls(**paths, settings=settings, voxel_size_angstrom=facts["voxel_size_angstrom"])

    def command(self) -> str:
        """The command line that repeats the run."""
        return shlex.join(self.words())

    def words(self) -> list[str]:
        """The same word by word."""
        words = ["vitreous", "denoise", str(self.input), "-o", str(self.output)]
        settings = self.settings
        budget = settings.time_budget_seconds
        named = {
            "--method": None if settings.method == "auto" else settings.method,
            "--config": settings.config,
            "--strength": settings.strength,
            "--steps": settings.steps,
            "--time-budget": None if budget is None else f"{budget:g}s",
            "--seed": settings.seed or None,
            "--device": None if settings.device == "auto" else settings.device,
            "--model": settings.model,
            "--mask": self.mask,
            "--even": self.even,
            "--odd": self.odd,
            "--reference": self.reference,
            "--voxel-size": self.voxel_size_angstrom,
            "--max-memory": settings.max_memory,
            **{OPTICS_OPTIONS[name]: value for name, value in settings.optics.items()},
        }
        for option, value in named.items():
            words += [] if value is None else [option, str(value)]
        return [*words, "--invert"] if settings.invert else words

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Whether a `run.json` is of this request; the run directory itself may have moved."""
        elsewhere = replace(self, run_dir=Path(str(facts["request"].get("run_dir"))))
        return bool(facts["request"] == elsewhere.to_json())


@dataclass(frozen=True)
class DenoiseOutcome:
    """Where a run's results are, and its figures."""

    output: Path
    run_dir: Path
    report: Path
    facts: Mapping[str, Any]
