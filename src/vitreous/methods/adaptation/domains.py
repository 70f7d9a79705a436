"""A domain discriminator behind gradient reversal (dann), for whichever objective wants one."""

from __future__ import annotations

from math import exp
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.losses import discriminator_loss
from vitreous.methods.adaptation.config import AdaptationConfig
from vitreous.methods.adaptation.networks import Segmenter
from vitreous.methods.adaptation.objective import AdaptationObjective, Terms
from vitreous.networks import PatchDiscriminator, gradient_reversed

STEEPNESS = 10


def reversal_strength(progress: float) -> float:
    """2 / (1 + exp(-10 p)) - 1 for the share p of the training that is done (dann, section 5.2.2).

    Examples
    --------
    >>> [round(reversal_strength(p), 3) for p in (0, 0.1, 1)]
    [0.0, 0.462, 1.0]
    """
    return 2 / (1 + exp(-STEEPNESS * progress)) - 1


def feature_judge(network: nn.Module, config: AdaptationConfig) -> PatchDiscriminator:
    """A discriminator of a segmentation network's fused features."""
    channels = cast(Segmenter, network).fused_channels
    return PatchDiscriminator(width=config.judge_width, inputs=channels)


def reversed_domain_loss(judge: nn.Module, source: Tensor, target: Tensor, progress: float) -> Tensor:
    """The judge's loss in telling the domains apart; the features follow its gradient upwards.

    Parameters
    ----------
    judge
        Of features (n, channels, z, y, x); positive means source.
    source, target
        Fused features of either domain.
    progress
        Share of the training that is done.
    """
    strength = reversal_strength(progress)
    logits = [judge(gradient_reversed(directions(features), strength)) for features in (source, target)]
    return discriminator_loss(*logits)


def directions(features: Tensor) -> Tensor:
    """Features (n, channels, z, y, x) of unit mean square at each voxel.

    What is judged has to be bounded: the judge's loss, which the features follow upwards, has no
    bound, and in trials they grew a thousandfold to raise it.
    """
    scale: float = features.shape[1] ** 0.5
    return scale * F.normalize(features.float(), dim=1)


@torch.no_grad()
def told_apart(judge: nn.Module, source: Tensor, target: Tensor) -> float:
    """Share of a judge's logits that are right; half of them if it sees no difference."""
    right = [
        (judge(directions(source)) > 0).float().mean(),
        (judge(directions(target)) <= 0).float().mean(),
    ]
    return float(torch.stack(right).mean())


class Dann(AdaptationObjective):
    """The supervised loss, and one discriminator of the domains behind gradient reversal (dann)."""

    def partners(self, network: nn.Module) -> dict[str, nn.Module]:
        """The discriminator."""
        return {"judge": feature_judge(network, self.config)}

    def terms(self, generator: torch.Generator) -> Terms:
        """L_seg and L_dis."""
        values, labels = self.labelled(generator)
        both = torch.cat([values, self.unlabelled(generator)])
        source, target = self.student.fused(self.student.taps(both)).tensor_split([len(values)])
        domains = reversed_domain_loss(self.network.other("judge"), source, target, self.progress)
        return {
            "segmentation": self.supervised(source, labels),
            "domains": self.config.adversarial * domains,
        }
