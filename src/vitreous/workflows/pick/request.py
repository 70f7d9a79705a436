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
from vitreous.workflows.search_template import structure_files

PICKERS = ("dog", "labels", "template")
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
    template
        What is matched: "phantom:NAME", "pdb:ID", an atomic model or a density map.
    angular_step_deg
        Between orientations of the template; None for what suits its size.
    low_pass_angstrom
        Finest detail of the template that is compared; None for the method's.
    symmetry
        Point group of the template.
    tilt_range_deg
        Signed lowest and highest tilt; None to read it off the tomogram.
    defocus_um
        Underfocus in µm that the template is shown with; None for one without CTF.
    format
        Of the output, a name of `io.particles.SUFFIXES`; None for what its suffix says.
    tilt_series_pixel_angstrom
        Of the unbinned tilt series, for files of RELION; None for the tomogram's voxel.
    tomogram_name
        What the output calls the tomogram; None for what the name of its file tells.
    """

    method: str = "dog"
    diameter_angstrom: float | None = None
    min_distance_angstrom: float | None = None
    count: int | None = None
    threshold: float | None = None
    invert: bool = False
    max_memory: str | None = None
    label: str = "all"
    template: str | None = None
    angular_step_deg: float | None = None
    low_pass_angstrom: float | None = None
    symmetry: str = "C1"
    tilt_range_deg: tuple[float, float] | None = None
    defocus_um: float | None = None
    format: str | None = None
    tilt_series_pixel_angstrom: float | None = None
    tomogram_name: str | None = None

    def check(self) -> None:
        """Raise InputError for an unknown method, or numbers that make no sense with any."""
        if self.method not in PICKERS:
            raise InputError(f"--method {self.method} is unknown", remedy=f"use {', '.join(PICKERS)}")
        lengths = {
            "--diameter": self.diameter_angstrom,
            "--min-distance": self.min_distance_angstrom,
            "--low-pass": self.low_pass_angstrom,
            "--tilt-series-pixel": self.tilt_series_pixel_angstrom,
        }
        for option, value in lengths.items():
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{option} must be a positive number of Å")
        threshold = 0.0 if self.threshold is None else self.threshold
        if (self.count is not None and self.count < 1) or not 0 <= threshold < math.inf:
            raise InputError("--count must be positive, and --threshold must not be negative")
        if self.max_memory is not None:
            parse_memory(self.max_memory)
        if self.tomogram_name is not None and self.tomogram_name.split() != [self.tomogram_name]:
            raise InputError("--tomogram-name must be one word")
        if self.label != PickSettings.label and self.method != "labels":
            raise InputError("--label goes with --method labels", remedy="leave it out")
        self.check_template()

    def check_template(self) -> None:
        """Raise InputError for options of template matching that make no sense."""
        of_templates = {
            "--template": self.template,
            "--angular-step": self.angular_step_deg,
            "--low-pass": self.low_pass_angstrom,
            "--tilt-range": self.tilt_range_deg,
            "--defocus": self.defocus_um,
            "--symmetry": None if self.symmetry == PickSettings.symmetry else self.symmetry,
        }
        for option, value in of_templates.items():
            if value is not None and self.method != "template":
                raise InputError(f"{option} goes with --method template", remedy="leave it out")
        if self.diameter_angstrom is not None and self.method == "template":
            raise InputError("--diameter is the template's with --method template", remedy="leave it out")
        if self.defocus_um is not None and not 0 < self.defocus_um < math.inf:
            raise InputError("--defocus must be a positive number of µm")
        if self.angular_step_deg is not None and not 1 <= self.angular_step_deg <= 90:
            raise InputError("--angular-step must lie between 1 and 90 degrees")

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
        masks = [] if self.mask is None else [self.mask]
        return [self.input, *masks, *structure_files(self.settings.template)]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; `overwrite` belongs to one call and is left out."""
        facts: dict[str, Any] = {
            k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items() if k != "overwrite"
        }
        limits = self.settings.tilt_range_deg
        facts["settings"]["tilt_range_deg"] = None if limits is None else list(limits)
        return facts

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> PickRequest:
        """Inverse of `to_json`.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        paths: dict[str, Any] = {k: None if facts[k] is None else Path(facts[k]) for k in PATHS}
        asked = dict(facts["settings"])
        if asked.get("tilt_range_deg") is not None:
            asked["tilt_range_deg"] = tuple(asked["tilt_range_deg"])
        settings = PickSettings(**asked)
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
            "--template": settings.template,
            "--angular-step": settings.angular_step_deg,
            "--low-pass": settings.low_pass_angstrom,
            "--symmetry": None if settings.symmetry == PickSettings.symmetry else settings.symmetry,
            "--defocus": settings.defocus_um,
            "--format": settings.format,
            "--tilt-series-pixel": settings.tilt_series_pixel_angstrom,
            "--tomogram-name": settings.tomogram_name,
            "--count": settings.count,
            "--threshold": settings.threshold,
            "--mask": self.mask,
            "--voxel-size": self.voxel_size_angstrom,
            "--max-memory": settings.max_memory,
        }
        words = ["vitreous", "pick", str(self.input), "-o", str(self.output)]
        for option, value in named.items():
            words += [] if value is None else [option, str(value)]
        if settings.tilt_range_deg is not None:
            words += ["--tilt-range", *(f"{limit:g}" for limit in settings.tilt_range_deg)]
        return shlex.join([*words, "--invert"] if settings.invert else words)
