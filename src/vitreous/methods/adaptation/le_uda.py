"""LE-UDA: two moving averages teach consistency within a domain and across them (le-uda), in 3-D."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from vitreous.fourier import with_amplitude_of
from vitreous.methods.adaptation.domains import feature_judge, reversed_domain_loss
from vitreous.methods.adaptation.objective import AdaptationObjective, Terms

NOISE = 0.1  # deviation of what is added to standardized volumes, for student and teacher apart
MOST_NOISE = 0.2


class LeUda(AdaptationObjective):
    """Supervised on the source; teachers for the target as it is, and for it in the source's appearance.

    The faster teacher is that within the target: it sees the same volumes under another small noise, and
    the student's probabilities have to agree with it. The slower one teaches across the domains: it sees
    the volumes with the source's amplitudes at low frequency, which it knows from the labels, and its
    softened probabilities are distilled into the student. A discriminator of fused features behind
    gradient reversal aligns the domains. The published method is given a quarter of the labels; this
    reduction has all of them, as the comparison in vox-uda has.
    """

    momenta = ("momentum", "slow_momentum")

    def partners(self, network: torch.nn.Module) -> dict[str, torch.nn.Module]:
        """The discriminator."""
        return {"judge": feature_judge(network, self.config)}

    def terms(self, generator: torch.Generator) -> Terms:
        """L_seg, L_dis, consistency and distillation."""
        config = self.config
        values, labels = self.labelled(generator)
        target = self.unlabelled(generator)
        seen, other = (target + self._small_noise(target, generator) for _ in range(2))
        both = self.on_device(torch.cat([values, seen]))
        fused = self.student.fused(self.student.taps(both))
        source, adapted = fused.tensor_split([len(values)])
        logits = self.student.classified(adapted).float()
        like_source = self.on_device(with_amplitude_of(target, values, config.swapped_share))
        across = self.network.chances(like_source, 1, config.temperature)
        softened = (logits / config.temperature).log_softmax(1)
        distilled = F.kl_div(softened, across, reduction="none").sum(1).mean() * config.temperature**2
        within = F.mse_loss(logits.softmax(1), self.network.chances(other, 0))
        judged = reversed_domain_loss(self.network.other("judge"), source, adapted, self.progress)
        return {
            "segmentation": self.supervised(source, labels),
            "domains": self.adversarial * judged,
            "within": config.agreement * self.ramp * within,
            "across": config.distillation * self.ramp * distilled,
        }

    @staticmethod
    def _small_noise(target: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        noise = NOISE * torch.randn(target.shape, generator=generator)
        return noise.clamp(-MOST_NOISE, MOST_NOISE).to(target.device)
