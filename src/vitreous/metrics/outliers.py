"""Gold beads, and places from which something was cut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

EXTREME, CORE = 8.0, 12.0  # robust deviations: of a bead's strongest voxel, and of the smoothed volume in it
APART = 2.5  # over the 99.9 % quantile of the rest, smoothed: gold 8 to 9, ribosomes at noise/signal 1 1.3
LEAST_VOXELS = 8
LEAST_STRONG = 4  # voxels beyond half of `EXTREME`: a hot voxel is alone
LARGEST_ANGSTROM = 300.0  # along its longest axis: gold of 150 Å, drawn out by the missing wedge
FILLED = 0.3  # of the box around it: a ball fills a half, what runs through the volume little
LONGEST = 3.0  # over the shortest side of that box
HALO = 1.0  # diameters around a bead that are left out, too
COMMON = 0.02  # share of the voxels that have one and the same value: padding
SAMPLED = 2**18
STRANGE = 1e6  # deviations: no grey value
SILENT = 0.15  # of the median local power of the highest frequencies
WINDOW = 7  # voxels, over which that power is taken
LEAST_SILENT = 27
MOST_SILENT_SHARE = 0.05  # of the volume: more is padding, or a denoised volume's ice

Array = NDArray[np.float32]
Flags = NDArray[np.bool_]


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
        (z, y, x): beads with their halo, and erased places.
    gold
        (z, y, x): the beads with their halo alone.
    """

    beads: int
    polarity: Literal["dark", "bright", ""]
    diameter_angstrom: float | None
    erased: int
    silent_share: float
    mask: Flags
    gold: Flags


def find_outliers(volume: Array, voxel_spacing_angstrom: float) -> Outliers:
    """Look for beads and for places without noise.

    A bead is compact and no larger than gold is; it holds a voxel 8 robust deviations from the median, in a
    place that after smoothing lies 12 away, and stands apart from everything else, as the densest protein of
    a tomogram with little noise does not. Its fringes may be as far away on the other side: only beads of the
    stronger polarity count. Padding says nothing of what noise is.

    Parameters
    ----------
    volume
        (z, y, x), standardized but not clipped.
    voxel_spacing_angstrom
        Edge of its voxels.
    """
    volume = np.where(np.abs(volume) < STRANGE, volume, np.float32(0))
    known = ~padding(volume)
    values = centred(volume, known)
    smooth = centred(ndi.gaussian_filter(values, 1.0), known)
    bright = beads_of(values, smooth, known, voxel_spacing_angstrom)
    dark = beads_of(-values, -smooth, known, voxel_spacing_angstrom)
    beads = dark if dark.strength >= bright.strength else bright
    gold = np.zeros(volume.shape, bool)
    for box in beads.boxes:
        gold[box.around] |= box.near
    mask = gold.copy()
    silent = silent_places(volume)
    share, erased = float(silent.mean()), 0
    if share <= MOST_SILENT_SHARE:
        places, found = ndi.label(silent)
        erased = int((np.bincount(places.ravel(), minlength=found + 1)[1:] >= LEAST_SILENT).sum())
        if erased:
            mask |= ndi.binary_dilation(silent, iterations=WINDOW // 2 + 1)
    count = len(beads.boxes)
    polarity: Literal["dark", "bright", ""] = ("dark" if beads is dark else "bright") if count else ""
    diameter = beads.voxels * voxel_spacing_angstrom if count else None
    return Outliers(count, polarity, diameter, erased, share, mask, gold)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Where a bead and its halo lie: a box of the volume, and which of its voxels."""

    around: tuple[slice, ...]
    near: Flags


@dataclass(frozen=True, eq=False)
class Beads:
    """Beads of one sign: their surroundings, median diameter in voxels and median summit after smoothing."""

    boxes: tuple[Surroundings, ...] = ()
    voxels: float = 0.0
    strength: float = 0.0


def beads_of(values: Array, smooth: Array, known: Flags, voxel_spacing_angstrom: float) -> Beads:
    """Compact bright places that stand apart from all others."""
    labels, count = ndi.label((smooth > CORE) & known)
    if not count:
        return Beads()
    index = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    summits = np.asarray(ndi.maximum(smooth, labels, index))
    strong = np.bincount(labels[values > EXTREME / 2], minlength=count + 1)[1:]
    peaks = np.asarray(ndi.maximum(values, labels, index))
    boxes = ndi.find_objects(labels)
    compact = np.array(
        [is_compact(n, box, voxel_spacing_angstrom) for n, box in zip(sizes, boxes, strict=True)]
    )
    rest = smooth[known & ~ndi.binary_dilation(labels > 0, iterations=2)]
    level = highest_of_the_rest(rest, summits[sizes >= LEAST_VOXELS])
    chosen = compact & (sizes >= LEAST_VOXELS) & (strong >= LEAST_STRONG) & (peaks > EXTREME)
    chosen &= summits > APART * level
    if not chosen.any():
        return Beads()
    voxels = float((6 * np.median(sizes[chosen]) / np.pi) ** (1 / 3))
    reach = max(2.0, HALO * voxels)
    surroundings = tuple(nearby(labels, int(i), boxes[i - 1], reach) for i in index[chosen])
    return Beads(surroundings, voxels, float(np.median(summits[chosen])))


def is_compact(size: int, box: tuple[slice, ...], voxel_spacing_angstrom: float) -> bool:
    """Whether a place of so many voxels in a box can be a bead."""
    sides = [s.stop - s.start for s in box]
    small = max(sides) * voxel_spacing_angstrom <= LARGEST_ANGSTROM
    return bool(small and size >= FILLED * np.prod(sides) and max(sides) <= LONGEST * min(sides))


def nearby(labels: NDArray[Any], index: int, box: tuple[slice, ...], reach: float) -> Surroundings:
    """A bead with what is near. Fringes around it are as strong as protein, and of the other polarity."""
    margin = int(np.ceil(reach))
    around = tuple(
        slice(max(0, s.start - margin), min(n, s.stop + margin))
        for s, n in zip(box, labels.shape, strict=True)
    )
    return Surroundings(around, ndi.distance_transform_edt(labels[around] != index) <= reach)


def highest_of_the_rest(rest: Array, summits: Array) -> float:
    """The highest of what is no bead: the rest, and those summits that go on from it without a gap."""
    highest = float(np.quantile(rest, 0.999)) if rest.size else np.inf
    for summit in np.sort(summits):
        if summit > APART * highest:
            break
        highest = max(highest, float(summit))
    return highest


def padding(volume: Array) -> Flags:
    """Voxels of the commonest value, if many have it."""
    values, counts = np.unique(volume.ravel()[:: max(1, volume.size // SAMPLED)], return_counts=True)
    most = int(counts.argmax())
    many = counts[most] > COMMON * counts.sum()
    return volume == values[most] if many else np.zeros(volume.shape, bool)


def centred(values: Array, known: Flags) -> Array:
    """Values less their median, over their robust deviation, both of the known ones; 0 where it is unknown.

    All are 0 if half of the known values are the same.
    """
    median = np.median(values[known]) if known.any() else 0.0
    rest = np.where(known, values - np.float32(median), np.float32(0))
    deviation = 1.4826 * float(np.median(np.abs(rest[known]))) if known.any() else 0.0
    return (rest / np.float32(deviation)).astype(np.float32) if deviation > 0 else np.zeros_like(rest)


def silent_places(volume: Array) -> Flags:
    """Where the highest frequencies have next to no power: noise was there in the tilt series."""
    fine = volume - ndi.uniform_filter(volume, 3)
    power = ndi.uniform_filter(np.square(fine), WINDOW)
    flags: Flags = power < SILENT * np.median(power)
    return flags
