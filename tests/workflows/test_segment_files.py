"""Segmentation on disk: tomograms in slabs, sets of subtomograms, resuming, and models that do not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vitreous import Volume, open_volume, write_volume
from vitreous.core import InputError, Interrupted, SilentProgress
from vitreous.segmentation import ModelDescription, SegmentationModel, save_segmentation_model
from vitreous.segmentation import model as model_module
from vitreous.workflows.dual.domains import padded_sides, rescaled
from vitreous.workflows.evaluate_segments import evaluate_segmented
from vitreous.workflows.segment import (
    SegmentRequest,
    rerender_segmentation,
    resume_segmentation,
    segment_file,
)
from vitreous.workflows.segment import tomogram as tomogram_module
from vitreous.workflows.segment.files import is_of
from vitreous.workflows.segment.tomogram import on_grid

DESCRIPTION = ModelDescription(architecture="darkness", width=1, voxel_spacing_angstrom=10.0, side=16)


class Darkness(nn.Module):
    """Calls a voxel particle where it is more than 2.5 deviations darker than the mean."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, x):
        dark = self.gain * (-2.5 - x)
        return torch.cat([-dark, dark], dim=1)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(model_module, "NETWORKS", {"darkness": lambda description: Darkness()})


@pytest.fixture
def folder(tmp_path):
    save_segmentation_model(tmp_path / "model", SegmentationModel(Darkness(), DESCRIPTION), {})
    return tmp_path


def balls(shape, spacing=10.0, seed=0, radius=40):
    """Dark balls in weak noise, and where they are."""
    grids = np.ogrid[tuple(slice(n) for n in shape)]
    truth = np.zeros(shape, bool)
    for centre in np.random.default_rng(3).uniform(0.2, 0.8, (4, 3)):
        place = [c * n for c, n in zip(centre, shape, strict=True)]
        truth |= sum((g - p) ** 2 for g, p in zip(grids, place, strict=True)) < (radius / spacing) ** 2
    noise = np.random.default_rng(seed).normal(0, 0.02, shape)
    return (5 - truth + noise).astype(np.float32), truth


def request(folder, name, **changes):
    whole = {"input": folder / name, "output": folder / "labels.mrc", "model": folder / "model"}
    return SegmentRequest(**{**whole, "run_dir": folder / "labels.run", **changes})


def check_written_again(run_dir):
    """The report comes out the same from the folder alone."""
    page = (run_dir / "report.html").read_text(encoding="utf-8")
    (run_dir / "report.html").unlink()
    assert rerender_segmentation(run_dir).read_text(encoding="utf-8") == page


def test_a_tomogram_gets_labels_probabilities_and_a_report(folder):
    data, truth = balls((40, 52, 47))
    write_volume(folder / "t.mrc", Volume(data, 10.0))
    facts = segment_file(request(folder, "t.mrc", probabilities=True), SilentProgress())
    labels = open_volume(folder / "labels.mrc")
    assert labels.data.dtype == np.int8
    assert labels.voxel_spacing_angstrom == (10.0,) * 3
    np.testing.assert_array_equal(labels.data, truth)
    likely = open_volume(folder / "labels_particle.mrc").data
    assert likely[truth].min() > 0.5 > likely[~truth].max()
    assert facts["shares"]["particle"] == pytest.approx(truth.mean())
    assert (folder / "labels.run" / "report.html").stat().st_size > 10_000
    assert not (folder / "labels.run" / "unfinished").exists()
    check_written_again(folder / "labels.run")


def test_ome_zarr_in_and_out(folder):
    data, truth = balls((24, 30, 28))
    write_volume(folder / "t.zarr", Volume(data, 10.0))
    segment_file(request(folder, "t.zarr", output=folder / "labels.zarr"), SilentProgress())
    np.testing.assert_array_equal(open_volume(folder / "labels.zarr").data, truth)


def test_bright_protein_is_refused_and_turned_on_request(folder):
    data, truth = balls((40, 52, 47))
    write_volume(folder / "t.mrc", Volume(-data, 10.0))
    with pytest.raises(InputError, match=r"looks bright.*--invert"):
        segment_file(request(folder, "t.mrc"), SilentProgress())
    segment_file(request(folder, "t.mrc", invert=True), SilentProgress())
    np.testing.assert_array_equal(open_volume(folder / "labels.mrc").data, truth)


def test_another_spacing_is_refused_or_resampled(folder):
    """Balls on voxels of 8 Å, found on a grid of 10 Å and brought back: overlap 0.85 at least."""
    data, truth = balls((50, 60, 56), spacing=8.0)
    write_volume(folder / "t.mrc", Volume(data, 8.0))
    with pytest.raises(InputError, match=r"voxels of 8 Å.*trained on 10 Å.*--fit resample"):
        segment_file(request(folder, "t.mrc"), SilentProgress())
    segment_file(request(folder, "t.mrc", fit="resample", probabilities=True), SilentProgress())
    labels = open_volume(folder / "labels.mrc").data > 0
    assert labels.shape == truth.shape
    score = 2 * (labels & truth).sum() / (labels.sum() + truth.sum())
    shifted = 2 * (labels & np.roll(truth, 2, 0)).sum() / (labels.sum() + truth.sum())
    assert score > 0.85 > 0.75 > shifted, (score, shifted)


@pytest.mark.parametrize(("side", "before"), [(100, 13.68), (61, 4.0), (90, 13.48)])
def test_what_was_resampled_comes_back_to_where_it_was(side, before):
    """The centroid of a blob, on the model's grid of 10 Å and brought back: within 0.05 of its voxels."""
    shape = (side, 24, 32)
    middle = np.array([side / 2 + 3, 11.3, 17.0])
    grids = np.ogrid[tuple(slice(n) for n in shape)]
    distance = sum((g - m) ** 2 for g, m in zip(grids, middle, strict=True))
    volume = Volume(np.exp(-distance / (2 * 2.5**2)).astype(np.float32), before)
    fitted = rescaled(volume, 10.0)
    ratios = tuple(new / old for old, new in (padded_sides(n, before / 10) for n in shape))
    back = np.concatenate([slab[0] for _, slab in on_grid(fitted[None], shape, ratios)])
    for voxels, scale in ((fitted, np.array(ratios)), (back, 1)):
        displaced = centroid(voxels) / scale - middle
        assert np.abs(displaced * before / 10).max() < 0.05, displaced


def centroid(voxels):
    """(z, y, x) of what there is, in voxels."""
    weights = voxels.astype(np.float64)
    sums = [weights.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
    return np.array([np.arange(len(along)) @ along / along.sum() for along in sums])


def test_missing_voxels_are_told_of_before_they_are_resampled(folder):
    data, _ = balls((50, 60, 56), spacing=8.0)
    data[20:24, 20:24, 20:24] = np.nan
    write_volume(folder / "t.mrc", Volume(data, 8.0))
    facts = segment_file(request(folder, "t.mrc", fit="resample"), SilentProgress())
    assert any("64 voxels are NaN or infinite" in text for text in facts["warnings"])


class Stopping(SilentProgress):
    def __init__(self, after):
        self.left = after

    def should_stop(self):
        self.left -= 1
        return self.left < 0


def test_a_stopped_tomogram_goes_on_with_the_same_bytes(folder):
    data, _ = balls((40, 30, 30))
    write_volume(folder / "t.mrc", Volume(data, 10.0))
    segment_file(
        request(folder, "t.mrc", output=folder / "whole.mrc", run_dir=folder / "w.run"), SilentProgress()
    )
    with pytest.raises(Interrupted):
        segment_file(request(folder, "t.mrc"), Stopping(70))
    state = json.loads((folder / "labels.run" / "unfinished" / "state.json").read_text())
    assert state["planes"] > 0
    with pytest.raises(InputError, match="already done"):
        resume_segmentation(folder / "w.run", SilentProgress())
    resume_segmentation(folder / "labels.run", SilentProgress())
    np.testing.assert_array_equal(
        open_volume(folder / "labels.mrc").data, open_volume(folder / "whole.mrc").data
    )
    with pytest.raises(InputError, match="exists"):
        segment_file(request(folder, "t.mrc", run_dir=folder / "other.run"), SilentProgress())


def test_the_device_belongs_to_the_request(folder):
    asked = request(folder, "t.mrc", fit="resample", device="cpu")
    assert "--device cpu" in asked.command()
    facts = asked.to_json()
    assert SegmentRequest.from_json(facts, asked.run_dir) == asked
    whole = {"kind": "segment", "request": facts}
    assert is_of(asked, whole)
    assert not is_of(replace(asked, device="cuda"), whole)
    del facts["device"]  # as earlier versions wrote it
    assert SegmentRequest.from_json(facts, asked.run_dir).device == "auto"
    assert is_of(replace(asked, device="auto"), whole)


@pytest.mark.parametrize("form", ["zarr", "mrc"])
def test_sets_keep_their_order_and_skipped_ones_are_empty(folder, form):
    truths = []
    for number in range(4):
        data, truth = balls((16, 16, 16), seed=number, radius=20)
        if number == 2:
            data[0, 0, 0], truth = np.nan, truth & False
        write_volume(folder / "boxes" / f"{number}.mrc", Volume(data, 10.0))
        write_volume(folder / "truth" / f"{number}.mrc", Volume(truth.astype(np.int8), 10.0), dtype=np.int8)
        truths.append(truth)
    output = folder / ("labels.zarr" if form == "zarr" else "labels")
    facts = segment_file(request(folder, "boxes", output=output, probabilities=True), SilentProgress())
    assert facts["subtomograms"] == 3
    assert "2.mrc: 1 voxels" in facts["skipped"][0]
    scores = evaluate_segmented(output, folder / "truth")
    assert scores["dice"] == 1.0
    assert scores["count"] == 4
    with pytest.raises(InputError, match="exists"):
        segment_file(request(folder, "boxes", output=output, run_dir=folder / "r"), SilentProgress())


def test_too_little_memory_is_told_before_any_work(folder, monkeypatch):
    write_volume(folder / "t.mrc", Volume(balls((16, 16, 16))[0], 10.0))
    monkeypatch.setattr(tomogram_module, "available_memory", lambda device: 10**8)
    with pytest.raises(InputError, match=r"needs 0\.8 GB of memory and 0\.1 GB are free"):
        segment_file(request(folder, "t.mrc"), SilentProgress())
    assert not (folder / "labels.run").exists()


def test_what_is_no_output_is_refused(folder):
    write_volume(folder / "t.mrc", Volume(balls((16, 16, 16))[0], 10.0))
    with pytest.raises(InputError, match="no type that is written"):
        segment_file(request(folder, "t.mrc", output=folder / "labels.txt"), SilentProgress())
    with pytest.raises(InputError, match="belongs to subtomograms"):
        segment_file(request(folder, "t.mrc", fit="resize"), SilentProgress())
    with pytest.raises(InputError, match="name a run directory"):
        segment_file(request(folder, "t.mrc", model=folder / "none"), SilentProgress())
