"""What judging is asked for: a value that goes into `run.json`, comes back from it, and is a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.workflows.annotate import AnnotateRequest


@dataclass(frozen=True)
class JudgeRequest:
    """Picks of one structure in one tomogram. Paths are absolute.

    Parameters
    ----------
    asked
        The tomogram, the folder, and the structures: first the one that the picks are said to be, then others
        that they are compared with.
    picks
        A file of any format that `vitreous average` reads.
    unseen
        A tomogram of the same specimen whose noise is another's, such as the other half, and which picking
        has not seen; None if there is none.
    coordinate_pixel_angstrom
        Of picks that count in pixels; None for what their file says.
    tomogram_name
        What the picks call the tomogram; None for what the name of its file tells.
    """

    asked: AnnotateRequest
    picks: Path
    unseen: Path | None = None
    coordinate_pixel_angstrom: float | None = None
    tomogram_name: str | None = None

    @property
    def structure(self) -> str:
        """What the picks are said to be, as a class is called."""
        return self.asked.particles()[0].class_name

    @property
    def beside(self) -> list[Path]:
        """The files that are read beside the tomogram and the structures."""
        return [self.picks] if self.unseen is None else [self.picks, self.unseen]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `run.json`; the folder and `overwrite` belong to one call."""
        return {
            "asked": self.asked.to_json(),
            "picks": str(self.picks),
            "unseen": None if self.unseen is None else str(self.unseen),
            "coordinate_pixel_angstrom": self.coordinate_pixel_angstrom,
            "tomogram_name": self.tomogram_name,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], output: Path) -> JudgeRequest:
        """Inverse of `to_json`.

        Raises
        ------
        LookupError, TypeError
            If something is missing or of another kind.
        """
        return cls(
            AnnotateRequest.from_json(facts["asked"], output),
            Path(facts["picks"]),
            None if facts["unseen"] is None else Path(facts["unseen"]),
            facts["coordinate_pixel_angstrom"],
            facts["tomogram_name"],
        )

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Whether a `run.json` is of this request."""
        return bool(facts["request"] == self.to_json())

    def command(self) -> str:
        """The command line that repeats the run."""
        asked, settings = self.asked, self.asked.settings
        first, *others = asked.structures
        words = ["vitreous", "judge", str(asked.input), str(self.picks), "--structure", first]
        for other in others:
            words += ["--against", other]
        options = {
            "--unseen": self.unseen,
            "--seed": settings.seed or None,
            "--max-memory": settings.max_memory,
            "--defocus": settings.defocus_um,
            "--binning": settings.binning,
            "--voxel-size": asked.voxel_size_angstrom,
            "--coordinate-pixel": self.coordinate_pixel_angstrom,
            "--tomogram-name": self.tomogram_name,
        }
        for option, value in options.items():
            words += [] if value is None else [option, str(value)]
        if settings.tilt_range_deg is not None:
            words += ["--tilt-range", *(f"{limit:g}" for limit in settings.tilt_range_deg)]
        if settings.invert is not None:
            words += ["--invert" if settings.invert else "--no-invert"]
        return shlex.join([*words, "-o", str(asked.output)])
