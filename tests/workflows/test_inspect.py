"""Inspection against simulated tomograms of which everything is known."""

from pathlib import Path

import numpy as np
import pytest

from vitreous.core import Volume
from vitreous.io import open_volume
from vitreous.workflows.inspect import inspect_tomogram
from vitreous.workflows.simulate import simulate_tomogram

MICROTUBULE = Path(__file__).resolve().parents[2].parent / "shared/data/real/microtubule/microtubule_13pf.mrc"


def simulated(lowest, highest, seed=11, **changes):
    spec = {
        "seed": seed,
        "box": {"shape": (48, 96, 96), "slab": (10, 38)},
        "particles": [{"structure": f"phantom:{name}"} for name in ("tric", "rubisco")],
        "packing": {"occupancy": 0.15},
        "tilts": {"lowest_deg": lowest, "highest_deg": highest, "step_deg": 3.0},
    }
    return simulate_tomogram({**spec, **changes})


@pytest.mark.parametrize(
    ("seed", "lowest", "highest"),
    [(11, -60, 60), (12, -51, 51), (13, -39, 39), (14, -60, 39), (15, -45, 66)],
)
def test_the_tilt_range_is_right_within_its_error(seed, lowest, highest):
    found = inspect_tomogram(simulated(lowest, highest, seed).tomogram)
    tilts = found.tilt_range
    assert (tilts.seen_in, tilts.tilt_axis) == ("noise", 1)
    assert tilts.uncertainty_deg < 5
    # Twice the stated error: half a tilt step on either side is truly filled.
    np.testing.assert_allclose(tilts.limits_deg, (lowest, highest), atol=2 * tilts.uncertainty_deg)
    assert found.polarity.protein == "dark"
    # The range is signed: a mirrored volume has the mirrored one.
    if lowest != -highest:
        assert abs(tilts.lowest_deg + highest) > 3 * tilts.uncertainty_deg


def test_a_mirrored_and_inverted_volume_is_told():
    tomogram = simulated(-60, 39, 14).tomogram
    mirrored = Volume(np.ascontiguousarray(-tomogram.data[:, :, ::-1]), 10.0)
    found = inspect_tomogram(mirrored)
    np.testing.assert_allclose(found.tilt_range.limits_deg, (-39, 60), atol=5)
    assert found.polarity.protein == "bright"
    assert any("--invert" in doubt for doubt in found.doubts)


def test_without_a_wedge_none_is_seen():
    found = inspect_tomogram(simulated(-90, 87, 16).tomogram)
    assert found.tilt_range is None
    assert any("No missing wedge" in doubt for doubt in found.doubts)


def test_noise_and_layer_are_those_of_the_simulation():
    made = simulated(-60, 60, 12)
    found = inspect_tomogram(made.tomogram)
    clean = np.asarray(made.noise_free.data)
    truth = (np.asarray(made.tomogram.data) - clean).std() / clean.std()
    assert found.noise_to_signal == pytest.approx(truth, rel=0.35)
    low, high = found.layer.faces_angstrom
    assert abs(low - 100) < 80
    assert abs(high - 380) < 80
    assert found.outliers.beads == 0


def test_gold_is_counted_and_does_not_decide_the_contrast():
    found = inspect_tomogram(simulated(-60, 60, 13, gold={"count": 4}).tomogram)
    assert found.outliers.beads == 4
    assert found.outliers.polarity == "dark"
    assert found.polarity.protein == "dark"


def test_a_noise_free_volume_says_so_and_shows_its_wedge_in_the_signal():
    made = simulated(-60, 60, 11)
    found = inspect_tomogram(Volume(np.asarray(made.noise_free.data), 10.0))
    assert any("little noise" in doubt for doubt in found.doubts)
    assert found.tilt_range.seen_in == "signal"
    assert found.tilt_range.limits_deg == pytest.approx((-60, 60), abs=2 * found.tilt_range.uncertainty_deg)
    assert found.polarity.protein == "dark"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((20, 20, 20), np.float32), "all its voxels are equal"),
        (np.full((20, 20, 20), np.nan, np.float32), "no finite voxel"),
        (np.random.default_rng(0).normal(size=(4, 60, 60)).astype(np.float32), "too small"),
        (np.random.default_rng(0).normal(size=(40, 40, 40)).astype(np.float32), "hardly any signal"),
    ],
)
def test_nothing_is_refused(data, words):
    found = inspect_tomogram(Volume(data, None))
    assert any(words in doubt for doubt in found.doubts)
    assert any("voxel spacing is unknown" in doubt for doubt in found.doubts)
    assert found.layer is None
    assert found.to_json()["doubts"]


@pytest.mark.skipif(not MICROTUBULE.exists(), reason="the shared data folder is not here")
def test_the_real_microtubule():
    found = inspect_tomogram(open_volume(MICROTUBULE))
    assert found.polarity.protein == "bright"
    lowest, highest = found.tilt_range.limits_deg
    # Recorded with ±60°; the volume was levelled afterwards, as the slope of its microtubule's layer shows.
    assert highest - lowest == pytest.approx(121.5, abs=6)
    assert found.outliers.erased == 3
