"""Noise like that of a tomogram: its power spectrum and strength, and draws of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Progress, Volume
from vitreous.fourier import NoiseGenerator
from vitreous.io import open_volume
from vitreous.methods.noise_model import NoiseSpectrum, estimate_noise_spectrum
from vitreous.methods.supervised.pairs import signal_to_noise
from vitreous.training import step_generator
from vitreous.workflows.cubic_voxels import UNEQUAL
from vitreous.workflows.denoise import Source, standardized
from vitreous.workflows.measurable import check_size
from vitreous.workflows.simulate.spec import SimulationSpec

WRAP = 32  # voxels: draws are periodic, and their spectrum comes from patches of this side

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DrawnNoise:
    """Independent noise (z, y, x) of both halves, twice as strong as that of the whole, in any unit.

    `snr` is what a tomogram with their mean should show: variance of the signal over that of the noise.
    """

    even: Array
    odd: Array
    snr: float


@dataclass(frozen=True, eq=False)
class MeasuredNoise:
    """The noise of a tomogram.

    Parameters
    ----------
    spectrum
        Power (z, y, x) in FFT order, for a tilt axis along y, in units of the tomogram's variance.
    snr
        Variance of the signal over that of the noise, in the patches that the spectrum comes from.
    doubts
        What simulated tomograms should say of it, one sentence each.
    """

    spectrum: Tensor
    snr: float
    doubts: tuple[str, ...] = ()

    def drawn(self, shape: tuple[int, int, int], seed: int) -> DrawnNoise:
        """Noise for both halves of a tomogram (z, y, x); the same seed gives the same bytes."""
        generator = NoiseGenerator(2 * self.spectrum, [side + WRAP for side in shape])
        inside = tuple(slice(side) for side in shape)
        even, odd = (
            np.ascontiguousarray(generator.draw(step_generator(seed, half))[0].numpy()[inside])
            for half in range(2)
        )
        return DrawnNoise(even, odd, self.snr)


def noise_of(
    spec: SimulationSpec, progress: Progress, given_angstrom: float | None = None
) -> MeasuredNoise | None:
    """The noise of the tomogram that a specification names; None if it names none.

    Doubts about it are warned of.

    Parameters
    ----------
    spec
        What to simulate.
    progress
        Receives the warnings.
    given_angstrom
        Voxel spacing of the tomogram that the user said; None for that of the file.

    Raises
    ------
    InputError
        If the file cannot be read, is too small or has nothing in it.
    """
    if spec.imaging.noise_like is None:
        return None
    path = Path(spec.imaging.noise_like)
    # Of a printed specification it is not known whether the spacing was given by hand.
    volume = open_volume(path, voxel_spacing_angstrom=given_angstrom, allow_damaged=True)
    check_size(volume, path)
    training, odd = standardized(Source(volume), needs_target=False)
    spectrum = estimate_noise_spectrum(training.data, training.normalization)
    doubts = [f"{path.name}: {text}" for text in odd]
    if turned(spectrum):
        doubts.append(
            f"The tilt axis of {path.name} is x, that of simulated tomograms is y: its noise was turned."
        )
    doubts += spacing_doubts(volume, path, spec.box.voxel_spacing_angstrom)
    for text in doubts:
        progress.warn(text)
    power = spectrum.power.transpose(1, 2) if turned(spectrum) else spectrum.power
    return MeasuredNoise(power.contiguous(), signal_to_noise(spectrum.noise_share), tuple(doubts))


def turned(spectrum: NoiseSpectrum) -> bool:
    """Whether a spectrum is one about x.

    Exchanging y and x turns it about z: it is the same on both sides along its tilt axis.
    """
    return spectrum.tilt_axis_seen and spectrum.tilt_axis == 2


def spacing_doubts(volume: Volume, path: Path, box_angstrom: float) -> list[str]:
    """That the tomogram has other voxels than the box, if that is known."""
    sides = volume.voxel_spacing_angstrom
    if sides is None or all(side == 1 for side in sides):  # never set, most likely
        return []
    if max(*sides, box_angstrom) <= UNEQUAL * min(*sides, box_angstrom):
        return []
    told = " × ".join(f"{side:.4g}" for side in sides)
    return [
        f"The voxels of {path.name} are of {told} Å (z × y × x), those of the box of {box_angstrom:.4g} Å: "
        "its noise was taken voxel by voxel."
    ]
