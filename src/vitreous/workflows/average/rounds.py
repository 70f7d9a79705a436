"""Rounds on disk: what each one left, so that a stopped run goes on with the next."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from vitreous.averaging import Alignment, Round
from vitreous.core import InputError
from vitreous.io import write_bytes_atomic, write_text_atomic
from vitreous.metrics import MaskedFsc

CURVES = ("frequency", "unmasked", "masked", "randomized", "corrected")
SUFFIXES = (".json", ".safetensors")  # of the files of a round; the first says that it is whole


def save_round(folder: Path, done: Round) -> None:
    """Write a round as `round_NN.safetensors`, then `.json`, whose presence says that it is whole."""
    tensors = {
        "rotations": done.poses.rotations,
        "shifts_voxel": done.poses.shifts_voxel,
        "scores": done.poses.scores,
        "halves": done.halves,
        "average": done.average,
        **{name: torch.from_numpy(np.ascontiguousarray(getattr(done.fsc, name))) for name in CURVES},
    }
    facts = {
        "number": done.number,
        "resolution_angstrom": done.resolution_angstrom if np.isfinite(done.resolution_angstrom) else None,
        "finest_used_angstrom": done.finest_used_angstrom,
        "score": float(done.poses.scores.mean()),
        "randomized_beyond": done.fsc.randomized_beyond,
    }
    stem = folder / f"round_{done.number:02d}"
    write_bytes_atomic(
        stem.with_suffix(".safetensors"), save({k: v.contiguous() for k, v in tensors.items()})
    )
    write_text_atomic(stem.with_suffix(".json"), json.dumps(facts, indent=2) + "\n")


def last_round(folder: Path) -> Round | None:
    """The newest whole round of a folder, None if there is none.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    files = round_files(folder, ".json")
    if not files:
        return None
    try:
        facts = json.loads(files[-1].read_text(encoding="utf-8"))
        tensors = load(files[-1].with_suffix(".safetensors").read_bytes())
        return round_of(facts, tensors)
    except (OSError, ValueError, LookupError, SafetensorError) as error:
        raise InputError("is damaged", path=files[-1], remedy="start again, with --overwrite") from error


def told_rounds(folder: Path) -> list[dict[str, Any]]:
    """What the files of rounds say, in their order."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in round_files(folder, ".json")]


def forget_rounds(folder: Path) -> None:
    """Remove the rounds of a run that is begun anew."""
    # The last one first, and what says that it is whole before the rest: what a kill leaves is whole.
    for kind in SUFFIXES:
        for path in reversed(round_files(folder, kind)):
            path.unlink()


def round_files(folder: Path, suffix: str) -> list[Path]:
    """The files of rounds as `save_round` names them, the first round first."""
    named = re.compile(r"round_(\d{2,})" + re.escape(suffix))
    found = {path: named.fullmatch(path.name) for path in folder.glob(f"round_*{suffix}") if path.is_file()}
    numbers = {path: int(match[1]) for path, match in found.items() if match is not None}
    return sorted(numbers, key=lambda path: numbers[path])


def round_of(facts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Round:
    """A round from what was written of it."""
    curves = {name: tensors[name].numpy() for name in CURVES}
    resolution = facts["resolution_angstrom"]
    return Round(
        facts["number"],
        Alignment(tensors["rotations"], tensors["shifts_voxel"], tensors["scores"]),
        tensors["halves"],
        tensors["average"],
        MaskedFsc(**curves, randomized_beyond=facts["randomized_beyond"]),
        float("inf") if resolution is None else resolution,
        facts["finest_used_angstrom"],
    )
