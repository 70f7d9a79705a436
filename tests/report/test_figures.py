"""Figures that are on no report of a run."""

from vitreous.report import figures


def test_dots_name_every_method_and_group_and_are_reproducible():
    groups = {"case a": {"gaussian": [25.0, 26.0], "$own$": [30.0]}, "case b": {"median": [24.0]}}
    svg = figures.dots_svg(groups, "psnr")
    assert svg == figures.dots_svg(groups, "psnr")
    for word in ("gaussian", "median", "case a", "case b", "psnr"):
        assert f">{word}<" in svg
