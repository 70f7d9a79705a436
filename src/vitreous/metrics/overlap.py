"""How well segmented voxels and true ones overlap: Dice and intersection over union."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]
ALL = "all"


def dice(found: Mask, truth: Mask) -> Scores:
    """Twice the common voxels over the sum of both: 1 where found and truth are the same.

    Two empty masks agree and score 1; one empty mask scores 0.

    Parameters
    ----------
    found, truth
        (…, z, y, x); leading axes count samples.

    Returns
    -------
    One score for each sample, of shape (…).

    Examples
    --------
    >>> a, b = np.zeros((2, 2, 2, 2), bool)
    >>> b[0, 0] = True
    >>> float(dice(a, a)), float(dice(a, b)), float(dice(b, b))
    (1.0, 0.0, 1.0)
    """
    common, both = _counts(found, truth)
    return np.divide(2 * common, both, out=np.ones_like(common), where=both > 0)


def intersection_over_union(found: Mask, truth: Mask) -> Scores:
    """Common voxels over those in either mask; D / (2 - D) of the Dice score D. Arguments as `dice`."""
    common, both = _counts(found, truth)
    return np.divide(common, both - common, out=np.ones_like(common), where=both > 0)


def class_overlaps(found: NDArray[Any], truth: NDArray[Any]) -> dict[int, tuple[float, float]]:
    """Dice and IoU of every label but 0 that occurs in either of two label volumes (z, y, x).

    Examples
    --------
    >>> volume = np.zeros((1, 2, 4), int)
    >>> volume[0, 0] = 2
    >>> class_overlaps(volume, volume)
    {2: (1.0, 1.0)}
    """
    labels = np.union1d(np.unique(found), np.unique(truth))
    return {
        int(label): (
            float(dice(found == label, truth == label)),
            float(intersection_over_union(found == label, truth == label)),
        )
        for label in labels
        if label
    }


def means_of(scores: Scores, kinds: Sequence[str]) -> dict[str, float]:
    """Mean score of the samples of each kind, and under "all" that of all samples.

    The latter weights kinds by their number of samples, as the tables of Vox-UDA do.

    Parameters
    ----------
    scores
        (n,).
    kinds
        What each sample shows.

    Raises
    ------
    ValueError
        If there is no sample, or another number of kinds.

    Examples
    --------
    >>> means_of(np.array([0.9, 0.7, 0.2]), ["ribosome", "ribosome", "26s"])["all"]
    0.6
    """
    if len(scores) != len(kinds) or not len(scores):
        raise ValueError(f"{len(scores)} scores of {len(kinds)} samples have no mean")
    named = np.array(kinds, object)
    means = {kind: float(np.mean(scores[named == kind])) for kind in dict.fromkeys(kinds)}
    return {ALL: round(float(np.mean(scores)), 12), **means}


def _counts(found: Mask, truth: Mask) -> tuple[Scores, Scores]:
    """Common voxels, and the sum of those in each."""
    if found.shape != truth.shape:
        raise ValueError(f"masks of {found.shape} and {truth.shape} voxels cannot be compared")
    axes = (-3, -2, -1)
    a, b = np.asarray(found, bool), np.asarray(truth, bool)
    common = np.asarray((a & b).sum(axes), np.float64)
    return common, np.asarray(a.sum(axes), np.float64) + np.asarray(b.sum(axes), np.float64)
