"""What annotating is asked for: a value that goes into `run.json`, comes back from it, and is a command."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vitreous.core import InputError
from vitreous.inference import parse_memory
from vitreous.simulate.grand_model import CLASSES_BESIDE_PARTICLES
from vitreous.workflows.simulate.spec import ParticleSpec

FIRST_BUDGET_SHARE = 0.3  # of a time budget, for the denoising network
NARROWEST_DEG = 20.0
MOST_STRUCTURES = 125  # labels are bytes up to 127, and membranes and gold have two


@dataclass(frozen=True)
class AnnotateSettings:
    """How to annotate; None leaves a choice to the tomogram.

    Parameters
    ----------
    steps
        Training steps of the segmentation network, and at the most as many for denoising.
    time_budget_seconds
        Training time of both networks together, instead.
    seed, device, max_memory
        As for denoising.
    invert
        Protein is bright (True) or dark (False); read off the tomogram if None.
    tilt_range_deg
        Signed lowest and highest tilt; read off the noise if None.
    defocus_um
        Underfocus of the tomogram in µm; if None, the network is trained for 2.5 to 5 µm.
    binning
        The network works on the tomogram binned by this factor.
    adapt
        The last part of the training also takes the network's own labels of the tomogram, where it is sure
        of them (Vox-UDA). Where specimens are simulated in the tomogram's style it lost particles.
    tilt_series_pixel_angstrom
        Of the unbinned tilt series, for files of RELION; None for the tomogram's voxel.
    """

    steps: int | None = None
    time_budget_seconds: float | None = None
    seed: int = 0
    device: str = "auto"
    max_memory: str | None = None
    invert: bool | None = None
    tilt_range_deg: tuple[float, float] | None = None
    defocus_um: float | None = None
    binning: int | None = None
    adapt: bool = False
    tilt_series_pixel_angstrom: float | None = None

    def check(self) -> None:
        """Raise InputError for numbers that make no sense."""
        if self.steps is not None and self.time_budget_seconds is not None:
            raise InputError("--steps and --time-budget exclude each other", remedy="give one of them")
        for option, value in (("--steps", self.steps), ("--time-budget", self.time_budget_seconds)):
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{option} must be above 0")
        if self.tilt_range_deg is not None:
            low, high = self.tilt_range_deg
            if not -90 <= low < high <= 90:
                raise InputError("--tilt-range needs the lowest tilt first, within -90 to 90 degrees")
            if high - low < NARROWEST_DEG:
                text = f"--tilt-range {low:g} {high:g} is too narrow for a tomogram"
                raise InputError(text, remedy=f"give at least {NARROWEST_DEG:.0f} degrees")
        if self.defocus_um is not None and not 0 < self.defocus_um < 50:
            raise InputError("--defocus is the underfocus in µm, such as 4")
        pixel = self.tilt_series_pixel_angstrom
        if pixel is not None and not 0 < pixel < math.inf:
            raise InputError("--tilt-series-pixel must be above 0 Å")
        if self.binning is not None and not 1 <= self.binning <= 8:
            raise InputError("--binning must be between 1 and 8")
        if self.max_memory is not None:
            parse_memory(self.max_memory)


@dataclass(frozen=True)
class AnnotateRequest:
    """One tomogram and the structures to look for.

    Parameters
    ----------
    input
        The tomogram, absolute.
    structures
        "phantom:NAME", "pdb:ID", an atomic model, or a density map with its mass in kDa: "map.mrc@540".
    output
        The folder for everything, absolute.
    settings
        How.
    voxel_size_angstrom
        Where the file has none.
    overwrite
        Replace what an earlier run left.
    dual
        Run directory of `vitreous dual train` on this tomogram or ones like it, absolute: specimens to train
        on are made by it rather than by physics and the tomogram's noise spectrum.
    """

    input: Path
    structures: tuple[str, ...]
    output: Path
    settings: AnnotateSettings = field(default_factory=AnnotateSettings)
    voxel_size_angstrom: float | None = None
    overwrite: bool = False
    dual: Path | None = None

    def particles(self) -> tuple[ParticleSpec, ...]:
        """The structures as the simulator takes them.

        Raises
        ------
        InputError
            If one is no structure, or two have one name.
        """
        if not self.structures:
            text = "no structure was given"
            raise InputError(text, remedy="add --structures phantom:ribosome, pdb:1bxn or model.pdb")
        if len(self.structures) > MOST_STRUCTURES:
            text = f"{len(self.structures)} structures were given"
            raise InputError(
                text, remedy=f"ask for {MOST_STRUCTURES} at most, and for the others another time"
            )
        specs = tuple(particle_spec(text) for text in self.structures)
        names = [spec.class_name for spec in specs]
        twins = {name for name in names if names.count(name) > 1}
        if twins:
            raise InputError(f"{min(twins)} was given twice", remedy="name every structure once")
        files = [file_name(name).casefold() for name in names]
        for name, file in zip(names, files, strict=True):
            if name in CLASSES_BESIDE_PARTICLES or files.count(file) > 1:
                text = f"{name} would share the name {file} with another class"
                raise InputError(text, remedy="copy its file to one of another name")
        return specs

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; `output` and `overwrite` belong to one call."""
        limits = self.settings.tilt_range_deg
        return {
            "input": str(self.input),
            "structures": list(self.structures),
            "settings": {
                **asdict(self.settings),
                "tilt_range_deg": None if limits is None else list(limits),
            },
            "voxel_size_angstrom": self.voxel_size_angstrom,
            **({} if self.dual is None else {"dual": str(self.dual)}),
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], output: Path) -> AnnotateRequest:
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
            Path(facts["input"]),
            tuple(facts["structures"]),
            output,
            AnnotateSettings(**settings),
            facts["voxel_size_angstrom"],
            dual=Path(facts["dual"]) if "dual" in facts else None,
        )

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Whether a `run.json` is of this request."""
        return bool(facts["request"] == self.to_json())

    def command(self) -> str:
        """The command line that repeats the run."""
        settings, budget = self.settings, self.settings.time_budget_seconds
        words = ["vitreous", "annotate", str(self.input), "--structures", *self.structures]
        words += ["-o", str(self.output)]
        options = {
            "--steps": settings.steps,
            "--time-budget": None if budget is None else f"{budget:g}s",
            "--seed": settings.seed or None,
            "--max-memory": settings.max_memory,
            "--defocus": settings.defocus_um,
            "--binning": settings.binning,
            "--voxel-size": self.voxel_size_angstrom,
            "--tilt-series-pixel": settings.tilt_series_pixel_angstrom,
            "--dual": self.dual,
            "--device": None if settings.device == "auto" else settings.device,
        }
        for option, value in options.items():
            words += [] if value is None else [option, str(value)]
        if settings.tilt_range_deg is not None:
            words += ["--tilt-range", *(f"{limit:g}" for limit in settings.tilt_range_deg)]
        words += ["--adapt"] if settings.adapt else []
        if settings.invert is not None:
            words += ["--invert" if settings.invert else "--no-invert"]
        return shlex.join(words)


def particle_spec(text: str) -> ParticleSpec:
    """A structure as the simulator takes it, from what a user wrote.

    Examples
    --------
    >>> particle_spec("map.mrc@540").mass_kda, particle_spec("phantom:tric").class_name
    (540.0, 'phantom:tric')
    """
    name, at, mass = text.rpartition("@")
    given: dict[str, Any] = {"structure": text}
    try:
        kda = float(mass) if at else math.nan
    except ValueError:
        kda = math.nan
    if math.isfinite(kda):
        given = {"structure": name, "mass_kda": kda}
    try:
        return ParticleSpec(**given, count=1)
    except ValidationError as error:
        context = error.errors()[0].get("ctx", {}).get("error")
        problem = str(context) if context else error.errors()[0]["msg"].lower()
        if "mass_kda" in problem:
            remedy = f"write {text}@540 for 540 kDa"
            raise InputError("a density map needs its mass in kDa", path=text, remedy=remedy) from error
        if "mass_kda" in error.errors()[0]["loc"]:
            raise InputError("its mass must be above 0 kDa", path=text, remedy="correct it") from error
        raise InputError(problem, path=text) from error


def file_name(class_name: str) -> str:
    """A class name as (part of) a file's name.

    Examples
    --------
    >>> file_name("phantom:ribosome-70s")
    'ribosome-70s'
    >>> file_name("pdb:4v94")
    '4v94'
    """
    return re.sub(r"[^\w.-]+", "_", class_name.partition(":")[2] or class_name)
