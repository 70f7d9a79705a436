"""DUAL's wedge compensation: translation between a tomogram and its transpose (dual § 2.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from vitreous.core import measure_voxels
from vitreous.inference.predict import Predictor
from vitreous.losses import discriminator_loss, generator_loss, measured_fourier_loss
from vitreous.methods.dual.objective import death, domain_figures
from vitreous.methods.method import PreparedVolume, batch_of, mirrored, placed
from vitreous.methods.noise_model import NoiseModel
from vitreous.methods.noise_model.method import RecorruptedObjective
from vitreous.methods.wedge.config import WedgeConfig, fixed_wedge
from vitreous.methods.wedge.geometry import merged
from vitreous.methods.wedge.method import WedgeMethod
from vitreous.methods.wedge.patches import emptied
from vitreous.networks import DomainDiscriminator, UNet3d, initialize_orthogonally
from vitreous.training import Patch, PatchSampler, Phase

SMALL_CHANGE = 0.1  # of a volume by the translator before it has learned anything


class TransposedConfig(WedgeConfig):
    """Settings of wedge filling by DUAL's transposed domains.

    Parameters
    ----------
    steps
        Of each of the two trainings: denoiser, then translator.
    binning
        Always 1: the translator sees the volume itself.
    denoise_first
        Translate the volume that the noise model denoises. The paper translates the tomogram as it is;
        its noise then has to be invented along with the signal.
    side
        Of the translator's patches.
    judge_width
        Channels of the discriminator's first layer.
    adversarial, cycle
        Weights of the discriminator's judgement and of coming back after two translations, as published.
    shared
        Weight of changing nothing where both domains were measured: there they are the same volume.
    restored
        Weight of the one case in which the translation is known: a patch without either domain's missing
        region has to become the patch that lacks only one.
    """

    steps: PositiveInt | None = 300
    binning: Literal[1] = 1
    denoise_first: bool = True
    side: PositiveInt = Field(32, multiple_of=8)
    judge_width: PositiveInt = 8
    adversarial: NonNegativeFloat = 0.02
    cycle: NonNegativeFloat = 1.0
    shared: NonNegativeFloat = 1.0
    restored: NonNegativeFloat = 1.0

    @classmethod
    def paper(cls) -> TransposedConfig:
        """Its adversarial and cyclic losses alone, on the tomogram with its noise; widths stay ours."""
        return cls(denoise_first=False, adversarial=1.0, shared=0.0, restored=0.0)


class TransposedNetworks(nn.Module):
    """The denoiser, the translator from a tomogram to its transposed domain, and the latter's judge.

    As the second domain is the first one transposed, one translator and one discriminator do for both
    directions.
    """

    def __init__(self, config: TransposedConfig, seed: int) -> None:
        super().__init__()
        self.denoiser = config.build_unet(seed)
        torch.manual_seed(seed)
        self.translator = UNet3d(width=config.width)
        self.judge = DomainDiscriminator(width=config.judge_width)
        for part in (self.translator, self.judge):
            initialize_orthogonally(part)
        with torch.no_grad():
            self.translator.head.weight.mul_(SMALL_CHANGE)
        halving = (self.denoiser, self.translator)  # the tiles of a prediction serve both
        self.stride = max(network.stride for network in halving)
        self.receptive_radius = max(network.receptive_radius for network in halving)

    def forward(self, x: Tensor) -> Tensor:
        """Translated standardized blocks (batch, 1, z, y, x), as they lie."""
        change: Tensor = self.translator(x)
        return x + change


class TransposedDomains(WedgeMethod[TransposedConfig]):
    """Learn what a tomogram would look like with its missing wedge elsewhere, and fill it with that.

    The beam and the axis across the tilt axis are swapped; the swapped volume is a second domain whose
    missing region the first one measured. What is translated fills the missing region alone.
    """

    name: ClassVar[str] = "dual"
    config_type = TransposedConfig

    @property
    def rounds(self) -> int:
        """The denoiser, if there is one, and the translator."""
        return 2 if self.config.denoise_first else 1

    @property
    def denoises_first(self) -> bool:
        """If the configuration says so; else the tomogram is filled as it is, noise and all."""
        return self.config.denoise_first

    @property
    def translates(self) -> bool:
        """Whether it is the round of the translator."""
        return self.config.round == self.rounds - 1

    def refilled(self, volume: PreparedVolume, prediction: NDArray[np.float32]) -> PreparedVolume:
        """The denoised volume, which is what the translator sees."""
        constants = measure_voxels(prediction, volume.volume.mask).normalization
        return replace(volume, volume=replace(volume.volume, data=prediction, normalization=constants))

    def completed(self, volume: PreparedVolume, prediction: NDArray[np.float32]) -> NDArray[np.float32]:
        """The volume that was translated, its missing region filled."""
        if not self.translates:
            return prediction
        return merged(np.asarray(volume.volume.data, np.float32), prediction, self.wedge)

    def build_network(self, seed: int) -> TransposedNetworks:
        """All networks."""
        return TransposedNetworks(self.config, seed)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> RecorruptedObjective | TranslationObjective:
        """That of the noise model, then the translation."""
        if not isinstance(network, TransposedNetworks):
            raise TypeError("the network is none of the transposed domains")
        if self.translates:
            return TranslationObjective(network, volumes, self.config, device)
        return RecorruptedObjective(placed(network.denoiser, device), volumes, self.config, device)

    def members(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Sequence[Predictor]:
        """The mirror images that have the same wedge, translated; or the denoiser's noise draws."""
        if not isinstance(network, TransposedNetworks):
            raise TypeError("the network is none of the transposed domains")
        if not self.translates:
            denoiser = NoiseModel(self.config, precision=self.precision)
            return denoiser.members(network.denoiser, volume, device, seed)
        return super().members(network, volume, device, seed)


class TranslationObjective:
    """The game between a translator and a judge of the transposed domain.

    Parameters
    ----------
    network
        What is trained.
    volumes
        Prepared by `TransposedDomains.prepare`, denoised or not.
    config
        Settings, the wedge fixed.
    device
        Where it is trained.
    """

    def __init__(
        self,
        network: TransposedNetworks,
        volumes: Sequence[PreparedVolume],
        config: TransposedConfig,
        device: torch.device,
    ) -> None:
        placed(network, device)
        self.network, self.config, self.device = network, config, device
        self.wedge = fixed_wedge(config)
        self.sampler = PatchSampler([v.volume for v in volumes], config.side)
        self.axes = (-3, -1) if self.wedge.tilt_axis == 1 else (-3, -2)  # that change places
        swap = torch.eye(3, dtype=torch.float64)
        swap[[0, 3 - self.wedge.tilt_axis]] = swap[[3 - self.wedge.tilt_axis, 0]]
        shape = (config.side,) * 3
        self.other = self.wedge.region(shape, swap).to(device)  # what the transposed domain measures
        self.both = self.other * self.wedge.region(shape).to(device)

    def phases(self, generator: torch.Generator) -> Iterator[Phase]:
        """First the translator, then the judge on the same volumes."""
        patches = [self.sampler.draw(generator) for _ in range(self.config.batch)]
        real = self._batch(patches, generator)
        where = " and ".join(patch.where for patch in patches)
        translated = self.network(real)
        losses = self.translator_losses(real, translated)
        loss = sum(losses.values(), torch.zeros((), device=self.device))
        yield Phase(loss, list(self.network.translator.parameters()), where)
        yield Phase(self.judge_loss(real, translated), list(self.network.judge.parameters()), where)

    def translator_losses(self, real: Tensor, translated: Tensor) -> dict[str, Tensor]:
        """Weighted losses by name; volumes (batch, 1, z, y, x)."""
        config, judge = self.config, self.network.judge
        fake = self.swapped(translated)
        losses = {"adversarial": config.adversarial * generator_loss(judge(fake))}
        if config.cycle:
            again = self.swapped(self.network(fake))
            losses["cycle"] = config.cycle * (again.float() - real).square().mean()
        if config.shared:
            one = torch.ones(1, device=self.device)
            change = translated.float() - real
            losses["shared"] = config.shared * measured_fourier_loss(change, one, self.both)
        if config.restored:
            restored = self.network(self.swapped(emptied(real, self.other)))
            wrong = restored.float() - self.swapped(real)
            losses["restored"] = config.restored * measured_fourier_loss(wrong, self.both, self.other)
        return losses

    def judge_loss(self, real: Tensor, translated: Tensor) -> Tensor:
        """Of the discriminator (dual eqs 6 and 7)."""
        judge = self.network.judge
        return discriminator_loss(judge(real), judge(self.swapped(translated).detach()))

    def swapped(self, volumes: Tensor) -> Tensor:
        """Volumes (batch, 1, z, y, x) of one domain as they would lie in the other."""
        return volumes.transpose(*self.axes)

    def monitored(self, generator: torch.Generator) -> tuple[Mapping[str, float], str]:
        """Losses, and how fake volumes compare with real ones, on a batch of their own."""
        patches = [self.sampler.draw(generator) for _ in range(self.config.batch)]
        real = self._batch(patches, generator)
        translated = self.network(real)
        figures = {name: float(v) for name, v in self.translator_losses(real, translated).items()}
        figures["discriminator"] = float(self.judge_loss(real, translated))
        figures |= domain_figures("translated", real, self.swapped(translated))
        return figures, death("translated", figures["translated_variance_ratio"])

    def _batch(self, patches: Sequence[Patch], generator: torch.Generator) -> Tensor:
        """Patches in those mirror images that have the wedge where the volume has it."""
        mirrors: list[tuple[int, ...]] = [mirrored(index) for index in self.wedge.mirrors]
        choice = [int(torch.randint(len(mirrors), (), generator=generator)) for _ in patches]
        turned = [p.values.flip(p.flips).flip(mirrors[i]) for p, i in zip(patches, choice, strict=True)]
        return batch_of(turned, self.device)
