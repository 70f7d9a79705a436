"""Where the default and the noise model stand between the best filter and the ceiling of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from vitreous.benchmark.runner import Record
from vitreous.report import TableSection

APART_DB = 0.5  # ceiling above best filter; a share of less says nothing

Scores = Mapping[str, Mapping[int, float]]  # method to seed to PSNR


@dataclass(frozen=True)
class Rivals:
    """Names of the methods that others are measured against."""

    classical: Sequence[str]
    single_volume: Sequence[str]
    ceilings: Sequence[str]


def standing(records: Sequence[Record], rivals: Rivals) -> TableSection:
    """Per case the best of each kind, by its mean over the seeds, and how far `auto` and the noise model are.

    The share of the way from the best filter to the ceiling is one of means over seeds, and left out where
    the two are less than half a decibel apart.
    """
    rows = []
    for case in dict.fromkeys(r["case"] for r in records):
        scores: dict[str, dict[int, float]] = {}
        for record in records:
            if record["case"] == case and "psnr" in record:
                scores.setdefault(record["method"], {})[record["seed"]] = record["psnr"]
        bests = [best(scores, names) for names in (rivals.classical, rivals.single_volume, rivals.ceilings)]
        classical, single, ceiling = bests
        ours = scores.get("noise-model", {})
        share = ""
        if classical and ceiling and ours and difference(scores[ceiling], scores[classical]) >= APART_DB:
            way = difference(scores[ceiling], scores[classical])
            share = f"{difference(ours, scores[classical]) / way:.2f}"
        auto = scores.get("auto", {})
        gaps = [f"{difference(auto, scores[b]):+.2f}" if auto and b else "" for b in (single, classical)]
        chosen = "/".join(
            dict.fromkeys(r["chosen"] for r in records if (r["case"], r["method"]) == (case, "auto"))
        )
        named = [f"{b} {mean(scores[b].values()):.2f}" if b else "" for b in bests]
        noise_model = f"{mean(ours.values()):.2f}" if ours else ""
        rows.append([case, *named, noise_model, share, chosen, *gaps])
    header = (
        "case",
        "best filter",
        "best from one volume",
        "ceiling",
        "noise-model",
        "share of the way",
        "auto chose",
        "auto over best from one volume",
        "auto over best filter",
    )
    text = (
        "PSNR in dB, means over seeds. The best filter may be one tuned on the reference; the ceiling saw "
        "more than the one volume."
    )
    return TableSection("How far the noise model gets, and what auto chooses", text, header, rows)


def best(scores: Scores, names: Sequence[str]) -> str | None:
    """The name with the highest mean; None if none was measured."""
    found = [name for name in names if name in scores]
    return max(found, key=lambda name: mean(scores[name].values()), default=None)


def difference(first: Mapping[int, float], second: Mapping[int, float]) -> float:
    """Mean difference over the seeds that both have."""
    both = [seed for seed in first if seed in second]
    return mean(first[seed] - second[seed] for seed in both) if both else float("nan")
