"""From picks to the page that shows them on slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Poses, Volume
from vitreous.filters import gaussian
from vitreous.report import TableSection, render_tables_report
from vitreous.report.figures import scores_svg
from vitreous.report.panels import LARGEST_SIDE, PALETTE, Panel, grey, legend_svg, panels_svg, ringed
from vitreous.workflows.pick.pickers import Found
from vitreous.workflows.pick.request import PickRequest

BINS = 40
AXES = "zyx"
SHOWN = 0.28  # of the diameter, the slices that a picture is the mean of
SMOOTHED = 4  # pictures by this share of those slices
QUANTILES = (0.2, 0.5, 0.8)  # of the picks along the beam: where the pictures are


def score_histogram(found: Found) -> dict[str, list[float]]:
    """Counts of all maxima and of the picks in bins of score, as plain values."""
    highest = max(1.0, float(found.candidates.max(initial=0)))
    edges = np.linspace(0, highest * 1.001, BINS + 1)
    counts = {"maxima": found.candidates, "picks": found.scores}
    return {
        "edges": edges.tolist(),
        **{name: np.histogram(values, edges)[0].tolist() for name, values in counts.items()},
    }


def pick_report(
    request: PickRequest, facts: Mapping[str, Any], volume: Volume, picks: Poses, score_text: str
) -> str:
    """One tomogram's picks as an HTML page.

    Parameters
    ----------
    request
        What was asked for.
    facts
        What `run.json` says of the finished run.
    volume
        The tomogram.
    picks
        As they were written.
    score_text
        What scores are.
    """
    histogram, diameters = facts["histogram"], facts["diameters_angstrom"]
    counts = {name: np.array(histogram[key]) for name, key in (("all maxima", "maxima"), ("picks", "picks"))}
    smallest = min(diameters.values(), default=0.0)
    planes = max(1, round(SHOWN * smallest / spacing_of(volume)[0]))
    figures = {
        "across the beam": [marked(volume, picks, facts, planes, 0, at) for at in places(volume, picks)],
        "along the beam": [marked(volume, picks, facts, planes, 1, volume.shape[1] // 2)],
    }
    sizes = ", ".join(f"{name} {size:.0f} Å" for name, size in diameters.items()) or "nothing"
    text = (
        f"Each picture is the mean of {planes} slices, smoothed; a single one may show little but noise. "
        f"Circles are cuts through balls around the picks, with diameters of: {sizes}."
    )
    colours = TableSection("Colours", figure_svg=legend_svg(list(diameters), "colours of classes"))
    sections = [
        TableSection("What was picked", rows=list(summary_of(request, facts, volume, picks).items())),
        *(
            TableSection(f"Slices {name}", text, figure_svg=panels_svg(panels, f"slices {name}", columns=3))
            for name, panels in figures.items()
        ),
        *([colours] if len(diameters) > 1 else []),
        TableSection(
            "Scores",
            score_text,
            figure_svg=scores_svg(np.array(histogram["edges"]), counts, facts["threshold"]),
        ),
        TableSection("Repeat", f"`{request.command()}`"),
    ]
    return render_tables_report(f"Picked: {request.input.name}", sections, warnings=facts["warnings"])


def summary_of(
    request: PickRequest, facts: Mapping[str, Any], volume: Volume, picks: Poses
) -> dict[str, str]:
    """What was run on what, in the order shown."""
    counts = {name: picks.names.count(name) for name in facts["diameters_angstrom"]}
    each = {f"picks of {name}": str(count) for name, count in counts.items()} if len(counts) > 1 else {}
    return {
        "input": str(request.input),
        "output": str(request.output),
        "size (z, y, x)": " × ".join(map(str, volume.shape)),
        "voxel spacing": f"{volume.mean_spacing_angstrom:.4g} Å",
        **facts["described"],
        "mask": str(request.mask or "none"),
        "picks": f"{facts['picks']} of {facts['candidates']} maxima",
        **each,
        "threshold": f"{facts['threshold']:g}",
        "time": f"{facts['seconds']:.1f} s",
    }


def places(volume: Volume, picks: Poses) -> list[int]:
    """Planes across the beam that are shown: where the picks are, if there are any."""
    depth = volume.shape[0]
    if not len(picks):
        return [int(q * (depth - 1)) for q in QUANTILES]
    voxels = picks.positions_angstrom[:, 0] / spacing_of(volume)[0]
    return sorted({int(np.clip(np.rint(np.quantile(voxels, q)), 0, depth - 1)) for q in QUANTILES})


def marked(volume: Volume, picks: Poses, facts: Mapping[str, Any], planes: int, axis: int, at: int) -> Panel:
    """The mean of some slices perpendicular to an axis, with circles where balls around picks are cut."""
    first = max(0, at - planes // 2)
    cut = [slice(None)] * 3
    cut[axis] = slice(first, first + planes)
    plane = np.nan_to_num(np.asarray(volume.data[tuple(cut)], np.float32)).mean(axis=axis)
    plane = gaussian(plane, sigma=planes / SMOOTHED)
    picture = grey(plane)
    others = [a for a in range(3) if a != axis]
    block = -(-max(plane.shape) // LARGEST_SIDE)
    rings = [np.zeros((0, 6))]
    for number, (name, diameter) in enumerate(facts["diameters_angstrom"].items()):
        chosen = picks.select(np.array([n == name for n in picks.names], bool))
        centres, radii = circles(chosen, diameter / 2, spacing_of(volume), axis, at)
        colours = np.tile(PALETTE[number % len(PALETTE)], (len(radii), 1))
        rings.append(np.column_stack([(centres + 0.5) / block - 0.5, radii / block, colours]))
    drawn = np.concatenate(rings)
    title = f"{AXES[axis]} = {at}, {len(drawn)} picks; {AXES[others[1]]} to the right"
    return Panel(title, ringed(picture, drawn[:, :2], drawn[:, 2], drawn[:, 3:]))


def circles(
    picks: Poses, radius: float, spacing: Sequence[float], axis: int, at: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres (n, 2) and radii (n,), in voxels, of the cuts that a plane makes through balls around picks."""
    others = [a for a in range(3) if a != axis]
    away = picks.positions_angstrom[:, axis] - at * spacing[axis]
    near = np.abs(away) < 0.95 * radius
    centres = picks.positions_angstrom[near][:, others] / [spacing[a] for a in others]
    return centres, np.sqrt(radius**2 - away[near] ** 2) / spacing[others[0]]


def spacing_of(volume: Volume) -> tuple[float, float, float]:
    """The mean spacing along every axis, as picks are placed by it."""
    mean = volume.mean_spacing_angstrom
    assert mean is not None
    return (mean,) * 3
