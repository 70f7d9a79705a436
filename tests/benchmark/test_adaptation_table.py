"""The tables of Vox-UDA: splits, weights, differences, and rows that are measured and shown."""

import numpy as np
import pytest

from vitreous.benchmark import adaptation as table_module
from vitreous.benchmark.adaptation import PRIOR, AdaptationTable, Contestant, interval, panels_of, percent
from vitreous.benchmark.adaptation_cases import (
    SIDE,
    SIZES,
    TARGETS,
    Domain,
    boxes_around,
    chosen,
    target_spec,
)
from vitreous.benchmark.adaptation_tables import ADAPTATION_TABLES
from vitreous.benchmark.tables import TABLES, run_table
from vitreous.core import InputError, Interrupted, Poses, SilentProgress, Volume
from vitreous.methods.adaptation import OBJECTIVES
from vitreous.report import render_tables_report
from vitreous.segmentation import standardized_box
from vitreous.workflows.adapt.model import chosen_adaptation, with_changes
from vitreous.workflows.subtomograms import LoadedBoxes

TRIPLE = "1bxn, 1f1b, 1yg6"


def boxes(kinds, seed, side=16):
    """Dark balls in noise, one in the middle of each box, with their masks."""
    rng = np.random.default_rng(seed)
    grids = np.ogrid[(slice(side),) * 3]
    ball = sum((g - side // 2) ** 2 for g in grids) < 12
    values = [standardized_box(rng.normal(size=(side,) * 3) - 3 * ball) for _ in kinds]
    masks = np.repeat(ball[None], len(kinds), 0).astype(np.uint8)
    titles = tuple(map(str, range(len(kinds))))
    return LoadedBoxes(seed, np.stack(values), masks, tuple(kinds), titles, tuple(range(len(kinds))), 10.0)


@pytest.fixture
def small(monkeypatch):
    domain = Domain(boxes(["a"] * 6, 0), boxes(TARGETS * 2, 1), boxes(TARGETS * 2, 2))
    monkeypatch.setattr(table_module, "make_domain", lambda *_: domain)
    monkeypatch.setattr(table_module, "STEPS", {"small": {"steps": 3, "width": 2, "batch": 2}})
    rows = {"source-only": Contestant("source-only"), "supervised": Contestant("supervised")}
    return AdaptationTable("test", (TRIPLE,), rows, "supervised", {"source-only": (17.4, 19.9)})


def test_rows_are_measured_and_shown(small, tmp_path):
    progress = SilentProgress()
    rows = list(small.rows("small", (1, 2), (), progress, tmp_path))
    assert [(r.key["seed"], r.key["method"]) for r in rows] == [
        (seed, name) for seed in (1, 2) for name in ("source-only", "supervised")
    ]
    records = [{**row.measure(), **row.key} for row in rows]
    for record in records:
        assert 0 <= record["iou_all"] <= record["dice_all"] <= 1
        weighted = np.average([record[f"dice_{k[8:]}"] for k in TARGETS], weights=(901, 66, 66))
        assert record["dice_all"] == pytest.approx(weighted)
    assert ["shown" in r for r in records] == [True, True, False, False]
    sections = small.summarize(records)
    page = render_tables_report("t", sections)
    assert "published: source-only" in page
    assert "Segmentations" in page
    assert "Features: supervised" in page
    difference = next(s for s in sections if "against the others" in s.heading)
    ours = [r["dice_all"] for r in records if r["method"] == "supervised"]
    other = [r["dice_all"] for r in records if r["method"] == "source-only"]
    assert difference.rows[0][2] == f"{100 * np.mean(np.subtract(ours, other)):+.1f}"
    assert (
        next(iter(small.rows("small", (1,), ("supervised",), progress, tmp_path))).key["method"]
        == "supervised"
    )


class Stopping(SilentProgress):
    left = 2

    def should_stop(self):
        self.left -= 1
        return self.left < 0


def test_a_row_that_was_stopped_goes_on(small, tmp_path):
    def row(progress, folder):
        return next(iter(small.rows("small", (1,), (), progress, folder)))

    with pytest.raises(Interrupted):
        row(Stopping(), tmp_path / "stopped").measure()
    (left,) = (tmp_path / "stopped").glob("*/step_*")
    assert left.name == "step_00000002"
    again, whole = (row(SilentProgress(), tmp_path / name).measure() for name in ("stopped", "whole"))
    assert again["dice_all"] == pytest.approx(whole["dice_all"], abs=1e-12)
    assert again["last_segmentation"] == pytest.approx(whole["last_segmentation"], abs=1e-9)
    assert not list((tmp_path / "stopped").glob("*/step_*"))


def test_the_mean_mask_says_the_same_of_every_subtomogram(small, tmp_path):
    """Balls of the source and of the target are the same here, so that it is right without looking."""
    rows = {**small.contestants, "mean mask": Contestant(PRIOR)}
    table = AdaptationTable("test", (TRIPLE,), rows, "supervised")
    record = next(iter(table.rows("small", (1,), ("mean mask",), SilentProgress(), tmp_path))).measure()
    assert record["dice_all"] == record["iou_all"] == pytest.approx(1)
    looking = next(iter(small.rows("small", (1,), (), SilentProgress(), tmp_path))).measure()
    assert 0 <= looking["sameness"] <= 1


def test_pictures_hold_what_was_found(small, tmp_path):
    record = next(iter(small.rows("small", (1,), (), SilentProgress(), tmp_path))).measure()
    panels = panels_of("row", record)
    assert len(panels) == 2 * len(TARGETS)
    colours = {tuple(c) for c in panels[0].image.reshape(-1, 3)}
    assert table_module.TRUTH_COLOUR in colours  # an untrained network finds other voxels than the truth


def test_intervals_are_those_of_student():
    values = [3.0, 5.0, 4.0, 8.0, 5.0]
    half = 2.776 * np.std(values, ddof=1) / 5**0.5  # t of four degrees of freedom, from tables
    assert interval(values) == f"{5 - half:+.1f} to {5 + half:+.1f}"
    assert percent([0.123]) == "12.3"


def test_boxes_lie_where_the_poses_say():
    shape, centres = (40, 70, 40), np.array([[20, 20, 20], [20, 50, 19], [3, 20, 20]])
    mask = np.zeros(shape, np.int32)
    for label, centre in enumerate(centres, 1):
        mask[tuple(slice(max(0, c - 2), c + 3) for c in centre)] = label
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    class Truth:
        voxel_spacing_angstrom = 10.0
        poses = Poses(np.tile(np.eye(3), (3, 1, 1)), centres * 10.0, TARGETS, np.array([1, 2, 3]))
        instance_mask = mask

    found = boxes_around(Volume(data, 10.0), Truth, "t")
    assert found.kinds == TARGETS[:2]  # the third leaves the tomogram
    assert found.masks.shape == (2, SIDE, SIDE, SIDE)
    for one in found.masks:
        np.testing.assert_array_equal(np.argwhere(one).mean(axis=0), [SIDE // 2] * 3)


def test_draws_keep_the_proportions_and_never_share_a_tomogram():
    loaded = boxes([TARGETS[0]] * 8 + [TARGETS[1]] * 4 + [TARGETS[2]] * 1, 0)
    picked = chosen(loaded, [3, 2, 2], np.random.default_rng(0))
    assert [picked.kinds.count(k) for k in TARGETS] == [3, 2, 1]
    assert len(set(picked.titles)) == 6
    for sizes in SIZES.values():
        assert sizes.tomograms < 100  # seeds are a hundred tomograms apart
    snrs = {target_spec(seed, (1, 1, 1)).imaging.snr for seed in range(5)}
    assert len(snrs) == 5


def test_data_of_ones_own_are_refused(tmp_path):
    whole = {"seeds": (1,), "only": (), "data": tmp_path, "progress": SilentProgress()}
    with pytest.raises(InputError, match="makes its own subtomograms"):
        run_table("vox-uda-t1", tmp_path / "out", **whole)
    with pytest.raises(InputError, match="no row magic"):
        run_table("vox-uda-t1", tmp_path / "out", **{**whole, "only": ("magic",), "data": None})


def test_every_contestant_is_a_configuration():
    for name, table in ADAPTATION_TABLES.items():
        assert name in TABLES
        assert table.ours in table.contestants
        assert set(table.published) <= set(table.contestants)
        for contestant in table.contestants.values():
            if contestant.method in OBJECTIVES:
                with_changes(chosen_adaptation(contestant.method, None), dict(contestant.changes))
