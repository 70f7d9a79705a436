"""Gold beads of tomograms: densities have none, and a denoiser that never saw one makes rings of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous.core import read_block
from vitreous.metrics import Outliers, find_outliers
from vitreous.training import TrainingVolume

SCANNED = 160  # voxels along an edge of the blocks that are looked through
FADE = 5  # voxels beyond a bead's halo over which ice gives way to what was predicted
SPARSE = 4  # voxels between those whose median is taken

Array = NDArray[np.float32]


def without_gold(prediction: Array, volume: TrainingVolume) -> None:
    """Put ice in the places of a volume's beads and their halos, in place.

    Parameters
    ----------
    prediction
        (z, y, x), mostly ice.
    volume
        What it was predicted from, same shape, of known voxel spacing.
    """
    ice = np.float32(np.median(prediction[::SPARSE, ::SPARSE, ::SPARSE]))
    for start, share in bead_places(volume):
        box = tuple(slice(first, first + n) for first, n in zip(start, share.shape, strict=True))
        prediction[box] += share * (ice - prediction[box])


def has_gold(volume: TrainingVolume) -> bool:
    """Whether there is a bead in a volume of known voxel spacing."""
    return any(outliers.beads for _, outliers in looked_through(volume))


def bead_places(volume: TrainingVolume) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Where the surroundings of each bead start, and the bead's share of every voxel in them, (z, y, x).

    Places that were erased count as well.
    """
    for start, outliers in looked_through(volume):
        places, count = ndi.label(outliers.mask)
        for index, box in enumerate(ndi.find_objects(places, max_label=count), 1):
            lower = [max(0, s.start - FADE) for s in box]
            upper = [min(n, s.stop + FADE) for n, s in zip(places.shape, box, strict=True)]
            around = tuple(slice(low, high) for low, high in zip(lower, upper, strict=True))
            away = ndi.distance_transform_edt(places[around] != index)
            share = (0.5 * (1 + np.cos(np.pi * np.clip(away / FADE, 0, 1)))).astype(np.float32)
            yield tuple(first + low for first, low in zip(start, lower, strict=True)), share


def looked_through(volume: TrainingVolume) -> Iterator[tuple[tuple[int, ...], Outliers]]:
    """Blocks of a volume: where each starts, and its outliers; a bead on the faces of two comes in pieces."""
    constants = replace(volume.normalization, low=-np.inf, high=np.inf)  # gold is found by what is clipped
    for start in product(*(range(0, n, SCANNED) for n in volume.data.shape)):
        shape = [min(SCANNED, n - first) for n, first in zip(volume.data.shape, start, strict=True)]
        values = constants.apply(read_block(volume.data, start, shape))
        yield start, find_outliers(values, volume.voxel_spacing_angstrom or 0.0)
