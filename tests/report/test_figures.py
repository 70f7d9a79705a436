"""Figures that are on no report of a run."""

import numpy as np

from vitreous.report import figures
from vitreous.report.panels import LARGEST_SIDE, ringed


def test_dots_name_every_method_and_group_and_are_reproducible():
    groups = {"case a": {"gaussian": [25.0, 26.0], "$own$": [30.0]}, "case b": {"median": [24.0]}}
    svg = figures.dots_svg(groups, "psnr")
    assert svg == figures.dots_svg(groups, "psnr")
    for word in ("gaussian", "median", "case a", "case b", "psnr"):
        assert f">{word}<" in svg


def test_scores_are_counted_on_either_side_of_a_threshold():
    edges = np.linspace(0, 8, 5)
    svg = figures.scores_svg(
        edges, {"all maxima": np.array([9, 4, 0, 2]), "picks": np.array([0, 0, 0, 2])}, 5.0
    )
    for word in ("all maxima", "picks", "threshold", "score"):
        assert f">{word}<" in svg


def test_rings_are_where_the_picks_are():
    colour = (240, 180, 50)
    picture = ringed(
        np.zeros((100, 60), np.uint8), np.array([[30.0, 20.0], [99.0, 0.0]]), np.array([10.0, 5.0]), colour
    )
    scale = LARGEST_SIDE // 100
    assert picture.shape == (100 * scale, 60 * scale, 3)
    y, x = np.nonzero((picture == colour).all(axis=2))
    y, x = (y + 0.5) / scale - 0.5, (x + 0.5) / scale - 0.5  # in voxels
    away = np.minimum(np.abs(np.hypot(y - 30, x - 20) - 10), np.abs(np.hypot(y - 99, x) - 5))
    assert away.max() < 0.3  # thin, and nothing else is coloured
    first = np.hypot(y - 30, x - 20) < 11
    assert abs(y[first].mean() - 30) < 0.2
    assert abs(x[first].mean() - 20) < 0.2
    assert (~first).sum() > 10  # the one that is cut by the corner
