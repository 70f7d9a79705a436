"""From simulated tomograms to the pages that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.io import open_volume
from vitreous.report import TableSection, render_tables_report
from vitreous.report.panels import Panel, coloured, grey, legend_svg, panels_svg
from vitreous.workflows.simulate.request import SimulateRequest
from vitreous.workflows.simulate.spec import dose_of
from vitreous.workflows.simulate.values import SimulatedTomogram

MOST_THUMBNAILS = 12


def tomogram_report(made: SimulatedTomogram, name: str, command: str) -> str:
    """One tomogram as an HTML page: warnings, figures, counts, slices of everything, images."""
    shape = made.tomogram.shape
    first, stop = made.spec.box.slab or (0, shape[0])
    plane, row = (first + stop) // 2, shape[1] // 2
    sections = [
        TableSection("What was simulated", rows=list(summary_of(made).items())),
        TableSection(
            "Counts per class", header=("class", "requested", "placed", "voxels"), rows=count_rows(made)
        ),
        TableSection(
            f"Slices across the beam, z = {plane}",
            "x to the right, y downwards. Each volume has its own grey window.",
            figure_svg=panels_svg(slices(made, (plane,)), "slices across the beam"),
        ),
        TableSection(
            f"Slices along the beam, y = {row}",
            "x to the right, z downwards: here the missing wedge shows.",
            figure_svg=panels_svg(slices(made, (slice(None), row)), "slices along the beam"),
        ),
        TableSection(
            "Colours of the classes", figure_svg=legend_svg(made.grand_model.class_names, "classes")
        ),
        TableSection(
            "Tilt series",
            "Without noise: it was drawn into the tomogram, like another's."
            if made.spec.imaging.noise_like
            else "Above with noise, below without.",
            figure_svg=panels_svg(images(made), "tilt series", columns=3),
        ),
        TableSection("Repeat", f"`{command}`" if command else ""),
    ]
    return render_tables_report(f"Simulated: {name}", sections, warnings=made.warnings)


def slices(made: SimulatedTomogram, at: tuple[Any, ...]) -> list[Panel]:
    """The same slice of every volume."""
    model = made.grand_model
    pictures = {
        "tomogram": grey(made.tomogram.data[at]),
        "even half": grey(made.even.data[at]),
        "odd half": grey(made.odd.data[at]),
        "noise-free reconstruction": grey(made.noise_free.data[at]),
        "grand model": grey(model.density[at]),
        "classes": coloured(model.class_mask[at]),
        "instances": coloured(model.instance_mask[at]),
        "occupancy": grey(model.occupancy[at]),
    }
    return [Panel(title, picture) for title, picture in pictures.items()]


def images(made: SimulatedTomogram) -> list[Panel]:
    """The lowest, the flattest and the highest tilt, with (if there is some) and without noise."""
    series = made.tilt_series
    angles = np.array(series.tilt_angles_deg)
    chosen = (0, int(np.abs(angles).argmin()), len(angles) - 1)
    kinds: tuple[tuple[str, NDArray[np.float32]], ...] = (
        ("", series.images),
        (", noise-free", series.noise_free),
    )[1 if made.spec.imaging.noise_like else 0 :]
    return [
        Panel(f"{signed(angles[tilt])}{words}", grey(stack[tilt]))
        for words, stack in kinds
        for tilt in chosen
    ]


def signed(angle_deg: float) -> str:
    """A tilt angle for people.

    Examples
    --------
    >>> signed(-60.0), signed(0.0)
    ('−60°', '0°')
    """
    return f"{angle_deg:+g}°".replace("-", "−") if angle_deg else "0°"


def summary_of(made: SimulatedTomogram) -> dict[str, str]:
    """What was simulated, in the order shown."""
    spec, series = made.spec, made.tilt_series
    angles, counts = series.tilt_angles_deg, series.mean_counts
    noise = "as asked for" if spec.imaging.snr else "from the dose"
    like = spec.imaging.noise_like
    if like is not None:
        noise = f"noise like that of {PurePath(like).name}; the tilt series has none"
    limits = f"{signed(angles[0])} to {signed(angles[-1])} in steps of {spec.tilts.step_deg:g}°"
    return {
        "size (z, y, x)": " × ".join(map(str, made.tomogram.shape)),
        "voxel spacing": f"{spec.box.voxel_spacing_angstrom:g} Å",
        "tilt series": f"{len(angles)} tilts, {limits}, {spec.tilts.order}",
        "dose": f"{len(angles)} × {dose_of(spec):g} e/Å²",
        "defocus": "no CTF" if made.defocus_um is None else f"{made.defocus_um:.2f} µm under focus",
        "electrons per pixel": f"{min(counts):.0f} to {max(counts):.0f}",
        "SNR (variance)": f"{made.snr:.4g}, {noise}",
        "halves": f"by {series.halves}",
        "reconstruction": spec.reconstruction.method
        + (", protein bright" if spec.reconstruction.invert else ", protein dark"),
        "occupied": f"{made.grand_model.occupancy.mean():.1%} of the box",
        "seed": f"{spec.seed}, tomogram {made.index}",
    }


def count_rows(made: SimulatedTomogram) -> list[tuple[str, str, str, str]]:
    """Requested and placed instances and voxels of each class that was asked for."""
    model = made.grand_model
    labels = {name: label for label, name in enumerate(model.class_names, 1)}
    voxels = np.bincount(model.class_mask.ravel(), minlength=len(labels) + 1)
    return [
        (tally.name, str(tally.requested), str(tally.placed), str(voxels[labels[tally.name]]))
        for tally in model.tallies
    ]


def dataset_report(request: SimulateRequest, facts: Sequence[Mapping[str, Any]]) -> str:
    """All tomograms of a run as one HTML page; each has its own page in its folder."""
    header = ("tomogram", "defocus (µm)", "SNR", "instances", "warnings")
    rows = []
    for one in facts:
        defocus = "–" if one["defocus_um"] is None else f"{one['defocus_um']:.2f}"
        metrics = one["metrics"]
        figures = (f"{metrics['snr']:.4g}", str(metrics["instances"]), str(len(one["warnings"])))
        rows.append((one["name"], defocus, *figures))
    shown = [
        Panel(one["name"], middle_slice(request, index)) for index, one in enumerate(facts[:MOST_THUMBNAILS])
    ]
    sections = [
        TableSection("Tomograms", "Each has a report of its own in its folder.", header, rows),
        TableSection("Middle slices", figure_svg=panels_svg(shown, "middle slices", columns=3)),
        TableSection("Repeat", f"`{request.command()}`"),
    ]
    warnings = warnings_of(request, facts)
    return render_tables_report("Simulated tomograms", sections, warnings=warnings)


def warnings_of(request: SimulateRequest, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is doubtful about the whole run, then about each of its tomograms."""
    doubts = () if request.like is None else request.like.doubts
    return [*doubts, *(f"{one['name']}: {text}" for one in facts for text in one["warnings"])]


def middle_slice(request: SimulateRequest, index: int) -> NDArray[np.uint8]:
    """A picture of a written tomogram."""
    first, stop = request.spec.box.slab or (0, request.spec.box.shape[0])
    return grey(np.asarray(open_volume(request.tomogram_file(index)).data[(first + stop) // 2]))
