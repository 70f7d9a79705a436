"""Gold beads of tomograms: densities have none, and a denoiser that never saw one makes rings of it."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous.inference.coarse import LEAST_VOXELS, coarse_copy
from vitreous.methods.method import PreparedVolume
from vitreous.metrics import find_outliers
from vitreous.training import TrainingVolume

LEAST_NOISE = 0.3  # of the variance: below it protein stands out as gold does
FADE = 4  # coarse voxels beyond a bead's halo over which ice gives way to what was predicted
SPARSE = 4  # voxels between those whose median is taken
MATTER = 0.9  # quantile of what is not ice that is taken to be protein
DENSER = 3.0  # than protein: gold is six times as dense, and the densest protein 1.5 times
LEAST_GOLD = 8  # voxels

Array = NDArray[np.float32]


def without_gold(prediction: Array, prepared: PreparedVolume, protein: str) -> int:
    """Put ice in the places of a volume's beads and their halos, in place; returns how many beads.

    Nothing changes where there is little noise, in which protein might be taken for gold, where what stands
    out is of the other contrast than protein, and in volumes too thin to judge shapes.

    Parameters
    ----------
    prediction
        (z, y, x), mostly ice.
    prepared
        What it was predicted from, of known voxel spacing.
    protein
        Whether protein, and so gold, is "dark" or "bright" in the volume.
    """
    volume = prepared.volume
    if prepared.noise_share < LEAST_NOISE or min(volume.data.shape) < LEAST_VOXELS:
        return 0
    spacing = volume.voxel_spacing_angstrom or 0.0
    coarse, factor = coarse_copy(volume.data, volume.normalization.mean, spacing)
    coarse /= np.float32(volume.normalization.deviation)
    found = find_outliers(coarse, factor * spacing)
    if found.polarity != protein:
        return 0
    ice = np.float32(np.median(prediction[::SPARSE, ::SPARSE, ::SPARSE]))
    places, _ = ndi.label(found.gold)
    for index, box in enumerate(ndi.find_objects(places), 1):
        wide = tuple(slice(max(0, s.start - FADE), s.stop + FADE) for s in box)
        away = ndi.distance_transform_edt(places[wide] != index)
        share = (0.5 * (1 + np.cos(np.pi * np.clip(away / FADE, 0, 1)))).astype(np.float32)
        for axis in range(3):
            share = share.repeat(factor, axis)
        fine = tuple(
            slice(s.start * factor, s.start * factor + n) for s, n in zip(wide, share.shape, strict=True)
        )
        prediction[fine] += share * (ice - prediction[fine])
    return found.beads


def has_gold(volume: TrainingVolume) -> bool:
    """Whether something in a density is far denser than protein."""
    away = np.abs(np.asarray(volume.data, np.float32) - np.float32(np.median(volume.data)))
    matter = away[away > 0]
    if not matter.size:
        return False
    return int((matter > DENSER * np.quantile(matter, MATTER)).sum()) >= LEAST_GOLD
