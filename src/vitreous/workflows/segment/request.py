"""What segmentation is asked for: a value that goes into `run.json`, comes back from it, and is a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.workflows.subtomograms.loading import Fit


@dataclass(frozen=True)
class SegmentRequest:
    """One tomogram, or one set of subtomograms, to segment. Paths are absolute.

    Parameters
    ----------
    input, output
        What is segmented, and where labels go: a volume of a tomogram; a `.zarr` store or a folder of a set.
    model
        Run directory of a trained model.
    run_dir
        Where `run.json` and the report go.
    fit
        Whether voxels of another edge are refused or resampled; see `load_boxes`.
    invert
        Whether protein is bright in the input; None: dark, unless it looks otherwise, which is refused.
    probabilities
        Whether to write the probability of each class, too.
    voxel_size_angstrom
        Where files have none.
    device
        auto, cpu, cuda or mps.
    overwrite
        Replace what is there.
    """

    input: Path
    output: Path
    model: Path
    run_dir: Path
    fit: Fit = "refuse"
    invert: bool | None = None
    probabilities: bool = False
    voxel_size_angstrom: float | None = None
    device: str = "auto"
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`, without those that belong to one call."""
        return {
            "input": str(self.input),
            "output": str(self.output),
            "model": str(self.model),
            "fit": self.fit,
            "invert": self.invert,
            "probabilities": self.probabilities,
            "voxel_size_angstrom": self.voxel_size_angstrom,
            "device": self.device,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], run_dir: Path) -> SegmentRequest:
        """Inverse of `to_json`; requests of earlier versions say no device.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        paths: dict[str, Any] = {name: Path(facts[name]) for name in ("input", "output", "model")}
        rest = {name: facts[name] for name in ("fit", "invert", "probabilities", "voxel_size_angstrom")}
        return cls(**paths, run_dir=run_dir, **rest, device=facts.get("device", "auto"))

    def command(self) -> str:
        """The command line that repeats the run."""
        words = ["vitreous", "segment", str(self.input), "--model", str(self.model), "-o", str(self.output)]
        words += [] if self.fit == "refuse" else ["--fit", self.fit]
        words += [] if self.invert is None else ["--invert" if self.invert else "--no-invert"]
        words += ["--probabilities"] if self.probabilities else []
        if self.voxel_size_angstrom is not None:
            words += ["--voxel-size", str(self.voxel_size_angstrom)]
        words += [] if self.device == "auto" else ["--device", self.device]
        return shlex.join(words)
