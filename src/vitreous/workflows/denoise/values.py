"""What denoising is asked for, plans and gives, as immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from vitreous.core import Volume
from vitreous.inference import ComputeDevice, MemoryPlan
from vitreous.io import HalfSplit
from vitreous.methods import LearnedMethod, PreparedFilter, PreparedVolume
from vitreous.training import TrainingRecord, TrainingVolume

OPTICS_OPTIONS = {
    "defocus_um": "--defocus",
    "voltage_kv": "--voltage",
    "spherical_aberration_mm": "--cs",
    "amplitude_contrast": "--amplitude-contrast",
}


@dataclass(frozen=True)
class DenoiseSettings:
    """What a user can choose; None leaves a choice to the method.

    `time_budget_seconds` is turned into a number of training steps by timing the first few.
    `config` is the name of a method's configuration, such as "paper", or a TOML file with one.
    `strength` (dual) is the share of the noise that is removed, 0 to 1; all of it if None.
    """

    method: str = "auto"
    steps: int | None = None
    time_budget_seconds: float | None = None
    seed: int = 0
    device: str = "auto"
    max_memory: str | None = None
    invert: bool = False
    model: Path | None = None
    config: str | None = None
    strength: float | None = None
    defocus_um: float | None = None
    voltage_kv: float | None = None
    spherical_aberration_mm: float | None = None
    amplitude_contrast: float | None = None

    @property
    def optics(self) -> dict[str, float]:
        """What is said about the microscope, by the names in a configuration."""
        named = {name: getattr(self, name) for name in OPTICS_OPTIONS}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Source:
    """A volume to denoise with what belongs to it: its halves, a specimen mask, the truth if it is known."""

    volume: Volume
    even: Volume | None = None
    odd: Volume | None = None
    mask: NDArray[np.bool_] | None = None
    reference: Volume | None = None
    split: HalfSplit = "unknown"

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.volume.path or "the volume")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A method with its network, trained or not."""

    method: LearnedMethod
    network: nn.Module
    compute: ComputeDevice
    record: TrainingRecord | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be done to a source; making one changes nothing, so that bad input is found early.

    A classical filter is in `filter`; a learned method, trained or not, in `model`.
    """

    method: str
    reason: str
    volume: TrainingVolume
    memory: MemoryPlan
    warnings: tuple[str, ...] = ()
    model: TrainedModel | None = None
    filter: PreparedFilter | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a trained network makes of a volume, what was found on the way, and what may be wrong with it."""

    data: NDArray[np.float32]
    found: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Denoised:
    """A result with what is known about how it came about."""

    data: NDArray[np.float32]
    method: str
    reason: str
    prepared: PreparedVolume | None = None
    model: TrainedModel | None = None
    plan: MemoryPlan | None = None
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
