"""A specification in the style of a tomogram: its voxels, wedge, noise and contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vitreous.core import InputError, Progress, SilentProgress
from vitreous.io import volume_warnings
from vitreous.simulate import TiltScheme
from vitreous.workflows.inspect import Inspection, inspect_tomogram
from vitreous.workflows.inspect.tomogram import READ_OFF_SIGNAL, silence_doubts, spectrum_doubts
from vitreous.workflows.inspect.values import TiltRange
from vitreous.workflows.measurable import open_measurable
from vitreous.workflows.simulate.spec import SimulationSpec

DIGITS = 6  # of a voxel spacing: a header has no more


def spec_like(
    spec: SimulationSpec,
    tomogram: str | Path,
    *,
    voxel_size_angstrom: float | None = None,
    progress: Progress | None = None,
) -> SimulationSpec:
    """A specification whose tomograms look like an unlabelled one.

    Voxel spacing, tilt range, the noise's spectrum and strength and the contrast come from the tomogram;
    the specimen, the shape of the box, CTF, dose damping, seed and count, and an `snr` if there is one,
    from the specification. So do the tilts or the contrast where the tomogram does not show them.

    Parameters
    ----------
    spec
        What to simulate.
    tomogram
        Its file, which simulations read too: its path goes into the specification.
    voxel_size_angstrom
        Spacing in Å, where the file has none.
    progress
        Receives the steps, and a warning for each doubt; silent by default.

    Raises
    ------
    InputError
        If the file cannot be read, has no known voxel spacing or unequal ones, is too small or has nothing
        in it, or the specification does not go together with it.
    Interrupted
        If the user stopped.
    """
    report = progress or SilentProgress()
    liked, doubts = spec_and_doubts(spec, tomogram, voxel_size_angstrom, report)
    for text in doubts:
        report.warn(text)
    return liked


def spec_and_doubts(
    spec: SimulationSpec, tomogram: str | Path, voxel_size_angstrom: float | None, progress: Progress
) -> tuple[SimulationSpec, tuple[str, ...]]:
    """The same, and what is doubtful about it, one sentence each."""
    path = Path(tomogram).absolute()
    volume, spacing = open_measurable(path, voxel_size_angstrom)
    found = inspect_tomogram(volume, progress=progress)
    if found.noise is None:
        text = found.doubts[-1].rstrip(".")
        raise InputError(text[:1].lower() + text[1:], path=path, remedy="check the file")
    plain = spec.to_json()
    plain["box"]["voxel_spacing_angstrom"] = float(f"{spacing:.{DIGITS}g}")
    plain["imaging"]["noise_like"] = str(path)
    doubts = [*volume_warnings(volume), *spectrum_doubts(found), *silence_doubts(found)]
    if found.tilt_range is None:
        doubts.append(
            f"No missing wedge is seen in {path.name}; tilts of {spec.tilts.lowest_deg:g}° to "
            f"{spec.tilts.highest_deg:g}° are those of the specification."
        )
    else:
        plain["tilts"] |= tilts_like(spec.tilts, found.tilt_range)
        doubts += [READ_OFF_SIGNAL] if found.tilt_range.seen_in == "signal" else []
    plain["reconstruction"]["invert"], unclear = is_bright(found, spec.reconstruction.invert)
    doubts += unclear
    try:
        return SimulationSpec(**plain), tuple(doubts)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        text = f"the specification cannot be simulated in its style: {problem}"
        raise InputError(text, path=path, remedy="change the specification") from error


def tilts_like(scheme: TiltScheme, seen: TiltRange) -> dict[str, Any]:
    """Limits of the tilt range that was seen, and a start within them.

    What is seen reaches half a step beyond the outermost tilts, so that whole steps end at these.
    """
    lowest, highest = (round(min(max(limit, -90.0), 90.0), 1) for limit in seen.limits_deg)
    start = scheme.start if scheme.order == "dose-symmetric" or scheme.start_deg is not None else lowest
    inside = min(max(start, lowest), highest)
    told = {} if scheme.start_deg is None and inside == start else {"start_deg": inside}
    return {"lowest_deg": lowest, "highest_deg": highest, **told}


def is_bright(found: Inspection, otherwise: bool) -> tuple[bool, list[str]]:
    """Whether protein is bright, and what to say if that is not clear."""
    seen = "unclear" if found.polarity is None else found.polarity.protein
    if seen != "unclear":
        return seen == "bright", []
    word = "bright" if otherwise else "dark"
    return otherwise, [
        f"The grey values do not tell whether protein is dark or bright; the specification has it {word}."
    ]
