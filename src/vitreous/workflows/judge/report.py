"""The page that says whether picks are the structure that they are said to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitreous.report import TableSection, render_tables_report
from vitreous.workflows.annotate.report import UNSEEN, average_sections, verdict_section
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.judge.request import JudgeRequest

HOW = (
    "Picks, at most eighty of them, were first centred on what fits the structure best near them, in any "
    "orientation: those that the file has are not used. Then they and random places were aligned to the "
    "structure and to decoys (random phases, a membrane, gold, what it was to be compared with, complexes "
    "unlike it, and the two that are nearest in mass and not of one shape with it) in {searched}; they are "
    "scored, in just these poses, in {judged}. The structure is **found** if the picks score better than "
    'random places and better than as each decoy; the chance of a wrong "found" by noise is 1 % for each '
    "structure that is tried, if the noises are independent and picking has not seen the second."
)
WITH_UNSEEN = ("the tomogram", "the one that picking has not seen")
SPLIT = (
    "the tomogram with half of its noise, drawn anew, added",
    "the tomogram with twice as much of the drawn noise taken off",
)


def judgement_report(request: JudgeRequest, work: Work, facts: Mapping[str, Any]) -> str:
    """An HTML page: the verdict, how it came about, and the averages."""
    name, averages, found = request.structure, facts["average"], facts["judged"]
    searched, judging = SPLIT if request.unseen is None else WITH_UNSEEN
    unseen = UNSEEN if request.unseen is None else "the tomogram that picking has not seen"
    sections = [
        verdict_section(work, {name: found}, {name: averages}),
        TableSection("How it was judged", HOW.format(searched=searched, judged=judging)),
        *average_sections(work, name, averages, unseen),
        TableSection("Decoys", "Picks that fit the structure better than each.", rows=shares(found)),
        TableSection("Repeat", f"`{facts['command']}`"),
    ]
    return render_tables_report(f"Judged: {request.picks.name}", sections, warnings=facts["warnings"])


def shares(found: Mapping[str, Any]) -> list[list[str]]:
    """Each decoy with the share of picks that fit the structure better, the best decoy first."""
    ranked = sorted(found["shares"].items(), key=lambda item: item[1])
    return [[name, f"{share:.0%}"] for name, share in ranked]
