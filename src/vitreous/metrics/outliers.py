"""Gold beads, and places from which something was cut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

EXTREME, CORE = 8.0, 12.0  # robust deviations: of a bead's strongest voxel, and of the smoothed volume in it
APART = (
    2.5  # gold over the 99.9 % quantile of the rest, smoothed, is 8 to 9; ribosomes at noise/signal 1: 1.3
)
FLAT = 1e-4  # of the summits
LEAST_VOXELS = 8
HALO = 1.0  # diameters around a bead that are left out, too
SILENT = 0.15  # of the median local power of the highest frequencies
WINDOW = 7  # voxels, over which that power is taken
LEAST_SILENT = 27
MOST_SILENT_SHARE = 0.05  # of the volume: more is padding, or a denoised volume's ice

Array = NDArray[np.float32]
Flags = NDArray[np.bool_]
Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Outliers:
    """What is not specimen.

    Parameters
    ----------
    beads
        Compact places far beyond all other grey values, as gold is.
    polarity
        Of the beads, "" without any.
    diameter_angstrom
        Median of the beads; None without any.
    erased
        Compact places without noise.
    silent_share
        Of the volume that has no noise.
    mask
        (z, y, x): beads and erased places.
    """

    beads: int
    polarity: Literal["dark", "bright", ""]
    diameter_angstrom: float | None
    erased: int
    silent_share: float
    mask: Flags


def find_outliers(volume: Array, voxel_spacing_angstrom: float) -> Outliers:
    """Look for beads and for places without noise.

    A bead holds a voxel 8 robust deviations from the median, in a place that after smoothing lies 12 away,
    and stands apart from everything else, as the densest protein of a tomogram with little noise does not.
    Its fringes may be as far away on the other side: only beads of the stronger polarity count.

    Parameters
    ----------
    volume
        (z, y, x), standardized but not clipped.
    voxel_spacing_angstrom
        Edge of its voxels.
    """
    values = centred(volume)
    smooth = centred(ndi.gaussian_filter(values, 1.0))
    dark = bool(-values.min() > values.max())
    sign = -1.0 if dark else 1.0
    labels, count = ndi.label(sign * smooth > CORE)
    index = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    peaks = np.atleast_1d(ndi.maximum(sign * values, labels, index)) if count else np.zeros(0)
    chosen = index[(sizes >= LEAST_VOXELS) & (peaks > EXTREME)]
    mask, diameter = np.zeros(volume.shape, bool), None
    if len(chosen):
        _, near = surroundings(labels, chosen, sizes)
        summits = np.asarray(ndi.maximum(sign * smooth, labels, chosen))
        chosen = chosen[summits > APART * highest_of_the_rest(sign * smooth[~near], summits)]
    if len(chosen):
        voxels, mask = surroundings(labels, chosen, sizes)
        diameter = voxels * voxel_spacing_angstrom
    silent = silent_places(volume)
    share, erased = float(silent.mean()), 0
    if share <= MOST_SILENT_SHARE:
        places, found = ndi.label(silent)
        erased = int((np.bincount(places.ravel(), minlength=found + 1)[1:] >= LEAST_SILENT).sum())
        if erased:
            mask |= ndi.binary_dilation(silent, iterations=WINDOW // 2 + 1)
    polarity: Literal["dark", "bright", ""] = ("dark" if dark else "bright") if len(chosen) else ""
    return Outliers(len(chosen), polarity, diameter, erased, share, mask)


def surroundings(labels: Integers, chosen: Integers, sizes: Integers) -> tuple[float, Flags]:
    """Diameter in voxels of the chosen places, and which voxels lie in them or in their halo.

    Fringes and streaks around a bead are as strong as protein, and of the other polarity.
    """
    voxels = (6 * float(np.median(sizes[chosen - 1])) / np.pi) ** (1 / 3)
    return voxels, ndi.distance_transform_edt(~np.isin(labels, chosen)) <= max(2.0, HALO * voxels)


def highest_of_the_rest(rest: Array, summits: Array) -> float:
    """The highest of what is no bead: the rest, and those summits that go on from it without a gap.

    Where most of the rest is one and the same value, as in a density without noise, most summits are taken
    to be protein.
    """
    highest = float(np.median(summits))
    if rest.size and np.quantile(rest, 0.5) - np.quantile(rest, 0.1) > FLAT * highest:
        highest = float(np.quantile(rest, 0.999))
    for summit in np.sort(summits):
        if summit > APART * highest:
            break
        highest = max(highest, float(summit))
    return highest


def centred(values: Array) -> Array:
    """Values less their median, over their robust deviation."""
    rest = values - np.median(values)
    return (rest / np.float32(max(1.4826 * np.median(np.abs(rest)), 1e-12))).astype(np.float32)


def silent_places(volume: Array) -> Flags:
    """Where the highest frequencies have next to no power: noise was there in the tilt series."""
    fine = volume - ndi.uniform_filter(volume, 3)
    power = ndi.uniform_filter(np.square(fine), WINDOW)
    flags: Flags = power < SILENT * np.median(power)
    return flags
