"""How far to believe what was found: decoys, tests with stated error rates, and verdicts in words."""

from vitreous.evidence.decoys import mirror_image, slab_of
from vitreous.evidence.detail import DetailEvidence, detail_beyond, resolution_in_words
from vitreous.evidence.verdict import (
    FEWEST_ELSEWHERE,
    FOUND,
    NOT_FOUND,
    UNCLEAR,
    PickScores,
    Verdict,
    VerdictConfig,
    against_chance,
    decoy_test,
    judge_class,
    share_better,
)

__all__ = [
    "FEWEST_ELSEWHERE",
    "FOUND",
    "NOT_FOUND",
    "UNCLEAR",
    "DetailEvidence",
    "PickScores",
    "Verdict",
    "VerdictConfig",
    "against_chance",
    "decoy_test",
    "detail_beyond",
    "judge_class",
    "mirror_image",
    "resolution_in_words",
    "share_better",
    "slab_of",
]
