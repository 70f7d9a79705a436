"""From inspections to one page with slices, spectra and doubts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Volume
from vitreous.filters import gaussian
from vitreous.fourier import shell_means
from vitreous.report import TableSection, render_tables_report, xz_power_spectrum
from vitreous.report.evidence import NoiseCurve
from vitreous.report.figures import noise_svg, spectrum_limits, spectrum_svg
from vitreous.report.panels import Panel, grey, panels_svg
from vitreous.workflows.inspect.tomogram import limits_in_words
from vitreous.workflows.inspect.values import Inspection

Entry = tuple[Path, Volume, Inspection, dict[str, Any]]
LINE = (240, 180, 50)
SHOWN_ANGSTROM = 50.0  # thickness of the slices that are shown
SHELLS = 17
UNKNOWN = "not known"


def inspection_report(entries: Sequence[Entry], unreadable: Sequence[str] = ()) -> str:
    """Inspected files as an HTML page, one after the other.

    Parameters
    ----------
    entries
        Path, volume, what was found, and the same as plain values, of each file.
    unreadable
        What is to be said of files that could not be read.
    """
    sections, warnings = [], list(unreadable)
    for path, volume, found, facts in entries:
        alone = len(entries) == 1
        warnings += [doubt if alone else f"{path.name}: {doubt}" for doubt in found.doubts]
        sections += sections_of(volume, found, facts, "" if alone else f"{path.name}: ")
    title = f"Inspected: {entries[0][0].name}" if len(entries) == 1 else f"Inspected: {len(entries)} files"
    return render_tables_report(title, sections, warnings=warnings)


def sections_of(volume: Volume, found: Inspection, facts: dict[str, Any], prefix: str) -> list[TableSection]:
    """The parts of the page that are of one file."""
    rows = list(described(found, facts).items())
    sections = [TableSection(f"{prefix}What it is", header=("", ""), rows=rows)]
    if found.statistics is None:
        return sections
    text = "Means of some slices, smoothed. Lines are the faces of the specimen, where they are seen."
    sections.append(
        TableSection(
            f"{prefix}Slices", text, figure_svg=panels_svg(slices(volume, found), "slices", columns=3)
        )
    )
    image = xz_power_spectrum(volume.data)
    spacing = volume.voxel_spacing_angstrom
    spectrum = spectrum_svg(
        image,
        title="x–z spectrum",
        limits=spectrum_limits(image, []),
        spacing_zx_angstrom=None if spacing is None else (spacing[0], spacing[2]),
    )
    text = (
        "Power in the plane across a tilt axis along y: what the tilts left out is the dark wedge about kz."
    )
    sections.append(TableSection(f"{prefix}Missing wedge", text, figure_svg=spectrum))
    if found.noise is not None:
        curve = noise_svg(noise_curve(found), spacing_angstrom=volume.mean_spacing_angstrom)
        text = "Where the input lies above the noise estimate, there is signal. In units of the variance."
        sections.append(TableSection(f"{prefix}Noise", text, figure_svg=curve))
    return sections


def described(found: Inspection, facts: dict[str, Any]) -> dict[str, str]:
    """Everything in words, in the order shown."""
    spacing, layer, outliers = found.voxel_spacing_angstrom, found.layer, found.outliers
    rows = {
        "file": facts["file"],
        "size (z, y, x)": " × ".join(map(str, found.shape)),
        "voxel spacing": UNKNOWN if spacing is None else " × ".join(f"{s:.4g}" for s in spacing) + " Å",
    }
    if found.polarity is not None:
        dark = found.polarity.probability_dark
        rows["protein"] = f"{found.polarity.protein} ({max(dark, 1 - dark):.1%} sure)"
    rows["tilts"] = "no missing wedge seen" if found.tilt_range is None else limits_in_words(found.tilt_range)
    if found.noise is not None:
        rows["noise / signal"] = f"{found.noise_to_signal:.2g}, {found.noise_share:.1%} of the variance"
    if layer is not None:
        along_y, along_x = layer.slopes_deg
        rows["specimen"] = (
            f"{layer.thickness_angstrom:.0f} ± {layer.uncertainty_angstrom:.0f} Å thick, "
            f"rises {along_y:.1f}° along y and {along_x:.1f}° along x (± {layer.slope_uncertainty_deg:.1f}°)"
        )
    if outliers is not None:
        size = f", {outliers.diameter_angstrom:.0f} Å" if outliers.diameter_angstrom and spacing else ""
        rows["gold"] = f"{outliers.beads} {outliers.polarity}{size}" if outliers.beads else "none seen"
        rows["erased places"] = str(outliers.erased)
    halves = facts.get("halves")
    return {**rows, **({"halves": " and ".join(halves)} if halves else {})}


def slices(volume: Volume, found: Inspection) -> list[Panel]:
    """The middle across each axis; the faces of the specimen as lines in those that show them."""
    spacing = volume.mean_spacing_angstrom or 10.0
    planes = max(1, round(SHOWN_ANGSTROM / spacing))
    panels = []
    for axis, shown in ((0, "yx"), (1, "zx"), (2, "zy")):
        middle = volume.shape[axis] // 2
        cut: list[slice] = [slice(None)] * 3
        cut[axis] = slice(max(0, middle - planes // 2), middle + (planes + 1) // 2)
        plane = np.nan_to_num(np.asarray(volume.data[tuple(cut)], np.float32)).mean(axis=axis)
        picture = np.repeat(grey(gaussian(plane, sigma=1.0))[..., None], 3, axis=2)
        if axis and found.layer is not None:
            slope = found.layer.slopes_deg[2 - axis]
            picture = with_faces(picture, found.layer.faces_angstrom, slope, spacing, volume.shape[0])
        panels.append(Panel(f"{'zyx'[axis]} = {middle}; {shown[1]} to the right, {shown[0]} down", picture))
    return panels


def with_faces(
    picture: NDArray[np.uint8],
    faces_angstrom: tuple[float, float],
    slope_deg: float,
    spacing: float,
    depth: int,
) -> NDArray[np.uint8]:
    """A picture with z down and two lines in it."""
    marked = picture.copy()
    scale = picture.shape[0] / depth
    columns = np.arange(picture.shape[1])
    rise = np.tan(np.deg2rad(slope_deg)) * (columns - picture.shape[1] / 2)
    for face in faces_angstrom:
        rows = np.rint(face / spacing * scale + rise).astype(int)
        inside = (rows >= 0) & (rows < picture.shape[0])
        marked[rows[inside], columns[inside]] = LINE
    return marked


def noise_curve(found: Inspection) -> NoiseCurve:
    """Shell means of the noise estimate and of everything."""
    assert found.noise is not None
    edges = np.linspace(0, 0.5, SHELLS + 1).tolist()
    shells = [
        shell_means(power, edges).nan_to_num(0).numpy() for power in (found.noise.power, found.noise.total)
    ]
    middles = np.array([(a + b) / 2 for a, b in pairwise(edges)])
    return NoiseCurve(middles, shells[0], shells[1])
