"""Dice and IoU of segmentations against the truth: label volumes, or sets of subtomograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError
from vitreous.io import open_volume
from vitreous.io.subtomograms import open_subtomogram_zarr, read_subtomogram
from vitreous.io.volumes import MRC_SUFFIXES
from vitreous.metrics import class_overlaps, dice, intersection_over_union, means_of
from vitreous.metrics.overlap import ALL
from vitreous.workflows.evaluate import check_spacings
from vitreous.workflows.subtomograms.files import STORE
from vitreous.workflows.subtomograms.opening import kinds_beside

LABELS = ("labels", "masks")
FOREGROUND = "any label"
SEGMENTED = "segmentation.zarr"
REMEDY = "compare a segmentation with the truth of the same volume"


@dataclass(frozen=True, eq=False)
class LabelSet:
    """Label volumes of subtomograms, read one at a time, and what each subtomogram shows."""

    path: Path
    volumes: Sequence[Callable[[], NDArray[Any]]]
    kinds: Sequence[str]


def evaluate_segmented(found: Path, truth: Path) -> dict[str, Any]:
    """Overlap of a segmentation with the truth; labels are whole numbers, 0 is background.

    Parameters
    ----------
    found, truth
        Two label volumes; or two sets of subtomograms, each a store, a folder that holds one, or a folder
        of MRC files (`labels` or `masks` in it, if there is one), in the same order.

    Returns
    -------
    dict
        `dice` and `iou`: of volumes the mean over all labels that occur in either, and under `classes` each
        label's and that of all of them as one; of sets the mean over subtomograms of everything but
        background, and under `kinds` that of each structure, if the truth's table names them.

    Raises
    ------
    InputError
        If a file cannot be read, holds no labels, or sizes, numbers or voxel spacings differ.
    """
    sets = [label_set(path) for path in (found, truth)]
    if sets[0] is not None and sets[1] is not None:
        return compared_sets(sets[0], sets[1])
    if sets[0] is not None or sets[1] is not None:
        one = found if sets[1] is None else truth
        raise InputError("is one volume, and the other is a set of subtomograms", path=one, remedy=REMEDY)
    volumes = [open_volume(path, allow_damaged=True) for path in (found, truth)]
    check_spacings(volumes[0], volumes[1], REMEDY)
    arrays = [whole_labels(v.data, p) for v, p in zip(volumes, (found, truth), strict=True)]
    check_shapes(arrays[0], arrays[1], truth)
    scores = class_overlaps(arrays[0], arrays[1])
    named = {str(label): {"dice": d, "iou": i} for label, (d, i) in scores.items()}
    # Nothing found where nothing is: the two agree.
    means = np.mean(list(scores.values()), axis=0).tolist() if scores else [1.0, 1.0]
    there = [labels > 0 for labels in arrays]
    any_label = {
        "dice": float(dice(there[0], there[1])),
        "iou": float(intersection_over_union(there[0], there[1])),
    }
    return {"dice": means[0], "iou": means[1], "classes": {**named, FOREGROUND: any_label}}


def compared_sets(found: LabelSet, truth: LabelSet) -> dict[str, Any]:
    """Means over subtomograms, of all and of each structure."""
    if len(found.volumes) != len(truth.volumes):
        text = f"holds {len(truth.volumes)} subtomograms, and {found.path} {len(found.volumes)}"
        raise InputError(text, path=truth.path, remedy=REMEDY)
    scores = np.empty((2, len(truth.volumes)))
    for number, (read, read_truth) in enumerate(zip(found.volumes, truth.volumes, strict=True)):
        a, b = whole_labels(read(), found.path), whole_labels(read_truth(), truth.path)
        check_shapes(a, b, truth.path)
        scores[:, number] = dice(a > 0, b > 0), intersection_over_union(a > 0, b > 0)
    kinds = [kind or "particle" for kind in truth.kinds]
    dices, ious = means_of(scores[0], kinds), means_of(scores[1], kinds)
    named = {
        kind: {"dice": value, "iou": ious[kind], "count": kinds.count(kind)}
        for kind, value in dices.items()
        if kind != ALL
    }
    return {"dice": dices[ALL], "iou": ious[ALL], "count": len(kinds), "kinds": named}


def label_set(path: Path) -> LabelSet | None:
    """The label volumes of a set of subtomograms; None for what is no set."""
    if not path.is_dir():
        return None
    if path.suffix != ".zarr":
        store = next((path / name for name in (SEGMENTED, STORE) if (path / name).is_dir()), None)
        return folder_set(path) if store is None else store_set(store)
    return store_set(path) if is_store(path) else None


def is_store(path: Path) -> bool:
    """Whether a Zarr folder holds subtomograms, not one volume."""
    return any((path / name).is_dir() for name in LABELS)


def store_set(path: Path) -> LabelSet:
    """Label volumes of a Zarr store."""
    arrays, _ = open_subtomogram_zarr(path)
    name = next((name for name in LABELS if name in arrays), None)
    if name is None:
        raise InputError("holds neither labels nor masks", path=path, remedy=REMEDY)

    def read(number: int) -> NDArray[Any]:
        return read_subtomogram(arrays[name], number, path)

    count = arrays[name].shape[0]
    return LabelSet(path, [partial(read, n) for n in range(count)], kinds_beside(path.parent, count))


def folder_set(path: Path) -> LabelSet:
    """Label volumes of a folder of files."""
    folder = next((path / name for name in LABELS if (path / name).is_dir()), path)
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in MRC_SUFFIXES)
    if not files:
        raise InputError("holds no label volumes", path=path, remedy=REMEDY)

    def read(file: Path) -> NDArray[Any]:
        return np.asarray(open_volume(file, allow_damaged=True).data)

    return LabelSet(path, [partial(read, file) for file in files], kinds_beside(path, len(files)))


def whole_labels(data: NDArray[Any], path: Path) -> NDArray[Any]:
    """The voxels as labels; InputError if they are no whole, non-negative numbers."""
    values = np.asarray(data)
    whole = values.dtype.kind in "iub" or (np.isfinite(values).all() and (values == np.rint(values)).all())
    if not whole or values.min() < 0:
        raise InputError("holds no labels (whole numbers from 0)", path=path, remedy="give a label volume")
    return values.astype(np.int32)


def check_shapes(found: NDArray[Any], truth: NDArray[Any], path: Path) -> None:
    """Raise InputError if two label volumes differ in size."""
    if found.shape != truth.shape:
        text = f"its size {truth.shape} (z, y, x) differs from {found.shape} of the segmentation"
        raise InputError(text, path=path, remedy=REMEDY)
