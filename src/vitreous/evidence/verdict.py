"""From scores of picks and decoys to a verdict in words, with a stated rate of error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from scipy.stats import mannwhitneyu, wilcoxon

from vitreous.evidence.detail import DetailEvidence

FOUND, NOT_FOUND, UNCLEAR = "found", "not found", "not enough evidence"
FEWEST_ELSEWHERE = 8  # random places: with fewer there is no telling what chance does
RESAMPLED = 4999  # at the least, and enough that chance alone can be below the level
RESAMPLING_SEED = 9
TINY = 1e-12

Real = NDArray[np.float64]


class VerdictConfig(BaseModel):
    """When to say "found".

    `level` is the chance of one wrong "found" in the whole list of structures: it is shared out among them
    (Bonferroni). `fewest`: with fewer picks nothing is found, whatever they look like, nor with so few that
    not even perfect ones are as unlikely as the level. `weak_level`: what is not even as unlikely as that is
    no evidence at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(0.01, gt=0, lt=0.5)
    weak_level: float = Field(0.05, gt=0, lt=0.5)
    fewest: PositiveInt = 6
    most_of_noise: float = Field(0.05, gt=0, lt=0.5)


@dataclass(frozen=True, eq=False)
class PickScores:
    """How well particles align, the higher the better; every score from the same search, `against_chance`.

    Parameters
    ----------
    structure
        (n,) picks, aligned to the structure.
    decoys
        The same picks, aligned to what is not the structure: name → (n,).
    elsewhere
        (m,) random places of the tomogram, aligned to the structure.
    decoys_elsewhere
        The same places, aligned to each decoy: name → (m,). Where they are known, the test against the decoy
        takes into account that chance is known from so many places only.
    """

    structure: Real
    decoys: Mapping[str, Real] = field(default_factory=dict)
    elsewhere: Real = field(default_factory=lambda: np.zeros(0))
    decoys_elsewhere: Mapping[str, Real] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(len(scores) != len(self.structure) for scores in self.decoys.values()):
            raise ValueError("every decoy needs a score for every pick")
        if any(len(scores) != len(self.elsewhere) for scores in self.decoys_elsewhere.values()):
            raise ValueError("every decoy needs a score for every random place")


def against_chance(scores: Real, elsewhere: Real) -> Real:
    """Scores of one template in deviations from those that it has at random places, (n,).

    Simple templates fit anything rather well: without this a small complex or a gold bead outdoes the very
    structure that is there. Fewer than `FEWEST_ELSEWHERE` places say too little: scores stay what they are.

    Examples
    --------
    >>> against_chance(np.array([3.0]), np.array([0.0, 2.0] * 4)).tolist()
    [2.0]
    """
    if len(elsewhere) < FEWEST_ELSEWHERE or not elsewhere.std():
        return scores
    standardized: Real = (scores - elsewhere.mean()) / elsewhere.std()
    return standardized


@dataclass(frozen=True)
class Verdict:
    """What can be said of one class.

    Parameters
    ----------
    outcome
        FOUND, NOT_FOUND or UNCLEAR.
    picks
        How many there were.
    above_noise
        About how many of them align better than random places do.
    p_noise
        That picks align no better than random places (Mann-Whitney, one-sided).
    p_decoy
        That they align to the structure no better than to the decoy that does best (`decoy_test`).
    shares
        Share of the picks that align better to the structure than to each decoy.
    rival
        The decoy that does best; "" without one.
    reasons
        Sentences.
    """

    outcome: str
    picks: int
    above_noise: int
    p_noise: float
    p_decoy: float
    shares: Mapping[str, float]
    rival: str
    reasons: tuple[str, ...]


def judge_class(
    scores: PickScores,
    config: VerdictConfig | None = None,
    *,
    structures: int = 1,
    detail: DetailEvidence | None = None,
    doubts: Sequence[str] = (),
) -> Verdict:
    """Judge one class of picks.

    "Not found" is said where picks are no better than random places, or align better to a decoy while their
    average shows no detail of the structure: a few of it among many others do not outvote them. Where they
    align to a decoy as well, and no better, they may be either. Where there are `doubts` that picking would
    have found it, there is not enough evidence for "not found".

    "Found" takes two things: picks align better than random places, and better to the structure than to
    each single decoy (`decoy_test`). The second is an intersection-union test: no decoy may hold as well, so
    that the test against the best of them has the level of the whole. The scores must come from data whose
    noise had no part in choosing the picks; then noise alone is found in at most `level` of all tomograms.

    Parameters
    ----------
    scores
        Of this class.
    config
        Levels.
    structures
        How many classes are judged in this tomogram.
    detail
        Agreement finer than the template that was searched with, if it was looked at.
    doubts
        Why picks may be missing though the structure is there, sentences.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> right = PickScores(rng.normal(3, 1, 40), {"another": rng.normal(0, 1, 40)}, rng.normal(0, 1, 40))
    >>> judge_class(right).outcome
    'found'
    >>> judge_class(PickScores(rng.normal(0, 1, 40), {}, rng.normal(0, 1, 40))).outcome
    'not found'
    """
    config = config or VerdictConfig()
    count, level = len(scores.structure), config.level / structures
    absent = UNCLEAR if doubts else NOT_FOUND
    if len(scores.elsewhere) < FEWEST_ELSEWHERE:
        why = f"There is no room for random places to compare {count} picks with: nothing can be said."
        return Verdict(UNCLEAR, count, 0, 1.0, 1.0, {}, "", (why, *doubts))
    if not count:
        return Verdict(absent, 0, 0, 1.0, 1.0, {}, "", ("Nothing was picked.", *doubts))
    p_noise, above = against_noise(scores, config)
    shares = {name: share_better(scores.structure, other) for name, other in scores.decoys.items()}
    resampled = max(RESAMPLED, math.ceil(10 / level))
    tests = {name: decoy_test(scores, name, resampled) for name in scores.decoys}
    rival = max(tests, key=lambda name: tests[name], default="")
    p_decoy = tests.get(rival, 1.0)
    fewest = max(config.fewest, math.ceil(-math.log2(level)))  # of signed ranks p is 2^-n at the least
    said = in_words(fewest, level, count, above, p_noise, p_decoy, rival, shares)
    if detail is not None:
        said = (*said, detail_in_words(detail))
    fits_better = bool(rival) and decoy_test(scores, rival, turned=True) <= config.weak_level
    least = 1 / math.comb(count + len(scores.elsewhere), count)  # p of the best picks there could be
    shows_detail = detail is not None and detail.p_value <= config.weak_level
    if p_noise > config.weak_level:
        outcome = absent if least <= config.weak_level else UNCLEAR
    elif count >= fewest and p_noise <= level and p_decoy <= level:
        outcome = FOUND
    elif fits_better and not shows_detail and count >= config.fewest:
        outcome = absent
    else:
        outcome = UNCLEAR
    said = said if outcome == FOUND else (*said, *doubts)
    return Verdict(outcome, count, above, p_noise, p_decoy, shares, rival, said)


def against_noise(scores: PickScores, config: VerdictConfig) -> tuple[float, int]:
    """P value of picks against random places, and about how many picks stand above these."""
    p_value = float(mannwhitneyu(scores.structure, scores.elsewhere, alternative="greater").pvalue)
    limit = np.quantile(scores.elsewhere, 1 - config.most_of_noise)
    beyond = float((scores.structure > limit).mean())
    share = max(0.0, (beyond - config.most_of_noise) / (1 - config.most_of_noise))
    return p_value, round(share * len(scores.structure))


def share_better(first: Real, second: Real) -> float:
    """Share of pairs of which the first is higher, ties counted half."""
    return float(((first > second) + 0.5 * (first == second)).mean())


def decoy_test(scores: PickScores, decoy: str, resampled: int = RESAMPLED, *, turned: bool = False) -> float:
    """One-sided p value that picks fit the structure no better than a decoy, or the reverse if `turned`.

    The larger of two: signed ranks of the pairs, and the share of bootstrap samples, of picks and random
    places together, in which the mean difference is not positive. Ranks alone take what is wrong in the
    means and deviations of chance, which all picks have in common, for evidence from each: of picks that
    fit both alike, eight deviations above chance, two in five were found.

    Examples
    --------
    >>> alike = PickScores(np.arange(9.0), {"other": np.arange(9.0)[::-1]})
    >>> decoy_test(alike, "other") > 0.3
    True
    """
    first, second = scores.structure, scores.decoys[decoy]
    here = (second, first) if turned else (first, second)
    p_ranks = paired_test(*here)
    if decoy not in scores.decoys_elsewhere:
        return p_ranks
    chances = scores.elsewhere, scores.decoys_elsewhere[decoy]
    rng = np.random.default_rng(RESAMPLING_SEED)
    picks = rng.integers(len(first), size=(resampled, len(first)))
    places = rng.integers(len(scores.elsewhere), size=(resampled, len(scores.elsewhere)))
    means = [
        (fits[picks].mean(1) - chance[places].mean(1)) / np.maximum(chance[places].std(1), TINY)
        for fits, chance in zip((first, second), chances, strict=True)
    ]
    ahead = means[1] - means[0] if turned else means[0] - means[1]
    return max(p_ranks, (1 + float((ahead <= 0).sum())) / (1 + resampled))


def paired_test(first: Real, second: Real) -> float:
    """One-sided p value that pairs differ by nothing but chance (Wilcoxon's signed ranks).

    Half of the pairs are higher by chance alone, and by as much as the others are lower: a few that fit far
    better count for more than many that fit hardly worse.

    Examples
    --------
    >>> round(paired_test(np.arange(6.0), np.zeros(6)), 3), paired_test(np.ones(3), np.ones(3))
    (0.031, 1.0)
    """
    difference = first - second
    return float(wilcoxon(difference, alternative="greater").pvalue) if difference.any() else 1.0


def in_words(
    fewest: int,
    level: float,
    count: int,
    above: int,
    p_noise: float,
    p_decoy: float,
    rival: str,
    shares: Mapping[str, float],
) -> tuple[str, ...]:
    """What the tests say, one sentence each."""
    said = []
    if p_noise <= level:
        said.append(f"About {above} of {count} picks align better than random places do (p = {p_noise:.1g}).")
    else:
        said.append(f"The {count} picks align hardly better than random places do (p = {p_noise:.2g}).")
    if rival:
        verb = "better to it than" if p_decoy <= level else "not clearly better to it than"
        share = f"{shares[rival]:.0%} of them do"
        said.append(f"They align {verb} to {rival}, which does best of what it is not: {share}.")
    if count < fewest:
        said.append(f"Fewer than {fewest} picks prove nothing.")
    return tuple(said)


def detail_in_words(detail: DetailEvidence) -> str:
    """What the band beyond the search template says."""
    coarse, fine = detail.band_angstrom
    told = "agrees with" if detail.p_value <= 0.05 else "does not show"
    return (
        f"Between {coarse:.0f} and {fine:.0f} Å, finer than what was searched with, their average {told} the "
        f"structure (correlation {detail.correlation:.2f}, p = {detail.p_value:.2g})."
    )
