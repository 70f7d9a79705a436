"""What the objectives of adaptation share: drawing, the supervised loss, a record of each term."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import exp
from typing import ClassVar

import torch
from torch import Tensor, nn

from vitreous.losses import segmentation_loss
from vitreous.methods.adaptation.config import AdaptationConfig
from vitreous.methods.adaptation.networks import AdaptationNetworks, Segmenter
from vitreous.methods.method import placed
from vitreous.training import LabelledSamples, Phase, UnlabelledSamples

Terms = dict[str, Tensor]


class AdaptationObjective(ABC):
    """Trains a segmentation network on labelled volumes, with the help of others that have no labels.

    A subclass says in `terms` which weighted losses add up in a step, and in `partners` which networks
    it needs beside the segmentation network. All that it draws comes from the step's generator.

    Parameters
    ----------
    network
        The segmentation network, an `nn.Module` and a `Segmenter`.
    source
        Labelled volumes.
    target
        Volumes without labels; None if the objective has no use for them.
    config
        Settings.
    device
        Where it is trained.

    Attributes
    ----------
    network
        All networks: what `training.train` trains and checkpoints hold.
    """

    momenta: ClassVar[tuple[str, ...]] = ()
    """Fields of the configuration with the momenta of the teachers, one for each."""

    usual_adversarial: ClassVar[float] = 0.03
    """Weight of the domain discriminator where the configuration leaves it to the method."""

    def __init__(
        self,
        network: nn.Module,
        source: LabelledSamples,
        target: UnlabelledSamples | None,
        config: AdaptationConfig,
        device: torch.device,
    ) -> None:
        self.source, self.target, self.config, self.device = source, target, config, device
        student = placed(network, device)
        others = {name: placed(other, device) for name, other in self.partners(network).items()}
        self.network: AdaptationNetworks = AdaptationNetworks(student, len(self.momenta), others).to(device)

    @property
    def trained(self) -> nn.Module:
        """The network to keep after the training."""
        return self.network.student

    @property
    def student(self) -> Segmenter:
        """The network that is trained."""
        return self.network.segmenter()

    @property
    def adversarial(self) -> float:
        """Weight of the domain discriminator."""
        return self.usual_adversarial if self.config.adversarial is None else self.config.adversarial

    @property
    def progress(self) -> float:
        """Share of the steps that are done or begun, 0 to 1."""
        return min(1.0, int(self.network.done) / (self.config.steps or 1))

    @property
    def ramp(self) -> float:
        """exp(-5 (1 - t)²) with t from 0 to 1 in the first half of the steps: how far to trust a teacher."""
        return exp(-5 * (1 - min(1.0, 2 * self.progress)) ** 2)

    @cached_property
    def class_weights(self) -> Tensor | None:
        """(classes,) of cross entropies; None if all count alike."""
        weights = self.config.class_weights
        return torch.tensor(weights, device=self.device) if weights else None

    def partners(self, network: nn.Module) -> dict[str, nn.Module]:
        """Further networks that are trained, by name."""
        return {}

    @abstractmethod
    def terms(self, generator: torch.Generator) -> Terms:
        """Weighted losses of the student on a fresh batch, by name; no side effects."""

    def phases(self, generator: torch.Generator) -> Iterator[Phase]:
        """One update of everything."""
        self.network.begin_step([getattr(self.config, name) for name in self.momenta])
        loss = torch.stack(list(self.terms(generator).values())).sum()
        yield Phase(loss, self.network.trained(*self.network.others), self.where)

    def monitored(self, generator: torch.Generator) -> tuple[Mapping[str, float], str]:
        """Each term on a batch of its own."""
        return {name: float(term) for name, term in self.terms(generator).items()}, ""

    @property
    def where(self) -> str:
        """What a batch is, in words."""
        return f"a batch of {self.config.batch} volumes of each domain"

    def labelled(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A batch of the source: volumes (n, 1, z, y, x) and labels (n, z, y, x)."""
        values, labels = self.source.draw(self.config.batch, generator)
        return self.on_device(values), labels.to(self.device)

    def unlabelled(self, generator: torch.Generator, count: int | None = None) -> Tensor:
        """Volumes of the target (n, 1, z, y, x), a batch unless it is said how many."""
        if self.target is None:
            raise ValueError("this objective needs volumes of the target domain")
        return self.on_device(self.target.draw(count or self.config.batch, generator))

    def on_device(self, values: Tensor) -> Tensor:
        """Volumes on the device, channels last."""
        return values.to(device=self.device, memory_format=torch.channels_last_3d)

    def supervised(self, fused: Tensor, labels: Tensor) -> Tensor:
        """L_seg of the student for its fused features (n, channels, z, y, x)."""
        loss = segmentation_loss(self.student.classified(fused), labels, self.class_weights)
        if self.config.deep_supervision:
            branches = [
                segmentation_loss(logits, labels, self.class_weights)
                for logits in self.student.branches(fused)
            ]
            loss = loss + self.config.deep_supervision * torch.stack(branches).sum()
        return loss


class Supervised(AdaptationObjective):
    """Nothing but the labelled volumes: those of the source domain, or of the target as an upper bound."""

    def terms(self, generator: torch.Generator) -> Terms:
        """Dice loss and cross entropy."""
        values, labels = self.labelled(generator)
        return {"segmentation": self.supervised(self.student.fused(self.student.taps(values)), labels)}
