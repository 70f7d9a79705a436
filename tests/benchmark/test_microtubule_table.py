"""The table of the real microtubule: its rows, its two halves, and picks against the supplied positions."""

from pathlib import Path

import pytest

from vitreous.benchmark import microtubule as table
from vitreous.core import InputError, SilentProgress

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def test_rows_are_methods_and_then_picks():
    rows = [row.key for row in table.microtubule_rows(Path("data"), (1, 2), SilentProgress())]
    assert rows[:4] == [{"method": m, "seed": s} for m in table.METHODS for s in (1, 2)]
    assert rows[4:] == [{"picks": "tomogram"}, *({"picks": "noise-model", "seed": s} for s in (1, 2))]
    with pytest.raises(InputError, match="--data"):
        list(table.microtubule_rows(None, (1,), SilentProgress()))


def test_density_and_picks_are_two_tables():
    dense, picked = (
        {"method": "blindspot", "seed": 1, "density": 1.04},
        {"picks": "tomogram", "template, F1": 0.2153},
    )
    both = table.summarize([dense, picked])
    assert [section.rows for section in both] == [[["blindspot", "1", "1.04"]], [["tomogram", "–", "0.215"]]]
    assert [section.heading for section in table.summarize([picked])] == ["Picks of tubulin"]


@pytest.mark.slow
def test_picks_of_the_tomogram_as_it_is():
    """Places at random would be hits in one of fifty: so much of the volume is within 20 Å of one."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not here")
    figures = table.pick_figures(SHARED_DATA, None, SilentProgress())
    assert set(figures) == {f"{name}, F1" for name in table.PICKERS}
    assert min(figures.values()) > 0.15
