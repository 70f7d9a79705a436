"""Training crops of simulated specimens: what is in them, how strong it is, and with which noise."""

import numpy as np
import pytest
import torch

from vitreous.segmentation.tomogram_samples import (
    LabelledBox,
    TomogramSamples,
    UnlabelledCrops,
    class_weights,
)
from vitreous.training import step_generator

SIDE = 16


def box(strength=1.0):
    labels = np.zeros((24, 32, 32), np.uint8)
    labels[4:8, 4:8, 4:8], labels[16:19, 20:24, 20:24] = 1, 2
    return LabelledBox((strength * (labels > 0)).astype(np.float32), labels)


def samples(noise=1.0, **settings):
    return TomogramSamples([box()], torch.full((16, 16, 16), noise), SIDE, **settings)


def test_crops_are_a_function_of_the_generator_and_fit_the_protocol():
    first, second = (samples().draw(3, step_generator(0, 5)) for _ in range(2))
    assert first[0].shape == (3, 1, SIDE, SIDE, SIDE)
    assert first[0].dtype == torch.float32
    assert first[1].shape == (3, SIDE, SIDE, SIDE)
    assert first[1].dtype == torch.int64
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_noise_has_the_power_that_was_asked_for():
    values, labels = samples(4.0).draw(20, step_generator(0, 0))
    noise = values[:, 0][labels == 0]
    assert float(noise.var()) == pytest.approx(4.0, rel=0.05)  # 80,000 voxels: 0.5 % is one deviation


def test_strength_varies_within_its_limits():
    seen = []
    drawn = samples(1e-12, strengths=(0.5, 2.0))
    for step in range(40):
        values, labels = drawn.draw(1, step_generator(0, step))
        if (labels > 0).any():
            seen.append(float(values[:, 0][labels > 0].mean()))
    assert 0.5 - 1e-3 <= min(seen) < 0.8  # the whole range is used
    assert 1.4 < max(seen) <= 2.0 + 1e-3


def test_every_class_is_seen_about_as_often():
    drawn = samples()
    seen = np.zeros(3)
    for step in range(60):
        present = drawn.draw(1, step_generator(1, step))[1].unique()
        seen[present] += 1
    assert seen[1] > 15  # 22 expected of those that are centred alone
    assert seen[2] > 15


def test_values_and_labels_are_turned_alike():
    values, labels = samples(1e-12, strengths=(1.0, 1.0)).draw(20, step_generator(2, 0))
    assert torch.allclose(values[:, 0], (labels > 0).float(), atol=1e-4)


def test_boxes_smaller_than_a_crop_are_refused():
    with pytest.raises(ValueError, match="at least as large"):
        TomogramSamples([box()], torch.ones(8, 8, 8), 28)


def test_rare_classes_count_for_more():
    weights = class_weights([box()], 3)
    shares = np.bincount(box().labels.ravel()) / box().labels.size
    assert np.allclose(weights, np.sqrt(shares[0] / shares), rtol=1e-5)


def test_crops_without_noise_of_their_own_carry_their_labels_through_turns_and_hold_every_class():
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 48, 56)) < 0.02).astype(np.uint8)
    labels[:20] *= 2
    values = labels.astype(np.float32) + 10 * np.arange(56, dtype=np.float32) / 56
    samples = TomogramSamples([LabelledBox(values, labels)], None, 16, strengths=(1.0, 1.0))
    drawn, classes = samples.draw(30, torch.Generator().manual_seed(0))
    assert (drawn.shape, drawn.dtype) == ((30, 1, 16, 16, 16), torch.float32)
    assert (classes.shape, classes.dtype) == ((30, 16, 16, 16), torch.int64)
    assert set(classes.unique().tolist()) == {0, 1, 2}
    # The slope along x is less than one step between neighbours, so that labels can be read off the values.
    rest = drawn[:, 0] - classes
    assert torch.allclose(rest, rest[:, :1, :1].expand_as(rest), atol=1e-5)
    again = samples.draw(30, torch.Generator().manual_seed(0))
    assert torch.equal(again[0], drawn)


def test_crops_of_a_tomogram_are_pieces_of_it_turned_as_its_wedge_allows():
    tomogram = np.random.default_rng(1).normal(size=(18, 20, 22)).astype(np.float32)
    turns = ((), (0, 2))
    crops = UnlabelledCrops(tomogram, SIDE, turns=turns)
    drawn = crops.draw(40, step_generator(0, 0))
    assert drawn.shape == (40, 1, SIDE, SIDE, SIDE)
    assert torch.equal(drawn, crops.draw(40, step_generator(0, 0)))
    pieces = np.lib.stride_tricks.sliding_window_view(tomogram, (SIDE,) * 3)
    first = {
        float(np.flip(piece, turn)[0, 0, 0]) for turn in turns for piece in pieces.reshape(-1, *(SIDE,) * 3)
    }
    corners = {float(crop[0, 0, 0, 0]) for crop in drawn}
    assert corners <= first
    assert len(corners) > 20  # of 210 possible ones
    thin = UnlabelledCrops(tomogram[:7], SIDE).draw(1, step_generator(0, 0))[0, 0]
    assert thin.shape == (SIDE,) * 3
    assert len(np.unique(thin[:, 3, 3])) == 7  # reflected
