"""What averaging is asked for: a value that goes into `run.json`, comes back from it, and is a command."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vitreous.averaging import AverageConfig, symmetry_group
from vitreous.core import InputError
from vitreous.inference import parse_memory
from vitreous.workflows.search_template import structure_files

DEFAULTS = AverageConfig()


@dataclass(frozen=True)
class AverageSettings:
    """How to average.

    Parameters
    ----------
    template
        "phantom:NAME", "pdb:ID", an atomic model or a density map; None to begin with the picks' own average.
    symmetry
        Point group of the particle.
    low_pass_angstrom
        The finest detail of the template that is used.
    rounds
        Of alignment and averaging.
    angular_step_deg
        Of the first search.
    reach_deg
        Search only so far around the orientations of the picks; all orientations if None.
    shift_angstrom
        How far from its pick a particle may be.
    box_voxels
        Side of the subtomograms; None for what suits the particle.
    diameter_angstrom
        Of the particle; None for the template's.
    tilt_range_deg
        Signed lowest and highest tilt; None to read it off each tomogram.
    defocus_um
        Underfocus in µm that the template is shown with; None for one without CTF.
    invert
        Particles are brighter than the ice in the tomogram.
    max_memory
        Memory to stay under, such as "8GB".
    coordinate_pixel_angstrom
        Of picks that count in pixels; None for what their file says.
    """

    template: str | None = None
    symmetry: str = "C1"
    low_pass_angstrom: float = DEFAULTS.low_pass_angstrom
    rounds: int = DEFAULTS.rounds
    angular_step_deg: float = DEFAULTS.angular_step_deg
    reach_deg: float | None = None
    shift_angstrom: float = DEFAULTS.shift_angstrom
    box_voxels: int | None = None
    diameter_angstrom: float | None = None
    tilt_range_deg: tuple[float, float] | None = None
    defocus_um: float | None = None
    invert: bool = False
    max_memory: str | None = None
    coordinate_pixel_angstrom: float | None = None

    def check(self) -> None:
        """Raise InputError for what makes no sense."""
        symmetry_group(self.symmetry)
        lengths = {
            "--low-pass": self.low_pass_angstrom,
            "--diameter": self.diameter_angstrom,
            "--angular-step": self.angular_step_deg,
            "--reach": self.reach_deg,
            "--coordinate-pixel": self.coordinate_pixel_angstrom,
            "--defocus": self.defocus_um,
        }
        for option, value in lengths.items():
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{option} must be a positive number")
        if self.angular_step_deg > 90:
            raise InputError("--angular-step must not be above 90 degrees")
        if self.reach_deg is not None and self.reach_deg > 180:
            raise InputError("--reach must not be above 180 degrees")
        if not 0 <= self.shift_angstrom < math.inf:
            raise InputError("--shift must not be negative")
        if self.box_voxels is not None and (self.box_voxels % 2 or self.box_voxels < 16):
            raise InputError("--box must be an even number of voxels, 16 at least")
        if self.max_memory is not None:
            parse_memory(self.max_memory)

    def config(self, diameter_angstrom: float | None) -> AverageConfig:
        """The same for `averaging`, with the particle's diameter if that is known."""
        return AverageConfig(
            rounds=self.rounds,
            low_pass_angstrom=self.low_pass_angstrom,
            angular_step_deg=self.angular_step_deg,
            reach_deg=self.reach_deg,
            shift_angstrom=self.shift_angstrom,
            symmetry=self.symmetry,
            diameter_angstrom=diameter_angstrom,
        )


@dataclass(frozen=True)
class AverageRequest:
    """Tomograms and the picks in them. Paths are absolute, so that a run can be resumed from anywhere."""

    tomograms: tuple[Path, ...]
    picks: Path
    output: Path
    settings: AverageSettings = field(default_factory=AverageSettings)
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    @property
    def inputs(self) -> list[Path]:
        """The files that are read."""
        return [*self.tomograms, self.picks, *structure_files(self.settings.template)]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; `overwrite` belongs to one call and is left out."""
        limits = self.settings.tilt_range_deg
        settings = {**asdict(self.settings), "tilt_range_deg": None if limits is None else list(limits)}
        return {
            "tomograms": [str(path) for path in self.tomograms],
            "picks": str(self.picks),
            "output": str(self.output),
            "settings": settings,
            "voxel_size_angstrom": self.voxel_size_angstrom,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> AverageRequest:
        """Inverse of `to_json`.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        settings = dict(facts["settings"])
        if settings["tilt_range_deg"] is not None:
            settings["tilt_range_deg"] = tuple(settings["tilt_range_deg"])
        return cls(
            tuple(Path(path) for path in facts["tomograms"]),
            Path(facts["picks"]),
            Path(facts["output"]),
            AverageSettings(**settings),
            facts["voxel_size_angstrom"],
        )

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Whether a `run.json` is of this request; the folder itself may have moved."""
        asked = facts["request"]
        return bool(asked == replace(self, output=Path(str(asked.get("output")))).to_json())

    def command(self) -> str:
        """The command line that repeats the run."""
        settings, usual = self.settings, AverageSettings()
        named = {
            "--template": "template",
            "--symmetry": "symmetry",
            "--low-pass": "low_pass_angstrom",
            "--rounds": "rounds",
            "--angular-step": "angular_step_deg",
            "--reach": "reach_deg",
            "--shift": "shift_angstrom",
            "--box": "box_voxels",
            "--diameter": "diameter_angstrom",
            "--defocus": "defocus_um",
            "--max-memory": "max_memory",
            "--coordinate-pixel": "coordinate_pixel_angstrom",
        }
        words = ["vitreous", "average", *map(str, self.tomograms), str(self.picks), "-o", str(self.output)]
        for option, name in named.items():
            value = getattr(settings, name)
            words += [] if value == getattr(usual, name) else [option, str(value)]
        if settings.tilt_range_deg is not None:
            words += ["--tilt-range", *(f"{limit:g}" for limit in settings.tilt_range_deg)]
        if self.voxel_size_angstrom is not None:
            words += ["--voxel-size", str(self.voxel_size_angstrom)]
        return shlex.join([*words, "--invert"] if settings.invert else words)
