"""A volume and its wedge, found out before any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from vitreous.methods.method import PreparedVolume, binned
from vitreous.methods.noise2noise import pair_noise_spectrum
from vitreous.methods.noise_model import NoiseModel
from vitreous.methods.wedge.config import WedgeConfig
from vitreous.methods.wedge.geometry import AXES, MissingWedge, missing_wedge
from vitreous.training import TrainingVolume

ConfigT = TypeVar("ConfigT", bound=WedgeConfig)


def prepared_for_filling(volume: TrainingVolume, config: WedgeConfig) -> PreparedVolume:
    """A volume with its noise spectrum, and with the tilt range in words."""
    if volume.target is None:
        prepared = replace(NoiseModel(config).prepare(volume), stabilizer=None)
    else:
        binning = config.binning or 1
        working = None if binning == 1 else binned(volume, binning)
        spectrum = pair_noise_spectrum(volume)
        prepared = PreparedVolume(
            volume, spectrum, binning=binning, working=working, summary=config.beginning
        )
    wedge = wedge_of(prepared, config)
    how = "estimated from the noise" if config.tilt_range_deg is None else "as given"
    summary = {
        k: v for k, v in prepared.summary.items() if k not in ("tilt axis", "noise follows the density")
    }
    return replace(prepared, summary={**summary, "tilt range": f"{wedge.described} ({how})"})


def wedge_of(prepared: PreparedVolume, config: WedgeConfig) -> MissingWedge:
    """The wedge of a prepared volume."""
    if prepared.noise_spectrum is None:
        raise ValueError("the volume was not prepared by a method that estimates its noise")
    return missing_wedge(
        prepared.noise_spectrum,
        prepared.volume.name,
        tilt_range_deg=config.tilt_range_deg,
        tilt_axis=None if config.tilt_axis is None else AXES[config.tilt_axis],
        likely_axis=prepared.tilt_axis or 1,
    )


def with_wedge(config: ConfigT, volumes: Sequence[PreparedVolume]) -> ConfigT:
    """The configuration with the first volume's wedge."""
    wedge = wedge_of(volumes[0], config)
    limits = tuple(round(v, 1) for v in wedge.tilt_range_deg)
    axis = "y" if wedge.tilt_axis == 1 else "x"
    return config.model_copy(update={"tilt_range_deg": limits, "tilt_axis": axis})
