"""Vox-UDA: noise like the target's, consistent features, and pseudo-labels of denoised volumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from vitreous.filters import variance_removed
from vitreous.fourier import NoiseGenerator
from vitreous.losses import feature_consistency, kept_cross_entropy
from vitreous.methods.adaptation.denoising import FILTERS, by_noise_model, recorrupted_loss
from vitreous.methods.adaptation.domains import feature_judge, reversed_domain_loss, told_apart
from vitreous.methods.adaptation.noise import (
    generated_noise,
    missing_variance,
    noise_variance,
    sampled_spectrum,
)
from vitreous.methods.adaptation.objective import AdaptationObjective, Terms
from vitreous.methods.warm_start import WarmConfig
from vitreous.training import Phase
from vitreous.training.samples import standardized

SPECTRUM_SAMPLES = 128
MOST_KEPT, LEAST_KEPT = 0.999, 0.001


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """What a teacher says of a batch: labels (n, z, y, x) int64, and where it is sure enough (bool)."""

    labels: Tensor
    kept: Tensor

    @classmethod
    def of(cls, logits: Tensor, threshold: float) -> PseudoLabels:
        """The most probable class of logits (n, classes, z, y, x), kept where its probability ≥ η.

        Examples
        --------
        >>> logits = torch.tensor([[0.0, 0.0], [1.0, 2.0]]).reshape(1, 2, 1, 1, 2)  # 73 % and 88 %
        >>> found = PseudoLabels.of(logits, 0.85)
        >>> found.labels.flatten().tolist(), found.kept.flatten().tolist()
        ([1, 1], [False, True])
        """
        sure, labels = logits.float().softmax(1).max(1)
        return cls(labels, sure >= threshold)

    @property
    def kept_share(self) -> float:
        """Share of the voxels that are kept."""
        return float(self.kept.float().mean())

    @property
    def object_share(self) -> float:
        """Share of the kept voxels that are no background; 0 if none is kept."""
        kept = self.labels[self.kept]
        return float((kept > 0).float().mean()) if kept.numel() else 0.0


class VoxUda(AdaptationObjective):
    """L_seg + L_con + L_dis, and pseudo-labels after a third of the steps (vox-uda eq. 1).

    Both the source volumes and their noisier copies are segmented, and judged if there is a discriminator.
    The teacher follows the student, and labels volumes of the target that were denoised and standardized
    again; the student has to agree on the volumes as they are.
    """

    momenta = ("momentum",)
    usual_adversarial = 0.0

    def partners(self, network: nn.Module) -> dict[str, nn.Module]:
        """The discriminator, and the denoiser if it is a network."""
        others: dict[str, nn.Module] = {}
        if self.adversarial:
            others["judge"] = feature_judge(network, self.config)
        if self.config.denoiser == "noise-model" and self.config.pseudo_labels:
            others["denoiser"] = WarmConfig().build_unet(0)
        return others

    def phases(self, generator: torch.Generator) -> Iterator[Phase]:
        """Student and discriminator, then the denoiser."""
        self.network.begin_step([self.config.momentum])
        loss = torch.stack(list(self.terms(generator).values())).sum()
        judges = [name for name in self.network.others if name != "denoiser"]
        yield Phase(loss, self.network.trained(*judges), self.where)
        if "denoiser" in self.network.others:
            denoiser = self.network.other("denoiser")
            loss = recorrupted_loss(denoiser, self.unlabelled(generator), self.noise_like, generator)
            yield Phase(loss, list(denoiser.parameters()), self.where)

    def terms(self, generator: torch.Generator) -> Terms:
        """All losses of the student and of its discriminator."""
        return self._looked_at(generator, at_target=self.adapting)[0]

    def monitored(self, generator: torch.Generator) -> tuple[Mapping[str, float], str]:
        """Each term, and how the discriminator, the denoiser and the pseudo-labels stand.

        `told_apart` is the share of the discriminator's logits that are right, `variance_removed` what
        the denoiser takes off, `kept_share` that of the pseudo-labels and `kept_objects` the part of
        those that is no background.
        """
        terms, source, seen, target = self._looked_at(generator, at_target=True)
        figures = {name: float(term) for name, term in terms.items()}
        if self.adversarial:
            figures["told_apart"] = told_apart(self.network.other("judge"), source, seen)
        if self.config.pseudo_labels:
            denoised = self.denoised(target, generator)
            found = self.pseudo_labels(denoised)
            figures["variance_removed"] = variance_removed(target, denoised)
            figures["kept_share"], figures["kept_objects"] = found.kept_share, found.object_share
        return figures, ""

    @property
    def labelling(self) -> bool:
        """Whether pseudo-labels are in use by now."""
        return self.config.pseudo_labels > 0 and self.progress >= self.config.pseudo_from

    @property
    def adapting(self) -> bool:
        """Whether any loss looks at the target by now."""
        return self.adversarial > 0 or self.labelling

    def _looked_at(
        self, generator: torch.Generator, *, at_target: bool
    ) -> tuple[Terms, Tensor, Tensor, Tensor]:
        """The losses, fused features of the source's volumes and of the target's, and the latter.

        There are none of the target if nobody looks at it.
        """
        values, labels = self.labelled(generator)
        target = self.unlabelled(generator) if at_target else values[:0]
        count = len(values)
        noised = self.noised(values, generator)
        taps = self.student.taps(torch.cat([values, *noised, target]))
        copies = 1 + len(noised)
        source, seen = torch.split(self.student.fused(taps), [count * copies, len(target)])
        terms = {"segmentation": self.supervised(source, labels.repeat(copies, 1, 1, 1))}
        if self.adversarial:
            judged = reversed_domain_loss(self.network.other("judge"), source, seen, self.progress)
            terms["domains"] = self.adversarial * judged
        if noised:
            clean, noisy = (tuple(tap[part * count :][:count] for tap in taps) for part in (0, 1))
            terms["consistency"] = feature_consistency(clean, noisy, self.config.consistency)
        if self.labelling:
            found = self.pseudo_labels(self.denoised(target, generator))
            kept = found.kept if self.class_weights is None else found.kept * self.class_weights[found.labels]
            agreement = kept_cross_entropy(self.student.classified(seen), found.labels, kept)
            terms["pseudo_labels"] = self.config.pseudo_labels * agreement
        return terms, source, seen, target

    def noised(self, values: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Source volumes (n, 1, z, y, x) with noise like the target's (vox-uda eqs 2 to 6, and 15).

        None if there is no noise to add.
        """
        config = self.config
        if config.noise == "none":
            return []
        kind = config.passed_share, config.passed_part, config.noise_level
        level = noise_variance(self.unlabelled(generator, config.noise_samples), *kind)
        missing = config.noise_amount == "missing"
        variance = missing_variance(self.source_noise, level) if missing else level
        if variance == 0:
            return []
        if config.noise == "spectrum":
            drawn = self.noise_like.draw(generator, len(values))[:, None].to(values.device)
            noised = values + (variance / level) ** 0.5 * drawn
        else:
            noised = values + generated_noise(values, variance, config.noise, generator)
        return [standardized(noised) if missing else noised]

    @cached_property
    def source_noise(self) -> float:
        """Share of the variance of the source's volumes that is noise, read once, before any is scaled.

        Scaling changes what is high frequency: of enlarged volumes next to no noise would be read.
        """
        config = self.config
        values, _ = self.source.original.draw(SPECTRUM_SAMPLES, torch.Generator().manual_seed(0))
        return noise_variance(values, config.passed_share, config.passed_part, config.noise_level)

    @cached_property
    def noise_like(self) -> NoiseGenerator:
        """Noise with the spectrum of the target's, read once from the same volumes in every process."""
        sampled = self.unlabelled(torch.Generator().manual_seed(0), SPECTRUM_SAMPLES)
        return NoiseGenerator(sampled_spectrum(sampled), sampled.shape[-3:])

    def denoised(self, target: Tensor, generator: torch.Generator) -> Tensor:
        """Volumes of the target (n, 1, z, y, x) as the denoiser leaves them."""
        if self.config.denoiser == "noise-model":
            return by_noise_model(self.network.other("denoiser"), target, self.noise_like, generator)
        return FILTERS[self.config.denoiser](target, self.config)

    @torch.no_grad()
    def pseudo_labels(self, denoised: Tensor) -> PseudoLabels:
        """The teacher's labels of denoised volumes (n, 1, z, y, x), standardized as it has learned them."""
        logits = self.network.segmenter(0)(self.on_device(standardized(denoised)))
        return PseudoLabels.of(logits, self.config.threshold)


def pseudo_label_warnings(monitored: Iterable[tuple[int, Mapping[str, float]]]) -> list[str]:
    """What was wrong with the pseudo-labels of a training, in words, from `TrainingRecord.monitored`.

    Only steps at which they were in use count. It is no reason to roll back: with all voxels kept, or
    none, a training goes on as one without them.

    Examples
    --------
    >>> pseudo_label_warnings([(10, {"pseudo_labels": 0.0, "kept_share": 0.0, "kept_objects": 0.0})])
    ['no pseudo-label was sure enough to be kept: a lower threshold would keep some']
    """
    used = [figures for _, figures in monitored if "pseudo_labels" in figures]
    if not used:
        return []
    last, found = used[-1], []
    if last["kept_share"] < LEAST_KEPT:
        found.append("no pseudo-label was sure enough to be kept: a lower threshold would keep some")
    elif last["kept_objects"] < LEAST_KEPT:
        found.append("all pseudo-labels that were kept are background: the teacher sees no object")
    if last["kept_share"] > MOST_KEPT:
        found.append("all pseudo-labels were kept: a higher threshold would choose among them")
    return found
