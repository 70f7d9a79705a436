"""Clean specimens to train on, simulated in the style of a tomogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from vitreous.core import AS_IS, InputError
from vitreous.fourier import estimated_tilt_range
from vitreous.methods.method import PreparedVolume
from vitreous.methods.noise_model.spectrum import mean_periodogram, patch_cuts
from vitreous.simulate import SHREC_STRUCTURES, crowd, find_complex, wedge_filtered
from vitreous.training import TrainingVolume

FIRST_SEED = 900_001  # far from those of the specimens that benchmarks score and train on
OCCUPANCIES = (0.1, 0.2, 0.35)  # of successive boxes: solvent, cytoplasm, crowd
LARGEST_SHARE = 0.5  # of a box's side: larger structures would not find room
FINEST_ANGSTROM, COARSEST_ANGSTROM = 2.0, 30.0  # below no structure fits; above most are a voxel or two
Kind = TypeVar("Kind", bound=np.generic)

BLOCK = 4  # voxels: the mean of such a block is more specimen than noise
CLEAR_SKEWNESS = 0.1  # 0.27 at least in the simulated cases, crowded or with noise twelve times the signal
MOST_NOISE = 0.995  # share of the variance; with less signal the estimate of its strength is chance

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Style:
    """What a simulated specimen takes over from a tomogram, as its network sees it.

    Parameters
    ----------
    voxel_spacing_angstrom
        Edge of a voxel in Å, after binning.
    signal_deviation
        Of the signal, in units of the network's input.
    tilt_axis
        1 for y, 2 for x.
    tilt_range_deg
        Signed tilt range as `fourier.measured_region` takes it; None without a missing wedge.
    """

    voxel_spacing_angstrom: float
    signal_deviation: float
    tilt_axis: int
    tilt_range_deg: tuple[float, float] | None

    @property
    def simulated_spacing_angstrom(self) -> float:
        """The voxel spacing that is simulated: the tomogram's own to three digits, within 2 … 30 Å."""
        rounded = float(f"{self.voxel_spacing_angstrom:.3g}")
        return min(max(rounded, FINEST_ANGSTROM), COARSEST_ANGSTROM)


def style_of(prepared: PreparedVolume) -> Style:
    """The style of a tomogram, from its noise spectrum.

    Raises
    ------
    InputError
        If its voxel spacing is not known.
    ValueError
        If it has no noise spectrum.
    """
    volume, spectrum, working = prepared.volume, prepared.noise_spectrum, prepared.working
    if spectrum is None or prepared.tilt_axis is None:
        raise ValueError("the volume was not prepared by a method that estimates its noise")
    check_spacing(volume.voxel_spacing_angstrom, volume.name)
    deviation = math.sqrt(spectrum.mean() * signal_to_noise(prepared.noise_share))
    return Style(
        (volume.voxel_spacing_angstrom or 0.0) * prepared.binning,
        deviation / (1.0 if working is None else working.normalization.deviation),
        prepared.tilt_axis,
        estimated_tilt_range(spectrum, prepared.tilt_axis),
    )


def signal_to_noise(noise_share: float) -> float:
    """Variance of the signal over that of the noise, given the noise's share of the variance.

    Examples
    --------
    >>> signal_to_noise(0.8), round(signal_to_noise(1.0), 3)
    (0.25, 0.005)
    """
    return 1 / min(noise_share, MOST_NOISE) - 1


def skewness_of_blocks(volume: TrainingVolume) -> float:
    """Skewness of means over 4³ voxels: positive where protein is bright, negative where it is dark.

    Dense matter is the exception among ice. Slow changes of the background are taken off.
    """
    means = []
    for cut in patch_cuts(volume.data.shape, volume.mask):
        patch = volume.data[cut]
        block = torch.from_numpy(volume.normalization.apply(patch))[None]
        coarse = F.avg_pool3d(block, tuple(min(BLOCK, side) for side in patch.shape))
        means.append((coarse - coarse.mean()).flatten())
    values = torch.cat(means).double()
    return float(values.pow(3).mean() / values.square().mean().clamp_min(1e-12).pow(1.5))


def check_spacing(voxel_spacing_angstrom: float | None, name: str) -> None:
    """Raise InputError unless the voxel spacing is known."""
    if voxel_spacing_angstrom is None:
        raise InputError(
            "has no voxel spacing, and particles are to be simulated in their size",
            path=name,
            remedy="give it with --voxel-size",
        )


@lru_cache(maxsize=8)
def clean_boxes(style: Style, count: int, side: int) -> tuple[Array, ...]:
    """Specimens of `side`³ voxels with the wedge and the signal strength of a style; protein is bright.

    Their mean is zero; their power, averaged over all boxes, is what the noise estimate of the
    tomogram leaves for the signal. Shared, not to be written to.
    """
    boxes = []
    for index in range(count):
        box = specimen(style.simulated_spacing_angstrom, side, index)
        if style.tilt_range_deg is not None:
            box = wedge_filtered(box, style.tilt_range_deg)
        box = about_axis(box, style.tilt_axis)
        boxes.append(box - box.mean())
    power = np.mean([float(mean_periodogram(box, AS_IS).mean()) for box in boxes])
    scale = np.float32(style.signal_deviation / np.sqrt(power))
    return tuple(box * scale for box in boxes)


def about_axis(volume: NDArray[Kind], tilt_axis: int) -> NDArray[Kind]:
    """A volume (z, y, x) with a wedge about y, turned so that it lies about an axis, 1 for y or 2 for x.

    A turn, no reflection: structures keep their hand.

    Examples
    --------
    >>> about_axis(np.arange(4).reshape(1, 2, 2), 2).tolist()
    [[[2, 0], [3, 1]]]
    """
    return volume if tilt_axis == 1 else np.ascontiguousarray(volume.transpose(0, 2, 1)[:, :, ::-1])


@lru_cache(maxsize=16)
def specimen(voxel_spacing_angstrom: float, side: int, index: int) -> Array:
    """Density of a box with a membrane and those complexes that are at most half as large."""
    room = LARGEST_SHARE * side * voxel_spacing_angstrom
    structures = [name for name in SHREC_STRUCTURES if max(find_complex(name).dimensions_angstrom) <= room]
    return crowd(
        (side,) * 3,
        occupancy=OCCUPANCIES[index % len(OCCUPANCIES)],
        seed=FIRST_SEED + index,
        structures=structures,
        sheets=1,
        voxel_spacing_angstrom=voxel_spacing_angstrom,
    ).density


def described(style: Style, count: int, side: int) -> str:
    """The boxes in words, for the report.

    Examples
    --------
    >>> described(Style(13.48, 1.0, 1, (-60.4, 59.8)), 3, 96)
    '3 simulated boxes of 96³ voxels of 13.5 Å, tilts of -60° … 60°'
    """
    wanted, used = style.voxel_spacing_angstrom, style.simulated_spacing_angstrom
    text = f"{count} simulated {'box' if count == 1 else 'boxes'} of {side}³ voxels of {used:.3g} Å"
    if not FINEST_ANGSTROM <= wanted <= COARSEST_ANGSTROM:
        text += f" (the tomogram's are of {wanted:.3g} Å, for which nothing sensible can be simulated)"
    if style.tilt_range_deg is None:
        return f"{text}, no missing wedge"
    lowest, highest = style.tilt_range_deg
    return f"{text}, tilts of {lowest:.0f}° … {highest:.0f}°"
