"""Gold beads of the tomograms, laid over simulated ones: densities have none, the student must know them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

import numpy as np
import scipy.ndimage as ndi
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import read_block
from vitreous.metrics import find_outliers
from vitreous.training import TrainingVolume

SCANNED = 160  # voxels along an edge of the blocks that are looked through
MOST_BEADS = 24
LARGEST = 128  # voxels along an edge of what is kept of one
FADE = 10  # voxels beyond a bead's halo over which its surroundings give way to the simulated ones
SPARSE = 4  # voxels between those whose median is taken

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Bead:
    """Standardized grey values (z, y, x) around a bead, and their share: 1 at the bead, 0 beyond its halo."""

    values: Tensor
    share: Tensor


def beads_in(volumes: Sequence[TrainingVolume]) -> list[Bead]:
    """Gold beads, and places that were erased, of volumes of known voxel spacing; the first few of many."""
    places = ((v, start, share) for v in volumes for start, share in bead_places(v))
    small = ((v, start, share) for v, start, share in places if max(share.shape) <= LARGEST)
    return [
        Bead(
            torch.from_numpy(v.normalization.apply(read_block(v.data, start, share.shape))),
            torch.from_numpy(share),
        )
        for v, start, share in islice(small, MOST_BEADS)
    ]


def without_gold(prediction: Array, volume: TrainingVolume) -> None:
    """Put ice in the places of a volume's beads, in place: what a network makes of them is rings."""
    ice = np.float32(np.median(prediction[::SPARSE, ::SPARSE, ::SPARSE]))
    for start, share in bead_places(volume):
        box = tuple(slice(first, first + n) for first, n in zip(start, share.shape, strict=True))
        prediction[box] += share * (ice - prediction[box])


def bead_places(volume: TrainingVolume) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Where the surroundings of each bead start, and the bead's share of every voxel in them, (z, y, x).

    Blocks are looked through one by one: a bead at the faces of two is seen in pieces.
    """
    for start in product(*(range(0, n, SCANNED) for n in volume.data.shape)):
        shape = [min(SCANNED, n - first) for n, first in zip(volume.data.shape, start, strict=True)]
        # Gold is found by what is clipped.
        constants = replace(volume.normalization, low=-np.inf, high=np.inf)
        values = constants.apply(read_block(volume.data, start, shape))
        mask = find_outliers(values, volume.voxel_spacing_angstrom or 0.0).mask
        places, count = ndi.label(mask)
        for index, box in enumerate(ndi.find_objects(places, max_label=count), 1):
            lower = [max(0, s.start - FADE) for s in box]
            around = tuple(
                slice(low, min(n, s.stop + FADE)) for low, s, n in zip(lower, box, shape, strict=True)
            )
            away = ndi.distance_transform_edt(places[around] != index)
            share = (0.5 * (1 + np.cos(np.pi * np.clip(away / FADE, 0, 1)))).astype(np.float32)
            yield tuple(first + low for first, low in zip(start, lower, strict=True)), share


def overlaid(
    tomogram: Tensor, density: Tensor, ice: float, bead: Bead, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A simulated patch (z, y, x) with a bead somewhere, and its density with `ice` in that place.

    Squares of both shares add up to one, so that the noise is as strong everywhere.
    """
    tomogram, density = tomogram.clone(), density.clone()
    here, there = [], []
    for side, size in zip(tomogram.shape, bead.share.shape, strict=True):
        middle = int(torch.randint(side, (), generator=generator))  # of the bead, in the patch
        first = middle - size // 2
        here.append(slice(max(0, first), min(side, first + size)))
        there.append(slice(max(0, -first), min(size, side - first)))
    share, values = bead.share[tuple(there)], bead.values[tuple(there)]
    own, other = (1 - share).sqrt(), share.sqrt()
    tomogram[tuple(here)] = own * tomogram[tuple(here)] + other * values
    density[tuple(here)] = (1 - share) * density[tuple(here)] + share * ice
    return tomogram, density
