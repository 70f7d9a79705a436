"""What adaptation is asked for, as a value that goes into `run.json` and is a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.workflows.subtomograms import Fit

PATHS = ("source", "target", "picks")
RESULT = (
    "method",
    "denoiser",
    "config",
    "steps",
    "budget_seconds",
    "seed",
    "device",
    "shift",
    "fit",
    "invert",
    "voxel_size_angstrom",
)


@dataclass(frozen=True)
class AdaptRequest:
    """A labelled and an unlabelled set of subtomograms to train on. Paths are absolute.

    Parameters
    ----------
    source
        Simulated subtomograms with masks: what `vitreous simulate subtomograms` writes.
    target
        Subtomograms without labels, or with `picks` a tomogram; see `open_boxes`.
    output
        The run directory.
    method
        A name of `methods.adaptation`.
    denoiser
        What denoises the target before pseudo-labels are made; None for the configuration's own.
    picks
        Where the particles of a tomogram are.
    config
        "paper", or a TOML file; None for the defaults.
    steps
        Training steps; None for those of the configuration.
    budget_seconds
        Training time instead of steps.
    seed, device
        As for denoising.
    shift
        Voxels by which boxes are shifted at random, so that the network cannot know where the middle is;
        0 as in the paper.
    fit, invert, voxel_size_angstrom
        Of the target; see `load_boxes` and `open_boxes`.
    overwrite
        Replace what an earlier run left.
    """

    source: Path
    target: Path
    output: Path
    method: str = "vox-uda"
    denoiser: str | None = None
    picks: Path | None = None
    config: str | None = None
    steps: int | None = None
    budget_seconds: float | None = None
    seed: int = 0
    device: str = "auto"
    shift: int = 0
    fit: Fit = "refuse"
    invert: bool | None = None
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`, without those that belong to one call."""
        paths = {name: getattr(self, name) for name in PATHS}
        plain = {name: None if path is None else str(path) for name, path in paths.items()}
        return {**plain, **{name: getattr(self, name) for name in RESULT}}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], output: Path) -> AdaptRequest:
        """Inverse of `to_json`; requests of earlier versions say no device.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        paths: dict[str, Any] = {n: None if facts[n] is None else Path(facts[n]) for n in PATHS}
        return cls(**paths, output=output, **{name: {"device": "auto", **facts}[name] for name in RESULT})

    def command(self) -> str:
        """The command line that repeats the run."""
        options = {
            "--picks": self.picks,
            "--method": None if self.method == "vox-uda" else self.method,
            "--denoiser": self.denoiser,
            "--config": self.config,
            "--steps": self.steps,
            "--time-budget": None if self.budget_seconds is None else f"{self.budget_seconds:g}s",
            "--seed": self.seed or None,
            "--device": None if self.device == "auto" else self.device,
            "--shift": self.shift or None,
            "--fit": None if self.fit == "refuse" else self.fit,
            "--voxel-size": self.voxel_size_angstrom,
        }
        words = ["vitreous", "adapt", "--source", str(self.source), "--target", str(self.target)]
        for option, value in options.items():
            words += [] if value is None else [option, str(value)]
        words += [] if self.invert is None else ["--invert" if self.invert else "--no-invert"]
        return shlex.join([*words, "-o", str(self.output)])
