"""What wedge filling is asked for, plans and gives, as immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitreous.inference import MemoryPlan
from vitreous.methods import PreparedVolume
from vitreous.workflows.denoise import DenoiseSettings, TrainedModel


@dataclass(frozen=True)
class WedgeSettings(DenoiseSettings):
    """What a user can choose; None leaves a choice to the method.

    `tilt_range_deg` and `tilt_axis` ("y" or "x") are estimated from the noise where None.
    `keep_measured`: the result has the input's own values in the measured region of Fourier space.
    """

    method: str = "noise-model"
    tilt_range_deg: tuple[float, float] | None = None
    tilt_axis: str | None = None
    keep_measured: bool = False


@dataclass(frozen=True, eq=False)
class WedgePlan:
    """What will be done to a source; all that can be refused has been looked at."""

    model: TrainedModel
    prepared: PreparedVolume
    memory: MemoryPlan
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Filled:
    """A result with its uncertainty, (z, y, x) float32 both, and how it came about.

    `uncertainty` is the standard deviation between the predictions that were averaged, in grey values.
    """

    data: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    model: TrainedModel
    prepared: PreparedVolume
    losses: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
