"""The tomogram as the chain sees it: standardized, binned, protein bright, its noise split in two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import AS_IS, InputError, Template, Volume
from vitreous.fourier import NoiseGenerator, crop_spectrum
from vitreous.inference.binning import ROLLOFF, bin_volume, coarse_shape
from vitreous.io import volume_warnings
from vitreous.methods.method import PreparedVolume
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig, estimate_noise_spectrum
from vitreous.methods.noise_model.method import gain_over, levelled, seen_spectrum
from vitreous.methods.supervised.pairs import COARSEST_ANGSTROM, FINEST_ANGSTROM, Style, style_of
from vitreous.metrics import measure_polarity
from vitreous.training import TrainingVolume, step_generator
from vitreous.workflows.annotate.request import AnnotateRequest, AnnotateSettings
from vitreous.workflows.cubic_voxels import UNEQUAL
from vitreous.workflows.denoise import Source, standardized
from vitreous.workflows.inspect.tilts import measured_tilt_range
from vitreous.workflows.inspect.tomogram import READ_OFF_SIGNAL
from vitreous.workflows.measurable import open_measurable

WORKING_ANGSTROM = 20.0  # voxels of the network at the most: finer ones hold next to no signal
LEAST_ACROSS = 6  # of them, from side to side of the smallest structure
AVERAGED_ANGSTROM = (6.0, 15.0)  # voxels for averages where the network's are coarser
ALPHA = 0.5  # y + αn is searched, y - n/α is judged by
SPLIT_SEED = 77_001

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Subject:
    """A tomogram made ready.

    Parameters
    ----------
    volume
        As it is in the file.
    prepared
        Noise spectrum, gain and binning.
    style
        What specimens take over from it.
    bright
        Whether protein is bright in it.
    working
        (z, y, x) float32: standardized, binned, noise levelled, protein bright.
    warnings
        What may spoil the result, one sentence each.
    """

    volume: Volume
    prepared: PreparedVolume
    style: Style
    bright: bool
    working: Array
    warnings: tuple[str, ...]

    @property
    def spacing_angstrom(self) -> float:
        """Edge of a voxel of `working`, in Å."""
        return self.style.voxel_spacing_angstrom

    @property
    def noise(self) -> Tensor:
        """Spectrum of the noise in `working`, FFT-ordered."""
        return seen_spectrum(self.prepared)

    @property
    def clip(self) -> float:
        """The most that gold and other outliers can be in `working`: they were clipped."""
        volume, network_volume = self.prepared.volume, self.prepared.network_volume
        constants = volume.normalization
        highest = max(constants.high - constants.mean, constants.mean - constants.low) / constants.deviation
        binned = network_volume is not volume
        return highest / (network_volume.normalization.deviation if binned else 1.0)

    @property
    def averaging_binning(self) -> int:
        """Of the voxels that particles are averaged in: finer than the working ones where they can be.

        They are the coarsest of 6 to 15 Å that the working ones can be binned from.
        """
        whole = self.prepared.binning
        least, most = AVERAGED_ANGSTROM
        native = self.spacing_angstrom / whole
        fitting = [b for b in range(1, whole) if whole % b == 0 and least <= b * native <= most]
        return max(fitting, default=whole)

    @property
    def averaging_spacing_angstrom(self) -> float:
        """Edge of a voxel that particles are averaged in, in Å."""
        return self.spacing_angstrom * self.averaging_binning / self.prepared.binning

    def split(self, seed: int) -> tuple[Array, Array]:
        """Two copies with independent noises: one to search, one to judge by what was found.

        For Gaussian noise of the estimated spectrum y + αn and y - n/α are independent given the specimen
        (Pang et al. 2021), so noise that looked like a particle in the first does not in the second.
        """
        drawn = self._drawn(seed)
        if self.averaging_binning < self.prepared.binning:
            drawn = bin_volume(drawn, AS_IS, self.prepared.binning // self.averaging_binning)
        searched: Array = (self.working + ALPHA * drawn).astype(np.float32)
        judged: Array = (self.working - drawn / ALPHA).astype(np.float32)
        return searched, judged

    def for_averages(self, seed: int) -> tuple[Array, Array]:
        """The tomogram and the judging copy of `split` in the voxels that particles are averaged in."""
        shown = self.finer()
        return shown, (shown - self._drawn(seed) / ALPHA).astype(np.float32)

    def finer(self) -> Array:
        """The tomogram as `working` has it, but in the voxels that particles are averaged in."""
        binning, fixed = self.averaging_binning, self.prepared.volume
        if binning == self.prepared.binning:
            return self.working
        if binning == 1:
            values = fixed.normalization.apply(fixed.data)
        else:
            values = bin_volume(fixed.data, fixed.normalization, binning)
        values /= self.prepared.network_volume.normalization.deviation
        if self.prepared.gain is not None:
            gain = self.prepared.gain.binned(binning / self.prepared.binning, values.shape)
            values /= gain.over((0, 0, 0), values.shape).numpy()
        return values if self.bright else -values

    def _drawn(self, seed: int) -> Array:
        """Noise as that of `working`, but in the voxels that particles are averaged in."""
        binning, spectrum = self.averaging_binning, self.noise
        if binning < self.prepared.binning:
            assert self.prepared.noise_spectrum is not None  # the noise model's preparation has one
            spectrum = self.prepared.noise_spectrum / self.prepared.network_volume.normalization.deviation**2
            if binning > 1:
                spectrum = crop_spectrum(spectrum, binning, rolloff=ROLLOFF)
        shape = coarse_shape(self.volume.shape, binning)
        drawn: Array = NoiseGenerator(spectrum, shape).draw(step_generator(SPLIT_SEED, seed))[0].numpy()
        return drawn


def open_subject(request: AnnotateRequest, templates: Sequence[Template]) -> Subject:
    """Open the tomogram and find out what the chain needs to know.

    Raises
    ------
    InputError
        If it cannot be read, has no known voxel spacing or unequal ones, is too small or has nothing in it.
    """
    settings = request.settings
    volume, spacing = open_measurable(request.input, request.voxel_size_angstrom)
    training, odd = standardized(Source(volume), needs_target=False)
    binning = settings.binning or chosen_binning(spacing, templates)
    prepared = NoiseModel(NoiseModelConfig(binning=binning)).prepare(training)
    style = style_of(prepared)
    check_simulated(style, binning, request)
    network_volume = prepared.network_volume
    values = torch.from_numpy(network_volume.normalization.apply(network_volume.data))
    level = levelled(prepared, values, gain_over(prepared, (0, 0, 0), values.shape)).numpy()
    seen = measure_polarity(level, style.voxel_spacing_angstrom).protein
    bright = seen == "bright" if settings.invert is None else settings.invert
    warnings = [*volume_warnings(volume), *odd, *prepared.warnings, *polarity_doubts(settings, seen)]
    if style.tilt_range_deg is None:
        style, doubt = with_tilts_of_signal(style, prepared.volume)
        warnings += [doubt] if settings.tilt_range_deg is None else []
    if settings.tilt_range_deg is not None:
        style = replace(style, tilt_range_deg=settings.tilt_range_deg)
    return Subject(volume, prepared, style, bright, level if bright else -level, tuple(warnings))


def with_tilts_of_signal(style: Style, volume: TrainingVolume) -> tuple[Style, str]:
    """The style with the wedge that the signal shows, if it shows one, and what that leaves in doubt.

    The tilt axis is y where the noise does not show it.
    """
    spectrum = estimate_noise_spectrum(volume.data, volume.normalization)
    seen = measured_tilt_range(volume.data, volume.normalization, spectrum)
    if seen is not None:
        return replace(style, tilt_range_deg=seen.limits_deg, tilt_axis=seen.tilt_axis), READ_OFF_SIGNAL
    return replace(style, tilt_axis=spectrum.tilt_axis if spectrum.tilt_axis_seen else 1), (
        "Neither noise nor signal shows a missing wedge; tilts of -60° to 60° are assumed. "
        "Give --tilt-range if you know it."
    )


def check_simulated(style: Style, binning: int, request: AnnotateRequest) -> None:
    """Raise InputError if specimens cannot be simulated in the voxels that the network is to see."""
    spacing = style.voxel_spacing_angstrom
    if math.isclose(spacing, style.simulated_spacing_angstrom, rel_tol=UNEQUAL - 1):
        return
    text = f"would be searched in voxels of {spacing:.3g} Å, and specimens are simulated in "
    text += f"{FINEST_ANGSTROM:.0f} to {COARSEST_ANGSTROM:.0f} Å"
    if spacing < FINEST_ANGSTROM:
        remedy = f"add --binning {math.ceil(FINEST_ANGSTROM * binning / spacing)}"
    elif binning > 1:
        remedy = "give a smaller --binning"
    else:
        remedy = "its voxels are too coarse to tell structures apart"
    raise InputError(text, path=request.input, remedy=remedy)


def chosen_binning(spacing: float, templates: Sequence[Template]) -> int:
    """The strongest binning that leaves voxels of 20 Å at the most, and six across the smallest structure.

    Examples
    --------
    >>> chosen_binning(10.0, [])
    2
    """
    smallest = min((diameter_of(template) for template in templates), default=math.inf)
    finest = min(WORKING_ANGSTROM, smallest / LEAST_ACROSS)
    return max(1, int(1.02 * finest / spacing))


def diameter_of(template: Template) -> float:
    """Of the ball that has the radius of gyration of a structure, in Å."""
    weights = np.clip(template.density, 0, None).astype(np.float64)
    squares = ((np.indices(weights.shape) - template.side // 2) ** 2).sum(axis=0)
    gyration = math.sqrt(float((weights * squares).sum() / weights.sum()))
    return 2 * math.sqrt(5 / 3) * gyration * template.voxel_spacing_angstrom


def polarity_doubts(settings: AnnotateSettings, seen: str) -> list[str]:
    """What is to be said of the contrast, which looks "dark", "bright" or "unclear"."""
    if settings.invert is None:
        told = {
            "unclear": "The grey values do not tell whether protein is dark or bright; it was taken to be "
            "dark. If it is not, say --invert.",
            "bright": "Protein looks bright in this tomogram and was taken so; --no-invert says otherwise.",
        }
        return [told[seen]] if seen in told else []
    said = "bright" if settings.invert else "dark"
    return (
        []
        if seen in (said, "unclear")
        else [f"Protein was said to be {said}, but dense matter looks {seen}."]
    )
