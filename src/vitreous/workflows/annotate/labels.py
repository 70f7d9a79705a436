"""The label volume: each pick in its structure's shape and orientation; membranes and gold as segmented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vitreous.io import open_volume
from vitreous.segmentation import labels_of
from vitreous.simulate.canvas import LABEL_SHARE
from vitreous.simulate.rotation import make_turnable, turn
from vitreous.workflows.annotate.confirm import Confirmed
from vitreous.workflows.annotate.network import probability_file
from vitreous.workflows.annotate.specimens import BESIDE
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.simulate.structures import template_of

Labels = NDArray[np.uint8]


def label_volume(work: Work, found: Mapping[str, Confirmed]) -> Labels:
    """Labels like the tomogram: picks as 1, 2, … in the order of the structures, then membrane and gold.

    A particle is where the density of its structure, turned as it was aligned, exceeds the share of the
    largest from which the simulator labels it. Of two in one place the one with the higher score stays.
    """
    volume = work.subject.volume
    spacing = volume.mean_spacing_angstrom or work.subject.spacing_angstrom
    labels = enlarged(beside(work), work.subject.prepared.binning, volume.shape)
    places = [
        (score, value, position, rotation)
        for value, one in enumerate(found.values(), 1)
        for score, position, rotation in zip(
            one.picks.scores, one.picks.positions_angstrom, one.rotations, strict=True
        )
    ]
    shapes = [make_turnable(template_of(spec, spacing)) for spec in work.particles]
    work.progress.start("writing labels", len(places))
    for _, value, position, rotation in sorted(places, key=lambda place: place[0]):  # the best is on top
        where = position / spacing
        nearest = np.rint(where).astype(int)
        density = turn(shapes[value - 1], rotation, where - nearest)
        paint(labels, density >= LABEL_SHARE * density.max(), nearest - density.shape[0] // 2, value)
        work.progress.advance()
    return labels


def beside(work: Work) -> Labels:
    """Membrane and gold where the network holds them more probable than anything else, in working voxels."""
    chances = np.stack(
        [np.asarray(open_volume(probability_file(work, name)).data, np.float32) for name in work.names]
    )
    labels = labels_of(np.concatenate([1 - chances.sum(axis=0, keepdims=True), chances]))
    first = len(work.names) - len(BESIDE) + 1
    return np.where(labels >= first, labels, 0).astype(np.uint8)


def paint(labels: Labels, mask: NDArray[np.bool_], corner: Sequence[int], value: int) -> None:
    """Set the labels under a mask whose first voxel lies at `corner`; what leaves the volume is cut off.

    Examples
    --------
    >>> labels = np.zeros((1, 1, 4), np.uint8)
    >>> paint(labels, np.ones((1, 1, 3), bool), (0, 0, -1), 2)
    >>> labels.tolist()
    [[[2, 2, 0, 0]]]
    """
    target = tuple(slice(max(0, c), max(0, c + side)) for c, side in zip(corner, mask.shape, strict=True))
    under = labels[target]
    source = tuple(slice(max(0, -c), max(0, -c) + side) for c, side in zip(corner, under.shape, strict=True))
    under[mask[source]] = value


def enlarged(labels: Labels, binning: int, shape: Sequence[int]) -> Labels:
    """Labels at the tomogram's own voxels: those of the nearest coarse sample.

    Examples
    --------
    >>> enlarged(np.arange(2, dtype=np.uint8).reshape(1, 1, 2), 2, (1, 1, 4)).tolist()
    [[[0, 0, 1, 1]]]
    """
    index = [
        np.minimum((np.arange(n) + (binning - 1) // 2) // binning, m - 1)
        for n, m in zip(shape, labels.shape, strict=True)
    ]
    return labels[np.ix_(*index)]
