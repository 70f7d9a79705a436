"""What is asked of DUAL, as values that go into `run.json` and are commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vitreous.workflows.denoise import DenoiseSettings


@dataclass(frozen=True)
class DualTrainRequest:
    """Two domains to train on.

    Parameters
    ----------
    noisy
        Tomograms: files, folders of files, or folders in our layout or SHREC 2021's. Absolute.
    clean
        The same for densities or cleaner tomograms, or "preset:NAME" for grand models of the simulator.
    output
        The run directory, absolute.
    settings
        Steps or time budget, seed, device and configuration.
    protein
        "dark" or "bright": how it looks in the tomograms. Grand models are turned accordingly. None: as the
        configuration says, and dark if it says nothing.
    spacing_angstrom
        What both domains are rescaled to; the first tomogram's if None.
    voxel_size_angstrom
        Of the tomograms, where their files have none.
    overwrite
        Replace what an earlier run left.
    """

    noisy: tuple[Path, ...]
    clean: tuple[str, ...]
    output: Path
    settings: DenoiseSettings = field(default_factory=lambda: DenoiseSettings(method="dual"))
    protein: str | None = None
    spacing_angstrom: float | None = None
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; `output` and `overwrite` belong to one call."""
        return {
            "noisy": [str(path) for path in self.noisy],
            "clean": list(self.clean),
            "settings": {**asdict(self.settings), "model": None},
            "protein": self.protein,
            "spacing_angstrom": self.spacing_angstrom,
            "voxel_size_angstrom": self.voxel_size_angstrom,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], output: Path) -> DualTrainRequest:
        """Inverse of `to_json`.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        return cls(
            tuple(Path(path) for path in facts["noisy"]),
            tuple(facts["clean"]),
            output,
            DenoiseSettings(**facts["settings"]),
            facts["protein"],
            facts["spacing_angstrom"],
            facts["voxel_size_angstrom"],
        )

    def command(self) -> str:
        """The command line that repeats the run."""
        words, budget = ["vitreous", "dual", "train"], self.settings.time_budget_seconds
        for path in self.noisy:
            words += ["--noisy", str(path)]
        for name in self.clean:
            words += ["--clean", name]
        options = {
            "--config": self.settings.config,
            "--steps": self.settings.steps,
            "--time-budget": None if budget is None else f"{budget:g}s",
            "--seed": self.settings.seed or None,
            "--device": None if self.settings.device == "auto" else self.settings.device,
            "--protein": self.protein,
            "--spacing": self.spacing_angstrom,
            "--voxel-size": self.voxel_size_angstrom,
        }
        for option, value in options.items():
            words += [] if value is None else [option, str(value)]
        return shlex.join([*words, "-o", str(self.output)])


@dataclass(frozen=True)
class DualSimulateRequest:
    """Grand models to make tomograms of, each `count` times with its own noise.

    Parameters
    ----------
    inputs
        Grand models, or folders that hold one. Absolute.
    model
        Run directory of a trained model.
    output
        Folder for the tomograms.
    count, seed
        Noise draws for each grand model, and their seed.
    device, voxel_size_angstrom, overwrite
        As for denoising.
    """

    inputs: tuple[Path, ...]
    model: Path
    output: Path
    count: int = 1
    seed: int = 0
    device: str = "auto"
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`, without how many there are, so that more can be added."""
        return {
            "inputs": [str(path) for path in self.inputs],
            "model": str(self.model),
            "seed": self.seed,
            "device": self.device,
            "voxel_size_angstrom": self.voxel_size_angstrom,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], output: Path, count: int) -> DualSimulateRequest:
        """Inverse of `to_json`; requests of earlier versions say no device.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        inputs, spacing = facts["inputs"], facts["voxel_size_angstrom"]
        return cls(
            tuple(Path(path) for path in inputs),
            Path(facts["model"]),
            output,
            count,
            int(facts["seed"]),
            facts.get("device", "auto"),
            spacing,
        )

    def command(self) -> str:
        """The command line that repeats the run."""
        words = ["vitreous", "dual", "simulate", *map(str, self.inputs), "--model", str(self.model)]
        words += ["-n", str(self.count), "--seed", str(self.seed)]
        words += [] if self.device == "auto" else ["--device", self.device]
        if self.voxel_size_angstrom is not None:
            words += ["--voxel-size", str(self.voxel_size_angstrom)]
        return shlex.join([*words, "-o", str(self.output)])
