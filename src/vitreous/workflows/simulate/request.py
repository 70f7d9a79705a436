"""What is asked for, as a value that goes into `run.json`, comes back from it, and is a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vitreous.workflows.simulate.spec import SimulationSpec

Layout = Literal["vitreous", "shrec21"]


@dataclass(frozen=True)
class Likeness:
    """Whose style a specification was given.

    Parameters
    ----------
    tomogram
        Its file, absolute.
    voxel_size_angstrom
        What the user said of it in Å.
    doubts
        What is doubtful about its style, one sentence each.
    """

    tomogram: Path
    voxel_size_angstrom: float | None = None
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        size = self.voxel_size_angstrom
        return {"tomogram": str(self.tomogram), "voxel_size_angstrom": size, "doubts": list(self.doubts)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Likeness:
        """Inverse of `to_json`."""
        size = facts["voxel_size_angstrom"]
        return cls(Path(facts["tomogram"]), None if size is None else float(size), tuple(facts["doubts"]))


@dataclass(frozen=True)
class SimulateRequest:
    """Tomograms to simulate into a folder.

    Parameters
    ----------
    spec
        What to simulate.
    output
        The folder, absolute.
    source
        Where `spec` came from: the name of a preset or a file, for the command.
    layout
        "vitreous", or "shrec21" for folders in the layout of SHREC 2021.
    max_memory
        Memory to stay under, such as "8GB".
    overwrite
        Replace what an earlier run left in `output`.
    like
        The tomogram whose style `spec` was given, for the command and the report.
    """

    spec: SimulationSpec
    output: Path
    source: str = ""
    layout: Layout = "vitreous"
    max_memory: str | None = None
    overwrite: bool = False
    like: Likeness | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`, without those that belong to one call."""
        like = {} if self.like is None else {"like": self.like.to_json()}
        return {"spec": self.spec.to_json(), "source": self.source, "layout": self.layout, **like}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], output: Path) -> SimulateRequest:
        """Inverse of `to_json`.

        Raises
        ------
        LookupError, TypeError, ValueError
            If something is missing or of another kind.
        """
        if facts["layout"] not in ("vitreous", "shrec21"):
            raise ValueError("unknown layout")
        like = None if "like" not in facts else Likeness.from_json(facts["like"])
        spec = SimulationSpec(**facts["spec"])
        return cls(spec, output, str(facts["source"]), facts["layout"], like=like)

    def continues(self, facts: Mapping[str, Any]) -> bool:
        """Whether a `run.json` is of this request, up to the number of tomograms."""
        before, now = (
            {**r, "spec": {**r["spec"], "tomograms": 0}, "source": "", "like": None}
            for r in (facts, self.to_json())
        )
        return before == now

    def command(self) -> str:
        """The command line that repeats the run."""
        words = ["vitreous", "simulate", self.source or "spec.toml"]
        if self.like is not None:
            words += ["--like", str(self.like.tomogram)]
            size = self.like.voxel_size_angstrom
            words += [] if size is None else ["--voxel-size", str(size)]
        words += ["-o", str(self.output)]
        words += ["--seed", str(self.spec.seed), "--count", str(self.spec.tomograms)]
        words += [] if self.layout == "vitreous" else ["--layout", self.layout]
        return shlex.join(words)

    def folder(self, index: int) -> Path:
        """Where a tomogram goes."""
        name = f"tomogram_{index:03d}" if self.layout == "vitreous" else f"model_{index}"
        return self.output / name

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where all tomograms go."""
        return tuple(self.folder(index) for index in range(self.spec.tomograms))

    def tomogram_file(self, index: int) -> Path:
        """Where the voxels of a tomogram go."""
        name = "tomogram" if self.layout == "vitreous" else "reconstruction"
        return self.folder(index) / f"{name}.mrc"
