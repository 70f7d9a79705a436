"""What the report of an average says of its evidence."""

import pytest

from vitreous.workflows.average.report import believed, evident


def told(reach_deg, halves_from_file):
    settings = {"low_pass_angstrom": 60.0, "template": None, "reach_deg": reach_deg}
    return believed(
        {"evidence_beyond_angstrom": 52.2, "settings": settings, "halves_from_file": halves_from_file}
    )


def test_orientations_refined_elsewhere_may_know_of_both_halves():
    assert "refined with other halves" in told(10.0, halves_from_file=False)


@pytest.mark.parametrize(("reach_deg", "halves_from_file"), [(None, False), (None, True), (10.0, True)])
def test_each_half_has_its_detail_alone(reach_deg, halves_from_file):
    text = told(reach_deg, halves_from_file=halves_from_file)
    assert "Finer detail came from each half alone." in text
    assert "other halves" not in text


@pytest.mark.parametrize(
    ("resolution", "text"),
    [(30.04, "30.0 Å"), (52.2, "none beyond 52 Å"), (80.0, "none beyond 52 Å"), (None, "none beyond 52 Å")],
)
def test_a_resolution_that_is_no_evidence_is_none(resolution, text):
    facts = {"evidence_beyond_angstrom": 52.2, "resolution_angstrom": resolution}
    assert evident(facts, "resolution_angstrom") == text
