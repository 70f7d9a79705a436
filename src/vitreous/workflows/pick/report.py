"""From picks to the page that shows them on slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Volume
from vitreous.filters import gaussian
from vitreous.picking import Picked, Picks
from vitreous.report import TableSection, render_tables_report
from vitreous.report.figures import scores_svg
from vitreous.report.panels import LARGEST_SIDE, Panel, grey, panels_svg, ringed
from vitreous.workflows.pick.request import PickRequest

RING = (240, 180, 50)
BINS = 40
AXES = "zyx"
SMOOTHED = 4  # pictures by this share of the σ with which particles are found
QUANTILES = (0.2, 0.5, 0.8)  # of the picks along the beam: where the pictures are


def score_histogram(picked: Picked) -> dict[str, list[float]]:
    """Counts of all maxima and of the picks in bins of score, as plain values."""
    highest = max(1.0, float(picked.candidates.max(initial=0)))
    edges = np.linspace(0, highest * 1.001, BINS + 1)
    counts = {"maxima": picked.candidates, "picks": picked.picks.scores}
    return {
        "edges": edges.tolist(),
        **{name: np.histogram(values, edges)[0].tolist() for name, values in counts.items()},
    }


def pick_report(request: PickRequest, facts: Mapping[str, Any], volume: Volume, picks: Picks) -> str:
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
    """
    histogram, settings = facts["histogram"], facts["settings"]
    counts = {name: np.array(histogram[key]) for name, key in (("all maxima", "maxima"), ("picks", "picks"))}
    planes = max(1, round(settings["sigma_angstrom"] / (volume.mean_spacing_angstrom or 1)))
    figures = {
        "across the beam": [marked(volume, picks, facts, planes, 0, at) for at in places(volume, picks)],
        "along the beam": [marked(volume, picks, facts, planes, 1, volume.shape[1] // 2)],
    }
    text = (
        f"Each picture is the mean of {planes} slices, smoothed; a single one may show little but noise. "
        f"Circles are cuts through balls of {facts['diameter_angstrom']:.0f} Å around the picks."
    )
    sections = [
        TableSection("What was picked", rows=list(summary_of(request, facts, volume, picks).items())),
        *(
            TableSection(f"Slices {name}", text, figure_svg=panels_svg(panels, f"slices {name}", columns=3))
            for name, panels in figures.items()
        ),
        TableSection(
            "Scores",
            "In multiples of the noise of the score map (its robust deviation). Particles that stand out "
            "are a hump of their own to the right of the noise.",
            figure_svg=scores_svg(np.array(histogram["edges"]), counts, settings["threshold"]),
        ),
        TableSection("Repeat", f"`{request.command()}`"),
    ]
    return render_tables_report(f"Picked: {request.input.name}", sections, warnings=facts["warnings"])


def summary_of(
    request: PickRequest, facts: Mapping[str, Any], volume: Volume, picks: Picks
) -> dict[str, str]:
    """What was run on what, in the order shown."""
    settings = facts["settings"]
    sigmas = [settings["sigma_angstrom"], settings["ratio"] * settings["sigma_angstrom"]]
    scores = f"{picks.scores[-1]:.1f} to {picks.scores[0]:.1f}" if len(picks) else "–"
    return {
        "input": str(request.input),
        "output": str(request.output),
        "size (z, y, x)": " × ".join(map(str, volume.shape)),
        "voxel spacing": f"{volume.mean_spacing_angstrom:.4g} Å",
        "method": "difference of Gaussians, σ = " + " and ".join(f"{s:.1f} Å" for s in sigmas),
        "particles": f"{facts['diameter_angstrom']:.0f} Å, {'bright' if settings['bright'] else 'dark'}",
        "merged if closer than": f"{settings['min_distance_angstrom']:.0f} Å",
        "mask": str(request.mask or "none"),
        "picks": f"{facts['picks']} of {facts['candidates']} maxima",
        "scores": scores,
        "threshold": f"{settings['threshold']:g}, and at most {settings['count']}",
        "time": f"{facts['seconds']:.1f} s",
    }


def places(volume: Volume, picks: Picks) -> list[int]:
    """Planes across the beam that are shown: where the picks are, if there are any."""
    depth = volume.shape[0]
    if not len(picks):
        return [int(q * (depth - 1)) for q in QUANTILES]
    voxels = picks.positions_angstrom[:, 0] / spacing_of(volume)[0]
    return sorted({int(np.clip(np.rint(np.quantile(voxels, q)), 0, depth - 1)) for q in QUANTILES})


def marked(volume: Volume, picks: Picks, facts: Mapping[str, Any], planes: int, axis: int, at: int) -> Panel:
    """The mean of some slices perpendicular to an axis, with circles where balls around picks are cut."""
    first = max(0, at - planes // 2)
    cut = [slice(None)] * 3
    cut[axis] = slice(first, first + planes)
    plane = np.nan_to_num(np.asarray(volume.data[tuple(cut)], np.float32)).mean(axis=axis)
    plane = gaussian(plane, sigma=planes / SMOOTHED)
    picture = grey(plane)
    others = [a for a in range(3) if a != axis]
    block = -(-max(plane.shape) // LARGEST_SIDE)
    centres, radii = circles(picks, facts["diameter_angstrom"] / 2, spacing_of(volume), axis, at)
    centres = (centres + 0.5) / block - 0.5
    title = f"{AXES[axis]} = {at}, {len(radii)} picks; {AXES[others[1]]} to the right"
    return Panel(title, ringed(picture, centres, radii / block, RING))


def circles(
    picks: Picks, radius: float, spacing: Sequence[float], axis: int, at: int
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
