"""Gold beads of the tomograms, laid over simulated ones: densities have none, the student must know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import scipy.ndimage as ndi
import torch
from torch import Tensor

from vitreous.core import read_block
from vitreous.metrics import find_outliers
from vitreous.training import TrainingVolume

SCANNED = 160  # voxels along an edge of the blocks that are looked through
MOST_BEADS = 24
LARGEST = 128  # voxels along an edge of what is kept of one
FADE = 10  # voxels beyond a bead's halo over which its surroundings give way to the simulated ones


@dataclass(frozen=True, eq=False)
class Bead:
    """Standardized grey values (z, y, x) around a bead, and their share: 1 at the bead, 0 beyond its halo."""

    values: Tensor
    share: Tensor


def beads_in(volumes: Sequence[TrainingVolume]) -> list[Bead]:
    """Gold beads, and places that were erased, of volumes of known voxel spacing; the first few of many."""
    found: list[Bead] = []
    for volume in volumes:
        sides = [range(0, n, SCANNED) for n in volume.data.shape]
        for start in product(*sides):
            found += beads_of_block(volume, start)
            if len(found) >= MOST_BEADS:
                return found[:MOST_BEADS]
    return found


def beads_of_block(volume: TrainingVolume, start: tuple[int, ...]) -> list[Bead]:
    """Those of one block; what lies at its faces may be cut."""
    shape = [min(SCANNED, n - first) for n, first in zip(volume.data.shape, start, strict=True)]
    block = read_block(volume.data, start, shape)
    constants = volume.normalization
    whole = replace(constants, low=-np.inf, high=np.inf).apply(block)  # gold is found by what is clipped
    mask = find_outliers(whole, volume.voxel_spacing_angstrom or 0.0).mask
    places, count = ndi.label(mask)
    values, beads = constants.apply(block), []
    for index, box in enumerate(ndi.find_objects(places, max_label=count), 1):
        around = tuple(
            slice(max(0, s.start - FADE), min(n, s.stop + FADE)) for s, n in zip(box, shape, strict=True)
        )
        if max(s.stop - s.start for s in around) > LARGEST:
            continue
        away = ndi.distance_transform_edt(places[around] != index)
        share = 0.5 * (1 + np.cos(np.pi * np.clip(away / FADE, 0, 1)))
        beads.append(
            Bead(torch.from_numpy(values[around].copy()), torch.from_numpy(share.astype(np.float32)))
        )
    return beads


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
