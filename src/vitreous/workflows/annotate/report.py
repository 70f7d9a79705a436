"""The page that says what was found and how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.averaging import low_passed
from vitreous.evidence import resolution_in_words
from vitreous.io import open_volume
from vitreous.report import TableSection, render_tables_report, row_png
from vitreous.report.figures import fsc_svg
from vitreous.report.panels import Panel, coloured, grey, legend_svg, panels_svg
from vitreous.workflows.annotate.alignment import SEARCHED_ANGSTROM
from vitreous.workflows.annotate.boxes import boxes_for
from vitreous.workflows.annotate.request import file_name
from vitreous.workflows.annotate.work import Work

SHARES = (0.3, 0.5, 0.7)  # of the depth: where the pictures are
HOW = (
    "Noise of the tomogram's own spectrum was drawn and split: the tomogram with half of it added was "
    "segmented and picked from; the tomogram with twice as much of it taken off judges the picks, so that "
    "noise that looked like a particle does not look like it again: poses are those of the first, scores "
    "those of the second in just these poses. Every place where the network saw "
    "something was aligned to every structure and to decoys: it is a pick of what it fits best, if that is "
    "three deviations above what the structure scores at random places, and not far below what its best "
    "picks score. A structure is **found** if its "
    "picks align better than random places and better to it than to each decoy (random phases, a membrane, "
    "gold, what else was asked for, complexes unlike it, and the two that are nearest in mass and not of one "
    "shape with it); the chance of one wrong "
    '"found" by noise in the whole list is 1 %, as far as the noise estimate is right.'
)
PICTURED = (
    "Tomogram, denoised, labels: each pick in the shape and orientation of its structure; membranes and gold "
    "where the network saw them."
)

UNSEEN = "the copy in which no pose was found, which has five times the noise"
AVERAGED = (
    "Middle slices of the mean of all judged picks, and of the structure at the same resolution. Even noise "
    "that was aligned to a structure looks like it at 60 Å: half maps and verdict say what to believe."
)


def annotation_report(work: Work, facts: Mapping[str, Any]) -> str:
    """An HTML page from what the stages left on disk."""
    judged, averages = facts["stages"]["judge"]["structures"], facts["stages"]["average"]["averages"]
    sections = [
        verdict_section(work, judged, averages),
        TableSection("How it was judged", HOW),
        TableSection("Slices", PICTURED, figure_svg=slices(work)),
        TableSection("Labels", figure_svg=legend_svg(work.names, "labels")),
    ]
    for name, found in averages.items():
        sections += average_sections(work, name, found)
    looked = {key.replace("_", " "): str(value) for key, value in facts["stages"]["inspect"].items()}
    looked.pop("warnings", None)
    times = [[name, f"{stage['seconds']:.0f} s"] for name, stage in facts["stages"].items()]
    sections += [
        TableSection("The tomogram", rows=[list(pair) for pair in looked.items()]),
        TableSection("Time", rows=times),
        TableSection("Repeat", f"`{facts['command']}`"),
    ]
    title = f"Annotated: {work.request.input.name}"
    return render_tables_report(title, sections, warnings=warnings_of(facts["stages"]))


def verdict_section(work: Work, judged: Mapping[str, Any], averages: Mapping[str, Any]) -> TableSection:
    """The verdict on each structure, as a table and in words."""
    rows = [
        [
            name,
            found["outcome"],
            str(found["all_picks"]),
            f"{found['above_noise']} of {found['picks']}",
            f"{found['shares'].get(found['rival'], 0):.0%}",
            found["rival"],
            resolution(averages[name], 2 * work.subject.averaging_spacing_angstrom),
        ]
        for name, found in judged.items()
    ]
    header = ["structure", "verdict", "picks", "above noise", "better than rival", "rival", "half maps, Å"]
    return TableSection("What was found", words(judged), header, rows)


def average_sections(
    work: Work, name: str, found: Mapping[str, Any], unseen: str = UNSEEN
) -> list[TableSection]:
    """Pictures of the average of a structure and its FSC; none where too few were averaged.

    `unseen` says what is compared with the structure, in words.
    """
    if "fsc" not in found:
        return []
    frequency, values = (np.array(numbers) for numbers in found["fsc"])
    curves = {
        "half maps": (frequency, values),
        "unseen copy against the structure": (frequency, np.array(found["structure_fsc"])),
    }
    spacing = work.subject.averaging_spacing_angstrom
    svg = fsc_svg(curves, spacing_angstrom=spacing, levels=(0.143, 0.5), label=f"FSC of {name}")
    pictures = panels_svg(average_panels(work, name, found), f"average of {name}", columns=3)
    return [
        TableSection(f"Average: {name}", AVERAGED, figure_svg=pictures),
        TableSection(f"Half maps: {name}", agreement(found, unseen), figure_svg=svg),
    ]


def warnings_of(stages: Mapping[str, Any]) -> list[str]:
    """What the stages warned of."""
    return [text for stage in stages.values() for text in stage.get("warnings", ())]


def words(judged: Mapping[str, Any]) -> str:
    """A paragraph for each structure."""
    return "\n\n".join(
        f"**{name}: {found['outcome']}.** {' '.join((*found['reasons'], *found['also']))}"
        for name, found in judged.items()
    )


def resolution(found: Mapping[str, Any], finest_angstrom: float) -> str:
    """The resolution of half maps in words; only what is finer than the evidence begins says anything.

    Examples
    --------
    >>> found = {"resolution_angstrom": 40.0, "evidence_beyond_angstrom": 49.0}
    >>> resolution(found, 40.0), resolution({**found, "resolution_angstrom": 52.1}, 40.0)
    ('40 (the voxels allow no more)', 'none beyond 49')
    """
    if "evidence_beyond_angstrom" not in found:
        return "–"
    value, beyond = found["resolution_angstrom"], found["evidence_beyond_angstrom"]
    if value is None or value >= beyond:
        return f"none beyond {beyond:.0f}"
    return f"{value:.0f}" + (" (the voxels allow no more)" if value <= 1.01 * finest_angstrom else "")


def agreement(found: Mapping[str, Any], unseen: str) -> str:
    """What the curves of an average say, and how its particles lie."""
    beyond = found["evidence_beyond_angstrom"]
    return (
        "Half maps within a soft mask, corrected with random phases. Particles were aligned to one structure "
        "at 60 Å: up to there they must agree, whatever they are, and so far as the mask carries that. Only "
        f"agreement beyond {beyond:.0f} Å counts: of the half maps (0.143) "
        f"{resolution_in_words(found['resolution_angstrom'], beyond)}; of the average of {unseen}, with the "
        "structure (0.5) "
        f"{resolution_in_words(found['structure_resolution_angstrom'], beyond)}."
        f"\n\n{orientations(found['tilts'])}"
    )


def orientations(angles_deg: Sequence[float]) -> str:
    """How the particles lie to the beam, in words.

    Examples
    --------
    >>> orientations([10.0, 45.0, 80.0, 85.0]).partition("from it in ")[2]
    '25, 25 and 50 % of the particles (evenly: 13, 37 and 50 %).'
    """
    counts, _ = np.histogram(angles_deg, bins=(0.0, 30.0, 60.0, 90.0))
    shares = "{:.0f}, {:.0f} and {:.0f} %".format(*(100 * counts / max(1, len(angles_deg))))
    return (
        "The z axis, as the structure's file has it, is within 30° of the beam, 30° to 60°, and 60° to 90° "
        f"from it in {shares} of the particles (evenly: 13, 37 and 50 %)."
    )


def average_panels(work: Work, name: str, found: Mapping[str, Any]) -> list[Panel]:
    """Middle slices of the mean of both half maps and of the structure, at the halves' resolution."""
    files = [work.place("averages", f"{file_name(name)}_half{number}.mrc") for number in (1, 2)]
    average = np.mean([open_volume(file).data for file in files], axis=0)
    template = work.averaged_templates[name]
    boxes = boxes_for(work, template, work.subject.averaging_spacing_angstrom)
    finest = min(found["resolution_angstrom"] or SEARCHED_ANGSTROM, SEARCHED_ANGSTROM)
    panels = []
    for title, volume in (("average", torch.from_numpy(average)), (name, boxes.fitted(template.density))):
        shown = low_passed(volume.float(), min(0.5, boxes.spacing_angstrom / finest)).numpy()
        middle = shown.shape[0] // 2
        panels += [
            Panel(f"{title}, {text} = {middle}", grey(np.take(shown, middle, axis=axis)))
            for axis, text in enumerate("zyx")
        ]
    return panels


def slices(work: Work) -> str:
    """A few planes of the tomogram, denoised, and its labels."""
    volumes = shown_volumes(work)
    planes = [int(share * (len(volumes["tomogram"]) - 1)) for share in SHARES]
    panels = [panel for at in planes for panel in plane(volumes, at)]
    return panels_svg(panels, "slices of tomogram and labels", columns=3)


def middle_png(work: Work) -> bytes:
    """The middle plane of the tomogram, denoised, and its labels, as PNG."""
    volumes = shown_volumes(work)
    return row_png([panel.image for panel in plane(volumes, len(volumes["tomogram"]) // 2)])


def shown_volumes(work: Work) -> dict[str, NDArray[Any]]:
    """What the pictures are of, read only where they are."""
    written = {name: open_volume(work.place(f"{name}.mrc")).data for name in ("denoised", "labels")}
    return {"tomogram": work.subject.volume.data, **written}


def plane(volumes: Mapping[str, NDArray[Any]], at: int) -> list[Panel]:
    """One plane of each."""
    return [
        Panel(
            f"{name}, z = {at}",
            coloured(np.asarray(volume[at]))
            if name == "labels"
            else grey(np.nan_to_num(np.asarray(volume[at], np.float32))),
        )
        for name, volume in volumes.items()
    ]
