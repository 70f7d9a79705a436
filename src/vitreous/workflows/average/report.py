"""An average as a page: what came out, how far to believe it, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from vitreous.averaging import Round, low_passed
from vitreous.evidence import resolution_in_words
from vitreous.io import SUBSET
from vitreous.report import TableSection, render_tables_report
from vitreous.report.figures import fsc_svg
from vitreous.report.panels import Panel, grey, panels_svg
from vitreous.workflows.average.request import AverageRequest


def average_report(request: AverageRequest, facts: Mapping[str, Any], done: Round) -> str:
    """The report of a finished run as HTML.

    Parameters
    ----------
    request
        What was asked for.
    facts
        What `run.json` says of the run.
    done
        The last round.
    """
    spacing = facts["voxel_spacing_angstrom"]
    curves = {
        "half maps, masked and corrected": (done.fsc.frequency, done.fsc.corrected),
        "masked": (done.fsc.frequency, done.fsc.masked),
        "not masked": (done.fsc.frequency, done.fsc.unmasked),
        "masked, random phases": (done.fsc.frequency, done.fsc.randomized),
    }
    if facts["template_fsc"] is not None:
        curves["average against the template"] = (done.fsc.frequency, np.array(facts["template_fsc"]))
    header = ("round", "resolution, Å", "finest detail used to align, Å", "mean score")
    rows = [
        [
            str(r["number"]),
            number(r["resolution_angstrom"]),
            number(r["finest_used_angstrom"]),
            f"{r['score']:.3f}",
        ]
        for r in facts["rounds"]
    ]
    sections = [
        TableSection("What came out", believed(facts), rows=list(summary_of(request, facts).items())),
        TableSection(
            "Average", "", figure_svg=panels_svg(pictures(done, facts), "slices of the maps", columns=3)
        ),
        TableSection(
            "Fourier shell correlation",
            "Resolution is read off at 0.143 of the corrected curve of the half maps, and counts where it is "
            f"finer than {facts['evidence_beyond_angstrom']:.0f} Å.",
            figure_svg=fsc_svg(
                curves,
                spacing_angstrom=spacing,
                levels=(0.143, 0.5),
                label="Fourier shell correlation of half maps",
            ),
        ),
        TableSection("Rounds", header=header, rows=rows),
        TableSection("Repeat", f"`{request.command()}`"),
    ]
    return render_tables_report(f"Averaged: {request.picks.name}", sections, warnings=facts["warnings"])


def believed(facts: Mapping[str, Any]) -> str:
    """How far the resolution is evidence, in words."""
    settings, limit = facts["settings"], facts["evidence_beyond_angstrom"]
    text = (
        "The halves were aligned apart from each other. Detail coarser than "
        f"{settings['low_pass_angstrom']:g} Å was shared by both halves, and its soft edge and the mask "
        f"carry some of it down to {limit:.0f} Å: agreement up to there shows nothing. Finer detail came "
        "from each half alone."
    )
    # Older runs do not say where their halves are from: none took those of the file.
    if settings["reach_deg"] is not None and not facts.get("halves_from_file"):
        text += (
            " That holds of this run alone, which began from given orientations (--reach): if those were "
            "refined with other halves, each half knows finer detail of the other."
        )
    if settings["template"] is not None:
        text += " What the template gave reaches as far: agreement with it counts beyond that alone."
    return text


def summary_of(request: AverageRequest, facts: Mapping[str, Any]) -> dict[str, str]:
    """What was run on what, and what it gave."""
    settings = facts["settings"]
    found = {
        "resolution (half maps, 0.143)": evident(facts, "resolution_angstrom"),
        "particles": f"{facts['particles']} in {len(request.tomograms)} tomograms",
        "box": f"{facts['box_voxels']} voxels of {facts['voxel_spacing_angstrom']:.4g} Å",
        "symmetry": settings["symmetry"],
        "halves": f"as {SUBSET} has them" if facts.get("halves_from_file") else "made by this run",
        "template": settings["template"] or "none: the picks' own average",
        "diameter": f"{facts['diameter_angstrom']:.0f} Å",
        "time": f"{facts['seconds']:.0f} s",
    }
    if facts["template_fsc"] is not None:
        found["agreement with the template (0.5)"] = evident(facts, "template_resolution_angstrom")
    wedges = {f"tilts of {name}": text for name, text in facts["wedges"].items()}
    return {**found, **wedges, "output": str(request.output)}


def pictures(done: Round, facts: Mapping[str, Any]) -> list[Panel]:
    """Middle slices of the average, filtered to its resolution, and of the half maps."""
    spacing, middle = facts["voxel_spacing_angstrom"], done.average.shape[0] // 2
    resolution = done.resolution_angstrom
    frequency = spacing / resolution if np.isfinite(resolution) else 0.5
    volumes = {"average": done.average, "half 1": done.halves[0], "half 2": done.halves[1]}
    panels = []
    for name, volume in volumes.items():
        shown = low_passed(volume.to(torch.float32), min(frequency, 0.5)).numpy()
        for axis, text in enumerate("zyx"):
            panels.append(Panel(f"{name}, {text} = {middle}", grey(np.take(shown, middle, axis=axis))))
    return panels


def evident(facts: Mapping[str, Any], name: str) -> str:
    """A resolution that `run.json` has by a name, as far as it is evidence."""
    return resolution_in_words(facts[name], facts["evidence_beyond_angstrom"])


def number(value: float | None) -> str:
    """A resolution in Å."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.1f}"
