"""Which subtomograms are asked for: a value that goes into `run.json`, and is a command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vitreous.core import InputError
from vitreous.simulate import SubtomogramSettings
from vitreous.workflows.simulate.spec import Contradiction, ParticleSpec

MASS_REMEDY = "write MAP.mrc=MASS, in kDa"
SETS = {"vox-uda-1": ("1bxn", "1f1b", "1yg6"), "vox-uda-2": ("2byu", "2h12", "2ldb")}


@dataclass(frozen=True)
class SubtomogramRequest:
    """Which subtomograms go into which folder.

    Parameters
    ----------
    structures
        As for `simulate_subtomograms` after `expanded`, files with absolute paths.
    output
        The folder.
    settings
        See `SubtomogramSettings`.
    format
        "zarr" writes one store `subtomograms.zarr`, "mrc" a folder with a file for each array and
        subtomogram.
    overwrite
        Replace what is there.
    """

    structures: tuple[str, ...]
    output: Path
    settings: SubtomogramSettings = field(default_factory=SubtomogramSettings)
    format: str = "zarr"
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`, without those that belong to one call."""
        settings = self.settings.model_dump(mode="json")
        return {"structures": list(self.structures), "format": self.format, "settings": settings}

    def command(self) -> str:
        """The command line that repeats the run, but for the optics, which it has no options for."""
        s = self.settings
        words = ["vitreous", "simulate", "subtomograms", *self.structures, "-o", self.output]
        words += [word for snr in s.snrs for word in ("--snr", snr)]
        words += ["--count", s.count, "--side", s.side, "--voxel-size", s.voxel_spacing_angstrom]
        words += ["--neighbours", s.neighbours, "--seed", s.seed, "--format", self.format]
        words += ["--tilt-range", s.tilts.lowest_deg, s.tilts.highest_deg, "--tilt-step", s.tilts.step_deg]
        words += ["--no-ctf"] if s.defocus_um is None else ["--defocus", s.defocus_um]
        return shlex.join([*map(str, words), *(["--invert"] if s.invert else [])])


def expanded(words: Sequence[str]) -> tuple[str, ...]:
    """Structures by name; the sets of Vox-UDA stand for three phantoms or, after "pdb:", PDB entries.

    Examples
    --------
    >>> expanded(["pdb:vox-uda-1", "phantom:ribosome"])
    ('pdb:1bxn', 'pdb:1f1b', 'pdb:1yg6', 'phantom:ribosome')
    """
    names: list[str] = []
    for word in words:
        prefix, _, known = word.rpartition(":")
        if known in SETS and prefix in ("", "pdb", "phantom"):
            names += [f"{prefix or 'phantom'}:{entry}" for entry in SETS[known]]
        else:
            names.append(word)
    return tuple(names)


def parsed_structures(words: Sequence[str]) -> list[ParticleSpec]:
    """What each word names; the mass of a map follows "=".

    Raises
    ------
    InputError
        If one names nothing.
    """
    found = []
    for word in words:
        structure, equals, mass = word.rpartition("=")
        try:
            given = {"structure": structure, "mass_kda": float(mass)} if equals else {"structure": word}
            found.append(ParticleSpec.model_validate(given))
        except ValidationError as error:
            fault = error.errors()[0]
            cause = fault.get("ctx", {}).get("error")
            problem = str(cause) if isinstance(cause, Contradiction) else f"{word}: {fault['msg']}"
            raise InputError(problem.replace("add mass_kda", MASS_REMEDY)) from error
        except ValueError as error:
            raise InputError(f"{mass!r} is no mass of {structure}", remedy=MASS_REMEDY) from error
    return found
