"""Segmentation models: saved and loaded, tiled and blended, their labels."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from vitreous.core import AS_IS, InputError, Interrupted, SilentProgress
from vitreous.segmentation import (
    ModelDescription,
    SegmentationModel,
    build_network,
    labels_of,
    load_segmentation_model,
    save_segmentation_model,
    segment_boxes,
    segment_slabs,
    segment_volume,
)

DESCRIPTION = ModelDescription(width=2, voxel_spacing_angstrom=10.0, side=16)


class Local(nn.Module):
    """Two convolutions of radius 1 whose logits say more than their sign."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Conv3d(1, 3, 3), nn.ReLU(), nn.Conv3d(3, 3, 3))

    def forward(self, x):
        return self.layers(nn.functional.pad(x, (2,) * 6))


def model(network=None, **changes):
    return SegmentationModel((network or Local()).eval(), DESCRIPTION.model_copy(update=changes))


def white(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_blocks_with_a_margin_give_what_one_block_would():
    """To 1e-6: the network sees two voxels around, the margin has eight."""
    volume = white((21, 26, 19))
    tiled = segment_volume(model(), volume, AS_IS, tile=8, margin=8)
    assert tiled.shape == (3, 21, 26, 19)
    with torch.no_grad():
        whole = torch.softmax(model().network(torch.from_numpy(volume)[None, None]), 1)[0].numpy()
    inside = (slice(None), *(slice(2, -2),) * 3)
    np.testing.assert_allclose(tiled[inside], whole[inside], atol=1e-6)
    np.testing.assert_allclose(tiled.sum(axis=0), 1, atol=1e-5)


def test_blocks_without_a_margin_differ_at_their_faces():
    """The same comparison can fail: a block's own padding is seen without a margin."""
    volume = white((21, 26, 19))
    tiled = segment_volume(model(), volume, AS_IS, tile=8)
    assert np.abs(tiled - segment_volume(model(), volume, AS_IS, tile=8, margin=8)).max() > 1e-3


def test_slabs_go_on_where_they_were_stopped():
    volume = white((30, 9, 10))
    whole = segment_volume(model(), volume, AS_IS)
    for planes, slab in segment_slabs(model(), volume, AS_IS, first_plane=16):
        assert planes.start >= 16
        np.testing.assert_array_equal(slab, whole[:, planes])


def test_boxes_of_odd_sizes_are_continued_and_cut():
    boxes = white((5, 13, 16, 9))
    found = segment_boxes(model(), boxes, batch=2)
    assert found.shape == (5, 3, 13, 16, 9)
    with torch.no_grad():
        one = torch.softmax(model().network(torch.from_numpy(boxes[3:4, None])), 1)[0].numpy()
    inside = (slice(None), *(slice(2, -2),) * 3)
    np.testing.assert_allclose(found[3][inside], one[inside], atol=1e-6)


def test_labels_are_the_most_probable_class():
    values = np.random.default_rng(1).dirichlet(np.ones(3), (4, 5, 6)).astype(np.float32)
    labels = labels_of(np.moveaxis(values, -1, 0))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, values.argmax(-1))


def test_a_saved_model_predicts_the_same(tmp_path):
    network = build_network(DESCRIPTION, 3)
    before = SegmentationModel(network.eval(), DESCRIPTION)
    save_segmentation_model(tmp_path, before, {"method": "vox-uda", "seed": 3})
    after = load_segmentation_model(tmp_path)
    assert after.description == DESCRIPTION
    assert json.loads((tmp_path / "model.json").read_text())["method"] == "vox-uda"
    boxes = white((1, 16, 16, 16))
    np.testing.assert_array_equal(segment_boxes(before, boxes), segment_boxes(after, boxes))


def test_seeds_make_networks():
    first, again, other = (build_network(DESCRIPTION, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.values(), again.values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.values(), other.values(), strict=True))


def test_other_models_are_refused(tmp_path):
    with pytest.raises(InputError, match="missing"):
        load_segmentation_model(tmp_path)
    save_segmentation_model(tmp_path, SegmentationModel(build_network(DESCRIPTION, 0), DESCRIPTION), {})
    file = tmp_path / "model.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps({**facts, "kind": "other"}))
    with pytest.raises(InputError, match="not one for segmentation"):
        load_segmentation_model(tmp_path)
    file.write_text(json.dumps({**facts, "segmentation": {"side": 3}}))
    with pytest.raises(InputError, match="of another kind"):
        load_segmentation_model(tmp_path)


def test_another_voxel_spacing_is_refused_with_a_remedy():
    model().check_spacing(10.05, "a.mrc")
    with pytest.raises(InputError, match=r"a.mrc: has voxels of 13\.7 Å.*trained on 10 Å.*--fit resample"):
        model().check_spacing(13.7, "a.mrc")


def test_a_wish_to_stop_is_heard():
    class Stopping(SilentProgress):
        def should_stop(self):
            return True

    with pytest.raises(Interrupted):
        segment_volume(model(), white((8, 8, 8)), AS_IS, progress=Stopping())
