"""PDAM, reduced to one class of structures: translation, then alignment of features and outputs (pdam)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.losses import discriminator_loss, generator_loss
from vitreous.methods.adaptation.domains import feature_judge, reversed_domain_loss
from vitreous.methods.adaptation.networks import Segmenter
from vitreous.methods.adaptation.objective import AdaptationObjective, Terms
from vitreous.networks import PatchDiscriminator, UNet3d
from vitreous.training import Phase

SMALL_CHANGE = 0.1  # of a volume by a translator before it has learned anything


@dataclass(frozen=True, eq=False)
class Translated:
    """Volumes of both domains, what the translators make of them, and of that again; (n, 1, z, y, x)."""

    source: Tensor
    target: Tensor
    like_target: Tensor
    like_source: Tensor
    source_again: Tensor
    target_again: Tensor


class Translator(nn.Module):
    """What a small U-Net changes of a volume, added to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = UNet3d(width=width, levels=1, norm=True)
        with torch.no_grad():
            self.change.head.weight.mul_(SMALL_CHANGE)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 1, z, y, x) to the same shape."""
        out: Tensor = x + self.change(x)
        return out


class Pdam(AdaptationObjective):
    """A CycleGAN makes source volumes look like the target; those train the segmentation network.

    Its fused features and its output probabilities are aligned with those of the target by two
    discriminators behind gradient reversal. The published method segments instances and has a third
    discriminator for those, which semantic segmentation has not.
    """

    def partners(self, network: nn.Module) -> dict[str, nn.Module]:
        """Two translators with their judges, and the judges of features and outputs."""
        config = self.config
        classes = self._classes(network)
        return {
            "to_target": Translator(config.judge_width),
            "to_source": Translator(config.judge_width),
            "judge_target": PatchDiscriminator(width=config.judge_width),
            "judge_source": PatchDiscriminator(width=config.judge_width),
            "judge_features": feature_judge(network, config),
            "judge_outputs": PatchDiscriminator(width=config.judge_width, inputs=classes),
        }

    def phases(self, generator: torch.Generator) -> Iterator[Phase]:
        """Segmentation, then the translators, then their judges, all on the same volumes."""
        self.network.begin_step([])
        source, labels = self.labelled(generator)
        translated = self._translated(source, self.unlabelled(generator))
        loss = torch.stack(list(self._segmentation_terms(translated, labels).values())).sum()
        yield Phase(loss, self.network.trained("judge_features", "judge_outputs"), self.where)
        loss = torch.stack(list(self._translation_terms(translated).values())).sum()
        parts = self.network.other("to_target"), self.network.other("to_source")
        yield Phase(loss, [p for part in parts for p in part.parameters()], self.where)
        parts = self.network.other("judge_target"), self.network.other("judge_source")
        yield Phase(self._judges(translated), [p for part in parts for p in part.parameters()], self.where)

    def terms(self, generator: torch.Generator) -> Terms:
        """All losses but those of the judges of volumes."""
        source, labels = self.labelled(generator)
        translated = self._translated(source, self.unlabelled(generator))
        return self._segmentation_terms(translated, labels) | self._translation_terms(translated)

    def _translated(self, source: Tensor, target: Tensor) -> Translated:
        to_target, to_source = self.network.other("to_target"), self.network.other("to_source")
        like_target, like_source = to_target(source), to_source(target)
        again = to_source(like_target), to_target(like_source)
        return Translated(source, target, like_target, like_source, *again)

    def _segmentation_terms(self, translated: Translated, labels: Tensor) -> Terms:
        """L_seg on translated source volumes, and how far both judges tell the domains apart."""
        count, weight = len(labels), self.adversarial
        both = torch.cat([translated.like_target.detach(), translated.target])
        fused = self.student.fused(self.student.taps(self.on_device(both)))
        source, target = fused.tensor_split([count])
        outputs = self.student.classified(fused).float().softmax(1).tensor_split([count])
        judges = self.network.other("judge_features"), self.network.other("judge_outputs")
        features = reversed_domain_loss(judges[0], source, target, self.progress)
        said = reversed_domain_loss(judges[1], outputs[0], outputs[1], self.progress)
        return {
            "segmentation": self.supervised(source, labels),
            "domains": weight * features,
            "outputs": weight * said,
        }

    def _translation_terms(self, translated: Translated) -> Terms:
        """What translators are trained on: to be taken for the other domain, and to be undone."""
        cycle = F.l1_loss(translated.source_again, translated.source)
        cycle = cycle + F.l1_loss(translated.target_again, translated.target)
        taken = generator_loss(self.network.other("judge_target")(translated.like_target))
        taken = taken + generator_loss(self.network.other("judge_source")(translated.like_source))
        return {"translation": taken, "cycle": self.config.cycle * cycle}

    def _judges(self, translated: Translated) -> Tensor:
        """Loss of the judges that tell real volumes of a domain from translated ones."""
        target, source = self.network.other("judge_target"), self.network.other("judge_source")
        return discriminator_loss(
            target(translated.target), target(translated.like_target.detach())
        ) + discriminator_loss(source(translated.source), source(translated.like_source.detach()))

    @staticmethod
    def _classes(network: nn.Module) -> int:
        segmenter: Segmenter = network  # type: ignore[assignment]
        return segmenter.classes
