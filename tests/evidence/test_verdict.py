"""Verdicts: their rate of error, and what they say of typical cases."""

import numpy as np
import pytest

from vitreous.evidence import (
    FOUND,
    NOT_FOUND,
    UNCLEAR,
    DetailEvidence,
    PickScores,
    VerdictConfig,
    against_chance,
    judge_class,
)
from vitreous.evidence.verdict import decoy_test, paired_test

TRIALS = 2000


def drawn(rng, picks=30, elsewhere=40, true=0.0, rivals=(0.0, 0.0)):
    """Scores whose part that the particle itself has is shared by all templates, as in one box of noise."""
    shared = rng.normal(size=picks)
    decoys = {f"decoy {i}": shared + rng.normal(size=picks) + shift for i, shift in enumerate(rivals)}
    return PickScores(
        shared + rng.normal(size=picks) + true, decoys, rng.normal(0, np.sqrt(2), size=elsewhere)
    )


def found_share(trials, config=None, **settings):
    rng = np.random.default_rng(1)
    outcomes = [judge_class(drawn(rng, **settings), config).outcome for _ in range(trials)]
    return np.mean([outcome == FOUND for outcome in outcomes])


def test_noise_is_found_no_more_often_than_the_level_says():
    config = VerdictConfig(level=0.05)
    # Both tests must reject, so the rate lies far below the level of one of them.
    assert found_share(TRIALS, config) <= 0.05
    assert found_share(TRIALS, config, rivals=()) == 0  # without a decoy nothing is found


def test_another_structure_is_found_no_more_often_than_the_level_says():
    """Particles that stand out but are one of the decoys: the paired test alone stands in the way."""
    level = 0.05
    share = found_share(TRIALS, VerdictConfig(level=level), true=2.0, rivals=(0.0, 2.0))
    assert share <= level + 3 * np.sqrt(level * (1 - level) / TRIALS)  # three standard errors


def test_a_test_against_a_decoy_of_ones_choice_would_find_too_much():
    """The deliberately wrong variant: to do better than the worst decoy proves nothing."""
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(200):
        scores = drawn(rng, true=2.0, rivals=(0.0, 2.0))
        wrong += min(paired_test(scores.structure, d) for d in scores.decoys.values()) < 0.05
    assert wrong / 200 > 0.9


def test_true_particles_are_found():
    assert found_share(200, true=2.5) > 0.95


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({"picks": 0}, NOT_FOUND),
        ({"picks": 60, "true": 3.0, "rivals": (0.0, 3.8)}, NOT_FOUND),  # a decoy fits better
        ({"picks": 30, "true": 3.0, "rivals": (2.9,)}, UNCLEAR),  # look-alikes
        ({"picks": 4, "true": 6.0}, UNCLEAR),
    ],
)
def test_typical_cases(settings, outcome):
    verdict = judge_class(drawn(np.random.default_rng(8), **settings))
    assert verdict.outcome == outcome
    assert verdict.reasons
    assert all(reason.endswith(".") for reason in verdict.reasons)


def test_a_few_among_many_others_are_not_called_absent():
    """Twelve of it among thirty that are a decoy: only the average's detail tells that they are there."""
    rng = np.random.default_rng(9)
    its, others = rng.normal(4, 1, 12), rng.normal(2, 1, 30)
    decoy = np.concatenate([rng.normal(2, 1, 12), rng.normal(4, 1, 30)])
    scores = PickScores(np.concatenate([its, others]), {"another": decoy}, rng.normal(0, 1, 60))
    assert judge_class(scores).outcome == NOT_FOUND
    bare, shown = (DetailEvidence(0.5, p, (52.0, 40.0)) for p in (0.4, 0.005))
    assert judge_class(scores, detail=bare).outcome == NOT_FOUND
    assert judge_class(scores, detail=shown).outcome == UNCLEAR


def test_what_fits_a_look_alike_as_well_may_be_either():
    """Scores of both are alike: nothing says that the structure is not there."""
    rng = np.random.default_rng(11)
    true = rng.normal(4, 1, 30)
    scores = PickScores(true, {"alike": true + rng.normal(0, 0.5, 30)}, rng.normal(0, 1, 40))
    assert judge_class(scores).outcome == UNCLEAR
    better = PickScores(true, {"alike": true + rng.normal(0.6, 0.5, 30)}, rng.normal(0, 1, 40))
    assert judge_class(better).outcome == NOT_FOUND


@pytest.mark.parametrize(("picks", "fit"), [(20, 2.0), (20, 8.0), (80, 2.0), (80, 8.0)])
def test_what_fits_both_alike_is_found_no_more_often_than_said_though_chance_is_estimated(picks, fit):
    """Scores in deviations from 40 random places: their error is the same for all picks of a tomogram."""
    rng, level, found, ranks = np.random.default_rng(3), 0.05, 0, 0
    trials = 300
    for _ in range(trials):
        templates = []
        for _ in range(2):
            chance, here = rng.normal(size=40), fit + rng.normal(size=picks)
            templates.append((against_chance(here, chance), against_chance(chance, chance)))
        (first, elsewhere), (second, other) = templates
        scores = PickScores(first, {"alike": second}, elsewhere, {"alike": other})
        found += decoy_test(scores, "alike") <= level
        ranks += paired_test(first, second) <= level
    assert found / trials <= level + 3 * np.sqrt(level * (1 - level) / trials)  # three standard errors
    if fit == 8.0:
        assert ranks / trials > 3 * level  # the test that takes chance for known


def test_too_few_picks_for_the_level_are_said_to_be():
    """Of signed ranks p is 2^-n at the least: six perfect picks are not as unlikely as 0.01."""
    rng = np.random.default_rng(4)
    six, seven = (
        judge_class(PickScores(rng.normal(9, 1, n), {"other": rng.normal(0, 1, n)}, rng.normal(0, 1, 40)))
        for n in (6, 7)
    )
    assert (six.outcome, seven.outcome) == (UNCLEAR, FOUND)
    assert "Fewer than 7 picks prove nothing." in six.reasons


def test_many_structures_share_the_level():
    rng = np.random.default_rng(5)
    scores = drawn(rng, picks=14, true=1.6)
    alone, among = (judge_class(scores, structures=count).outcome for count in (1, 10_000))
    assert alone == FOUND
    assert among != FOUND


def test_about_how_many_stand_above_noise():
    rng = np.random.default_rng(6)
    mixed = np.concatenate([rng.normal(6, 1, 60), rng.normal(0, 1, 40)])
    verdict = judge_class(PickScores(mixed, {}, rng.normal(0, 1, 4000)))
    assert abs(verdict.above_noise - 60) <= 5  # 40 · 5 % of the noise are beyond the limit, give or take two


def test_a_decoy_without_a_score_for_every_pick_is_refused():
    with pytest.raises(ValueError, match="every pick"):
        PickScores(np.zeros(3), {"decoy": np.zeros(2)})


def test_a_template_that_fits_anything_is_no_rival():
    """A bead that scores 0.2 anywhere, against a complex with 0.15 in noise and 0.25 where it is."""
    rng = np.random.default_rng(8)
    places = {"self": rng.normal(0.15, 0.03, 40), "bead": rng.normal(0.24, 0.03, 40)}
    picks = {"self": rng.normal(0.25, 0.03, 30), "bead": rng.normal(0.25, 0.03, 30)}
    raw = judge_class(PickScores(picks["self"], {"bead": picks["bead"]}, places["self"]))
    fair = {name: against_chance(picks[name], places[name]) for name in picks}
    by_chance = against_chance(places["self"], places["self"])
    judged = judge_class(PickScores(fair["self"], {"bead": fair["bead"]}, by_chance))
    assert raw.outcome != FOUND
    assert judged.outcome == FOUND
    # Chance is standardized by itself; too few places, or none that differ, change nothing.
    assert by_chance.mean() == pytest.approx(0, abs=1e-12)
    assert by_chance.std() == pytest.approx(1)
    np.testing.assert_array_equal(against_chance(picks["self"], places["self"][:3]), picks["self"])
    np.testing.assert_array_equal(against_chance(picks["self"], np.ones(9)), picks["self"])


def test_without_places_to_compare_with_nothing_is_said_to_be_missing():
    rng = np.random.default_rng(0)
    crowded = PickScores(rng.normal(10, 1, 40), {"another": rng.normal(0, 1, 40)}, rng.normal(0, 1, 7))
    verdict = judge_class(crowded)
    assert verdict.outcome == UNCLEAR
    assert "no room for random places" in verdict.reasons[0]
    nothing = judge_class(PickScores(np.zeros(0), {}, rng.normal(0, 1, 7)))
    assert nothing.outcome == UNCLEAR


def test_where_picks_may_have_been_missed_nothing_is_absent():
    """Neither without picks, nor with some that are noise or another structure; what is found stays found."""
    rng, doubt = np.random.default_rng(3), "The network is new."
    cases = [drawn(rng, picks=0), drawn(rng, picks=60), drawn(rng, picks=60, true=3.0, rivals=(0.0, 3.8))]
    assert {judge_class(scores).outcome for scores in cases} == {NOT_FOUND}
    doubted = [judge_class(scores, doubts=(doubt,)) for scores in cases]
    assert {verdict.outcome for verdict in doubted} == {UNCLEAR}
    assert all(verdict.reasons[-1] == doubt for verdict in doubted)
    found = judge_class(drawn(rng, picks=60, true=4.0), doubts=(doubt,))
    assert found.outcome == FOUND
    assert doubt not in found.reasons


def test_perfect_picks_are_found_among_any_number_of_structures():
    """Resampling has to be able to say less than the level, which is shared out among them."""
    rng = np.random.default_rng(0)
    scores = PickScores(
        rng.normal(30, 1, 60), {"d": rng.normal(0, 1, 60)}, rng.normal(size=60), {"d": rng.normal(size=60)}
    )
    assert judge_class(scores, structures=120).outcome == FOUND


def test_one_pick_among_few_places_is_not_called_absent():
    """The best of thirteen is one by chance in thirteen: no test can say more."""
    elsewhere = np.random.default_rng(0).normal(size=12)
    assert judge_class(PickScores(np.array([50.0]), {}, elsewhere)).outcome == UNCLEAR
    assert judge_class(PickScores(np.full(8, -3.0), {}, elsewhere)).outcome == NOT_FOUND
