"""The game of DUAL's six networks, and the signs that one of its domains has died."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vitreous.fourier import shell_means
from vitreous.losses import (
    code_divergence,
    discriminator_loss,
    feature_distance,
    generator_loss,
    reconstruction_loss,
)
from vitreous.methods.dual.config import DualConfig
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.method import batch_of
from vitreous.training import Patch, PatchSampler, Phase, TrainingVolume

DEAD, WILD = 0.05, 20.0  # variance of fake volumes relative to real ones
RETURNED = 1e-3  # of the variance of densities comes back from their tomograms, however much noise there is
EMPTY = 0.05  # variance, of standardized densities, below which patches of them hold next to nothing
IGNORED, UNLIKE = 0.05, 1.5  # drawn share; spectral distance, of which noise of any colour has 0.5 or less
LOOKS = 4  # batches that a look at the game pools: most patches of a sparse specimen are empty
SHELLS = 16
COMPARED = ("noisy", "clean", "fake_noisy", "fake_clean", "clean_again")


@dataclass(frozen=True, eq=False)
class Round:
    """Real and fake volumes of both domains and their reconstructions, all (batch, 1, z, y, x)."""

    noisy: Tensor
    clean: Tensor
    fake_noisy: Tensor
    fake_clean: Tensor
    noisy_again: Tensor
    clean_again: Tensor
    codes: Tensor


class DualObjective:
    """Dual eqs 1 to 9 on random patches of two unpaired domains, generators and discriminators in turn.

    Patches of tomograms stay as they lie, since flips would turn their missing wedge; those of the
    clean domain are flipped.

    Parameters
    ----------
    network
        What is trained.
    noisy, clean
        Volumes of the two domains; they have nothing to do with each other.
    config
        Settings.
    device
        Where it is trained.
    """

    def __init__(
        self,
        network: DualNetworks,
        noisy: Sequence[TrainingVolume],
        clean: Sequence[TrainingVolume],
        config: DualConfig,
        device: torch.device,
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.noisy = PatchSampler(noisy, config.patch_side)
        self.clean = PatchSampler(clean, config.patch_side)

    def phases(self, generator: torch.Generator) -> Iterator[Phase]:
        """First Dn, Gs, E and Gn, then both discriminators on the same volumes."""
        patches = self._drawn(self.noisy, generator), self._drawn(self.clean, generator)
        where = " and ".join(patch.where for patch in patches[0])
        played = self._played(*patches, generator)
        loss = sum(self.weighted(self.generator_losses(played)).values(), torch.zeros((), device=self.device))
        yield Phase(loss, self.network.generators, where)
        self.network.remember(played.codes)
        yield Phase(self.judges_loss(played), self.network.judges, where)

    def monitored(self, generator: torch.Generator) -> tuple[Mapping[str, float], str]:
        """Losses, and for each domain how fake volumes compare with real ones, on a batch of their own.

        `variance_ratio`: fake over real. `spectral_distance`: mean over frequency shells of
        |log(fake power / real power)|. `drawn_share`: share of a fake tomogram's variance that differs
        between two noise draws for the same density. The clean domain is dead only if densities do not come
        back from their tomograms either: a sparse tomogram has little variance when it is denoised well.
        """
        looks = [self._look(generator) for _ in range(LOOKS)]
        played = looks[0]
        again = self._simulated(played.clean, generator)
        figures = {name: float(value) for name, value in self.generator_losses(played).items()}
        figures["discriminators"] = float(self.judges_loss(played))
        pooled = {name: torch.cat([getattr(look, name) for look in looks]) for name in COMPARED}
        figures |= domain_figures("noisy", pooled["noisy"], pooled["fake_noisy"])
        figures |= domain_figures("clean", pooled["clean"], pooled["fake_clean"])
        difference = 0.5 * (played.fake_noisy - again).float().var() / played.fake_noisy.float().var()
        figures["drawn_share"] = float(difference)
        wrong = (death("noisy", figures["noisy_variance_ratio"]), self._death_of_clean(pooled, figures))
        return figures, " and ".join(filter(None, wrong))

    @staticmethod
    def _death_of_clean(pooled: Mapping[str, Tensor], figures: Mapping[str, float]) -> str:
        """That the clean domain died, in words, or ""; patches without a particle say nothing."""
        if float(pooled["clean"].float().var()) < EMPTY:
            return ""
        ratio, returned = (
            figures["clean_variance_ratio"],
            variance_ratio(pooled["clean"], pooled["clean_again"]),
        )
        return "" if ratio <= DEAD and RETURNED < returned < WILD else death("clean", ratio)

    def generator_losses(self, played: Round) -> dict[str, Tensor]:
        """The losses of Dn, Gs, E and Gn by name, not weighted."""
        network = self.network
        losses = {
            "clean_reconstruction": reconstruction_loss(played.clean, played.clean_again),
            "noisy_reconstruction": reconstruction_loss(played.noisy, played.noisy_again),
            "adversarial": generator_loss(network.judge_noisy(played.fake_noisy))
            + generator_loss(network.judge_clean(played.fake_clean)),
            "divergence": code_divergence(played.codes, network.known_codes),
        }
        if self.config.departure:
            losses["departure"] = network.departure(played.clean)
        if self.config.feature_matching:
            losses["feature_matching"] = feature_distance(
                network.judge_noisy.features(played.noisy), network.judge_noisy.features(played.fake_noisy)
            ) + feature_distance(
                network.judge_clean.features(played.clean), network.judge_clean.features(played.fake_clean)
            )
        return losses

    def weighted(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses times their weights in dual eq. 3."""
        config = self.config
        weights = {
            "clean_reconstruction": config.reconstruction,
            "noisy_reconstruction": config.reconstruction,
            "adversarial": config.adversarial,
            "divergence": config.divergence,
            "feature_matching": config.feature_matching,
            "departure": config.departure,
        }
        terms = dict(losses)
        if config.bounded_divergence:
            terms["divergence"] = terms["divergence"].clamp_min(0).log1p()
        return {name: weights[name] * value for name, value in terms.items()}

    def judges_loss(self, played: Round) -> Tensor:
        """Dual eqs 6 and 7."""
        network = self.network
        return discriminator_loss(
            network.judge_noisy(played.noisy), network.judge_noisy(played.fake_noisy.detach())
        ) + discriminator_loss(
            network.judge_clean(played.clean), network.judge_clean(played.fake_clean.detach())
        )

    def _look(self, generator: torch.Generator) -> Round:
        return self._played(self._drawn(self.noisy, generator), self._drawn(self.clean, generator), generator)

    def _drawn(self, sampler: PatchSampler, generator: torch.Generator) -> list[Patch]:
        return [sampler.draw(generator) for _ in range(self.config.batch)]

    def _played(self, noisy: list[Patch], clean: list[Patch], generator: torch.Generator) -> Round:
        network = self.network
        real_noisy = batch_of([p.values.flip(p.flips) for p in noisy], self.device)
        real_clean = batch_of([p.values for p in clean], self.device)
        fake_noisy = self._simulated(real_clean, generator)
        fake_clean, codes = network.denoiser(real_noisy), network.encoder(real_noisy)
        density = fake_clean if self.config.through_denoiser else fake_clean.detach()
        return Round(
            real_noisy,
            real_clean,
            fake_noisy,
            fake_clean,
            network.tomogram(density, network.mask_of(codes)),
            network.denoiser(fake_noisy),
            codes,
        )

    def _simulated(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        codes = torch.randn((len(clean), self.config.codes), generator=generator).to(self.device)
        return self.network.tomogram(clean, self.network.mask_of(codes, generator))


def domain_figures(domain: str, real: Tensor, fake: Tensor) -> dict[str, float]:
    """How fake volumes of a domain compare with real ones."""
    return {
        f"{domain}_variance_ratio": variance_ratio(real, fake),
        f"{domain}_spectral_distance": spectral_distance(real, fake),
    }


def variance_ratio(real: Tensor, fake: Tensor) -> float:
    """Variance of fake volumes over that of real ones."""
    return float(fake.float().var() / real.float().var().clamp_min(1e-12))


def death(domain: str, ratio: float) -> str:
    """That a domain died, in words, or "".

    Examples
    --------
    >>> death("clean", 0.2), death("clean", 1e-4)
    ('', 'the clean domain died: fake volumes have 0.0001 × the variance of real')
    """
    died = f"the {domain} domain died: fake volumes have {ratio:.2g} × the variance of real"
    return "" if DEAD < ratio < WILD else died


def doubts(figures: Mapping[str, float]) -> list[str]:
    """What is wrong, in sentences, with networks whose domains live; by the figures of `monitored`."""
    texts = []
    if figures["drawn_share"] < IGNORED:
        texts.append(
            f"Another draw of the noise changes {figures['drawn_share']:.1%} of the variance of a simulated "
            "tomogram: the networks hardly use the noise that they are given."
        )
    distance = figures["noisy_spectral_distance"]
    if distance > UNLIKE:
        texts.append(
            f"The spectrum of simulated tomograms is {distance:.1f} (mean |log of the ratio|) from that of "
            "the tomograms: they do not look alike."
        )
    return texts


def spectral_distance(real: Tensor, fake: Tensor) -> float:
    """Mean over frequency shells of |log(power of fake / power of real)|; batches (n, 1, z, y, x).

    Examples
    --------
    >>> noise = torch.randn(4, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> round(spectral_distance(noise, 2 * noise), 2)  # log 4
    1.39
    """
    edges = [i * 0.5 / SHELLS for i in range(1, SHELLS + 1)]  # without the lowest frequencies: too few
    means = []
    for batch in (real, fake):
        power = torch.fft.fftn(batch.float().cpu(), dim=(-3, -2, -1)).abs().square().mean(dim=(0, 1))
        means.append(shell_means(power, edges).clamp_min(1e-12).log())
    return float((means[1] - means[0]).abs().nanmean())
