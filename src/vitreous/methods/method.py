"""What every denoising method offers, so that workflows can treat them alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from torch import Tensor, nn

from vitreous.core import Normalization, Progress
from vitreous.inference import Tile, bin_volume
from vitreous.inference.predict import Predictor
from vitreous.methods.gain import GainMap
from vitreous.methods.stabilizer import Stabilizer
from vitreous.training import CheckpointStore, Trainable, TrainingRecord, TrainingSettings, TrainingVolume


class LearnedConfig(BaseModel):
    """Settings that all learned methods share; each method's own config adds to them.

    `steps` may be None in those configurations whose methods choose them for the volumes at hand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    steps: PositiveInt | None = 900
    learning_rate: PositiveFloat = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["cosine", "constant", "steps"] = "cosine"
    batch: PositiveInt = 1
    patch_side: PositiveInt = 48
    width: PositiveInt = 16

    def training_settings(self, seed: int, device: torch.device, precision: str) -> TrainingSettings:
        """What the training loop needs of this configuration, whose number of steps must be fixed."""
        if self.steps is None:
            raise ValueError("the number of steps was left to the volumes: call the method's adapted() first")
        return TrainingSettings(
            steps=self.steps,
            learning_rate=self.learning_rate,
            seed=seed,
            device=device,
            precision=precision,
            betas=self.betas,
            schedule=self.schedule,
        )


ConfigT = TypeVar("ConfigT", bound=LearnedConfig)


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """A volume with what a method found out about it before any training.

    Parameters
    ----------
    volume
        The volume to denoise.
    noise_spectrum
        Of the standardized volume, FFT-ordered, in units of variance; None for methods without one.
    noise_share
        Share of the volume's variance that is noise, where `noise_spectrum` is known.
    binning
        The network works on the volume Fourier-binned by this factor, 1 for the volume itself.
    working, working_spectrum
        What the network works on: volume and spectrum after binning.
    summary
        What was found, in words.
    warnings
        What may spoil the result.
    tilt_axis
        1 for y, 2 for x, where the noise spectrum says it.
    gain
        How the strength of the noise varies over `network_volume`; None where it is everywhere the same.
    stabilizer
        What makes the noise independent of the density; None where it is.
    denoised
        What an earlier training made of the volume, in its grey values.
    total_spectrum
        Of signal and noise together in what the network works on, for methods that ask what the signal is.
    """

    volume: TrainingVolume
    noise_spectrum: Tensor | None = None
    noise_share: float = 0.0
    binning: int = 1
    working: TrainingVolume | None = None
    working_spectrum: Tensor | None = None
    summary: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tilt_axis: int | None = None
    gain: GainMap | None = None
    stabilizer: Stabilizer | None = None
    denoised: NDArray[np.float32] | None = None
    total_spectrum: Tensor | None = None

    @property
    def network_volume(self) -> TrainingVolume:
        """The volume that patches and tiles are cut from."""
        return self.working or self.volume


@dataclass(frozen=True, eq=False)
class PreparedFilter:
    """A filter made ready for one volume.

    Parameters
    ----------
    method
        The filter with its configuration.
    apply
        Filtered copy of a block (z, y, x) of finite float32 grey values.
    repeats
        How often it is applied, each time to what the last time left.
    summary
        What was found about the volume, in words.
    """

    method: ClassicalMethod
    apply: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    repeats: int = 1
    summary: Mapping[str, str] = field(default_factory=dict)


class ClassicalMethod(BaseModel):
    """A filter: no training. Its fields are its configuration.

    `bytes_per_voxel` is the working memory for each voxel of a block, the block and the result included,
    `workspace_bytes` what it takes whatever the block's size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    bytes_per_voxel: ClassVar[float]
    workspace_bytes: ClassVar[int] = 0

    version: Literal[1] = 1

    @property
    def reach(self) -> int | None:
        """How many voxels away an input may still matter; None if every voxel matters everywhere."""
        return None

    @property
    def settings(self) -> str:
        """The configuration in one line."""
        fields = self.model_dump(exclude={"version"}, exclude_none=True)
        return ", ".join(f"{name} {value}" for name, value in fields.items())

    @abstractmethod
    def prepare(self, volume: TrainingVolume) -> PreparedFilter:
        """Look at the whole volume: cheap, deterministic.

        Raises
        ------
        InputError
            If something that the filter needs is unknown or not installed.
        """


class LearnedMethod(Protocol):
    """A method that trains a network on the very volumes it denoises.

    `margin` and `stride` are what the network asks of tiles (`inference.tiles_of`);
    `tile` is the block side it must be given, None for any.
    """

    name: ClassVar[str]
    tile: int | None

    @property
    def config(self) -> LearnedConfig:
        """Settings of the method."""

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Look at one volume: cheap, deterministic, no training."""

    def adapted(self, volumes: Sequence[PreparedVolume]) -> Self:
        """The method with those settings fixed that depend on the volumes."""

    def build_network(self, seed: int) -> nn.Module:
        """The untrained network, initialized from `seed`; it has `stride` and `receptive_radius`."""

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> Trainable:
        """What to train the network on."""

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """The trained network as a function of blocks of `volume`."""


@runtime_checkable
class BlendedMethod(LearnedMethod, Protocol):
    """A learned method whose result depends on the whole block, and has units of its own.

    Its blocks overlap by half and are blended (`inference.blend_tiles`), as its patches are no larger.
    `main_share` is the share of its training's time that goes before `finish`.
    """

    main_share: float

    def finish(
        self,
        network: nn.Module,
        volumes: Sequence[PreparedVolume],
        device: torch.device,
        seed: int,
        progress: Progress,
        store: CheckpointStore | None = None,
    ) -> TrainingRecord:
        """Train, after the rest, what predicts; with checkpoints of its own."""

    def cleared(self, prediction: NDArray[np.float32], prepared: PreparedVolume) -> Mapping[str, str]:
        """Take what the method does not predict out of a blended prediction, in place; what, in words."""

    def calibrated(
        self, prediction: NDArray[np.float32], volume: TrainingVolume, strength: float
    ) -> tuple[NDArray[np.float32], str]:
        """Grey values of a blended prediction at a strength of 0 … 1, and a warning or ""."""


class VolumeIndependent(Generic[ConfigT]):
    """What simple learned methods share: no setting depends on the volume; eight mirror images.

    Parameters
    ----------
    config
        Settings; those of `config_type` if None.
    precision
        "float32" or "bfloat16", for prediction.
    """

    config_type: type[ConfigT]
    tile: int | None = None

    def __init__(self, config: ConfigT | None = None, *, precision: str = "float32") -> None:
        self.config: ConfigT = config or self.config_type()
        self.precision = precision

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Nothing to find out."""
        return PreparedVolume(volume)

    def adapted(self, volumes: Sequence[PreparedVolume]) -> Self:
        """The method itself: nothing depends on the volumes."""
        return self

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean over the eight mirror images."""
        return mirror_mean(network, device, self.precision)


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on its device, in the memory layout that 3-D convolutions are fastest in."""
    return network.to(device=device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]


def batch_of(crops: Sequence[Tensor], device: torch.device) -> Tensor:
    """Crops (z, y, x) as one batch (n, 1, z, y, x) on the device, channels last."""
    return torch.stack(list(crops))[:, None].to(device=device, memory_format=torch.channels_last_3d)


def batches_of(drawn: Sequence[Sequence[Tensor]], device: torch.device) -> list[Tensor]:
    """Crops that belong together, drawn one after the other, as one batch of each kind."""
    return [batch_of(kind, device) for kind in zip(*drawn, strict=True)]


def mirrored(index: int) -> tuple[int, ...]:
    """The axes of the index-th of the eight mirror images of a volume."""
    return tuple(axis for axis in range(3) if (index >> axis) & 1)


def predict_block(network: nn.Module, block: Tensor, device: torch.device, precision: str) -> Tensor:
    """One forward pass on a block (z, y, x), float32, on the device."""
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        out: Tensor = network(batch_of([block], device))
    return out[0, 0].float()


def predict_mirrored(
    network: nn.Module, block: Tensor, index: int, device: torch.device, precision: str
) -> Tensor:
    """What a network makes of the index-th of the eight mirror images of a block, counted modulo 8."""
    flips = mirrored(index % 8)
    return predict_block(network, block.flip(flips), device, precision).flip(flips)


def mirror_mean(network: nn.Module, device: torch.device, precision: str) -> Predictor:
    """A predictor that averages a network over the eight mirror images of a block."""
    network = placed(network, device).eval()

    def predict(block: Tensor, tile: Tile) -> Tensor:
        return torch.stack(
            [predict_mirrored(network, block, index, device, precision) for index in range(8)]
        ).mean(0)

    return predict


def binned(volume: TrainingVolume, factor: int) -> TrainingVolume:
    """The standardized volume on a coarser grid, held in memory; its target and mask alike."""
    data = bin_volume(volume.data, volume.normalization, factor)
    target = None if volume.target is None else bin_volume(volume.target, volume.normalization, factor)
    mask = None if volume.mask is None else volume.mask[::factor, ::factor, ::factor]
    inside = data if mask is None or not mask.any() else data[mask]
    normalization = Normalization(0.0, float(inside.std()), -np.inf, np.inf)
    spacing = volume.voxel_spacing_angstrom
    coarse = None if spacing is None else factor * spacing
    return TrainingVolume(data, normalization, mask, f"{volume.name} binned {factor} ×", target, coarse)
