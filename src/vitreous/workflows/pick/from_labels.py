"""Pick the particles of classes from a label volume or a probability map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import InputError, Poses, Progress
from vitreous.core.normalization import SLAB_VOXELS
from vitreous.picking import LabelConfig, class_diameter, labels_bytes, pick_labels
from vitreous.workflows.pick.pickers import Found, count_doubts, unturned
from vitreous.workflows.pick.source import PickSource
from vitreous.workflows.run_directory import RunDirectory

ALL = "all"
MOST_LABELS = 100  # classes; instance masks and raw grey values have more


@dataclass(frozen=True)
class ClassSettings:
    """Names by label, or by None where the whole map is of one class; empty for all labels."""

    classes: Mapping[int | None, str]
    picking: LabelConfig
    alone: bool = False  # the output holds one kind

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """Plain values for `run.json`."""
        named = {str(label): name for label, name in self.classes.items()}
        return {**self.picking.model_dump(mode="json"), "classes": named}


@dataclass(frozen=True)
class Content:
    """Labels that a volume holds, in rising order and without 0; None for a probability map.

    `names`: what `vitreous segment` called its labels, if the volume is its output.
    """

    labels: tuple[int, ...] | None
    names: Mapping[int, str] = field(default_factory=dict)


class LabelPicker:
    """Components or mean-shift modes of class scores, class by class."""

    score_text = (
        "Confidence: the share of a particle's volume that is of its class at that place, as far as the "
        "map is sure of it."
    )

    remedy = "give a label volume or a probability map, and see --label"

    def config(self, settings: Any) -> ClassSettings:
        """Those of the method, and the classes that are asked for."""
        sizes = settings.chosen("diameter_angstrom", "min_distance_angstrom", "count", "threshold")
        if settings.threshold is not None and settings.threshold > 1:
            raise InputError("--threshold of labels is a confidence from 0 to 1")
        if settings.invert:
            raise InputError("--invert says nothing about labels", remedy="leave it out")
        alone = settings.format == "copick"
        return ClassSettings(named_labels(settings.label), LabelConfig(**sizes), alone)

    def prepared(self, source: PickSource, config: ClassSettings) -> Content:
        """Which labels there are."""
        content = replace(content_of(source.volume.data), names=segmented_names(source.volume.path))
        if content.labels is None and any(label is not None for label in config.classes):
            raise ValueError("it is a probability map and has no labels: name its class with --label NAME")
        named = config.classes.get(None)
        if content.labels is not None and named is not None and named not in content.names.values():
            raise ValueError("its classes have numbers: name them as in --label 1=ribosome")
        if config.alone and len(wanted(config.classes, content)) > 1:
            raise ValueError("a file of copick holds one kind of particle: choose one label")
        return content

    def threshold(self, config: ClassSettings) -> float:
        """A confidence."""
        return config.picking.threshold

    def memory(self, source: PickSource, config: ClassSettings) -> int:
        """Of the map of one class."""
        return labels_bytes(source.volume.shape, (source.spacing_angstrom,) * 3, config.picking)

    def pick(self, source: PickSource, config: ClassSettings, prepared: Content, progress: Progress) -> Found:
        """The particles of all classes that are asked for, the surest first."""
        spacing, settings = (source.spacing_angstrom,) * 3, config.picking
        data, texts = source.volume.data, []
        parts: list[Poses] = []
        scores, candidates, sizes = [np.zeros(0)], [np.zeros(0)], {}
        for label, name in wanted(config.classes, prepared).items():
            diameter = settings.diameter_angstrom or class_diameter(
                data, spacing, settings.voxel_threshold, label=label, progress=progress
            )
            if diameter is None:
                texts.append(f"No voxel is of class {name}{'' if label is None else f' (label {label})'}.")
                continue
            chosen = settings.model_copy(update={"diameter_angstrom": diameter})
            picked = pick_labels(data, spacing, chosen, label=label, mask=source.mask, progress=progress)
            parts.append(unturned(picked, name))
            scores.append(picked.picks.scores)
            candidates.append(picked.candidates)
            sizes[name] = diameter
            progress.note(f"{name}: {len(picked.picks)} picks, particles of {diameter:.0f} Å")
        poses, ranked = together(parts, np.concatenate(scores))
        known = np.concatenate(candidates)
        texts += count_doubts(len(poses), known, settings.threshold, "--label")
        counts = {name: poses.names.count(name) for name in sizes}
        return Found(poses, ranked, known, sizes, tuple(texts), {"classes": counts})

    def described(self, config: ClassSettings) -> Mapping[str, str]:
        """How, and what is merged."""
        distance = config.picking.min_distance_angstrom
        return {
            "method": f"labels, {config.picking.clustering}",
            "classes": ", ".join(n or f"label {k}" for k, n in config.classes.items()) or ALL,
            "merged if closer than": "0.75 of the diameter" if distance is None else f"{distance:.0f} Å",
        }


def named_labels(text: str) -> dict[int | None, str]:
    """Names by label from such as "1=ribosome,3"; empty for "all", None as the label of a bare name.

    A label that is not named has the name "".

    Raises
    ------
    InputError
        If a label is no positive number, or is named twice.

    Examples
    --------
    >>> named_labels("1=ribosome, 3"), named_labels("all"), named_labels("membrane")
    ({1: 'ribosome', 3: ''}, {}, {None: 'membrane'})
    """
    if text.strip() == ALL:
        return {}
    found: dict[int | None, str] = {}
    for item in text.split(","):
        number, _, name = (part.strip() for part in item.partition("="))
        label = int(number) if number.isdecimal() else None
        if not number or label == 0 or (label is None and ("=" in item or "," in text)) or label in found:
            remedy = "name labels as in 1=ribosome,3, or: all"
            raise InputError(f"--label {text} is not understood", remedy=remedy)
        found[label] = name or (number if label is None else "")
    return found


def wanted(classes: Mapping[int | None, str], content: Content) -> Mapping[int | None, str]:
    """Which classes are picked from a volume, by label."""
    if content.labels is None:
        return classes or {None: "particle"}
    chosen = classes or dict.fromkeys(content.labels, "")
    by_name = {name: label for label, name in content.names.items()}
    found: dict[int | None, str] = {}
    for label, name in chosen.items():
        number = by_name[name] if label is None else label
        found[number] = name or content.names.get(number, f"label-{number}")
    return found


def content_of(data: np.ndarray[Any, Any]) -> Content:
    """What a volume holds, slab by slab.

    Raises
    ------
    ValueError
        If it holds neither labels nor probabilities.
    """
    planes = max(1, SLAB_VOXELS // max(1, int(np.prod(data.shape[1:]))))
    found: set[int] = set()
    whole, low, high = True, np.inf, -np.inf
    for first in range(0, data.shape[0], planes):
        slab = np.asarray(data[first : first + planes])
        values = slab[np.isfinite(slab)] if slab.dtype.kind == "f" else slab.ravel()
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
        whole = whole and values.size == slab.size and bool((values == np.rint(values)).all())
        if low < 0 or (high > 1 and not whole):
            raise ValueError("it holds neither labels nor probabilities: --method dog picks from tomograms")
        if whole:
            found |= set(np.unique(values).astype(int).tolist())
        if whole and len(found) > MOST_LABELS:
            raise ValueError(f"it holds more than {MOST_LABELS} values, which are no labels of classes")
    return Content(tuple(sorted(found - {0})) if whole else None)


def segmented_names(path: Path | None) -> dict[int, str]:
    """What labels are called in a label volume that `vitreous segment` wrote, told by the run beside it."""
    if path is None:
        return {}
    try:
        facts = RunDirectory(path.with_suffix(".run")).read()
    except InputError:  # there is none, or it is of no use
        return {}
    output = facts.get("request", {}).get("output")
    if facts["kind"] != "segment" or output is None or Path(output).name != path.name:
        return {}
    return {number: str(name) for number, name in enumerate(facts.get("classes", ())) if number}


def together(parts: Sequence[Poses], scores: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Poses, Any]:
    """Poses of several classes as one, and their scores, the best first."""
    if not parts:
        return Poses(np.zeros((0, 3, 3)), np.zeros((0, 3)), ()), scores
    joined = Poses(
        np.concatenate([p.rotations for p in parts]),
        np.concatenate([p.positions_angstrom for p in parts]),
        tuple(name for p in parts for name in p.names),
    )
    order = np.argsort(-scores, kind="stable")
    ranked = Poses(joined.rotations[order], joined.positions_angstrom[order], joined.select(order).names)
    return ranked, scores[order]
