"""Patches that are held out are never drawn, and nothing of them is."""

import numpy as np
import pytest
import torch

from vitreous.core import AS_IS
from vitreous.training import PatchSampler, TrainingVolume


def numbered(shape, mask=None):
    """A volume whose grey values are the indices of its voxels."""
    return TrainingVolume(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), AS_IS, mask)


def drawn(sampler, count=300):
    return [sampler.draw(torch.Generator().manual_seed(seed)) for seed in range(count)]


def test_a_fifth_is_held_and_shares_no_voxel_with_the_rest():
    sampler = PatchSampler([numbered((13, 21, 40))], 6, 0.2)
    held = list(sampler.held_out())
    assert len(held) == round(0.2 * 2 * 3 * 6)
    hidden = {float(v) for patch in held for v in patch.values.flatten()}
    assert len(hidden) == len(held) * 6**3
    seen = {float(v) for patch in drawn(sampler) for v in patch.values.flatten()}
    assert len(seen) == (36 - len(held)) * 6**3
    assert not hidden & seen
    again = PatchSampler([numbered((13, 21, 40))], 6, 0.2).held_out()
    assert all(torch.equal(a.values, b.values) for a, b in zip(held, again, strict=True))


def test_drawn_patches_are_flipped_and_spread_over_volumes():
    volumes = [numbered((12, 12, 12)), numbered((6, 12, 12))]
    patches = drawn(PatchSampler(volumes, 6, 0.2))
    assert {p.volume for p in patches} == {0, 1}
    assert len({p.flips for p in patches}) == 8


@pytest.mark.parametrize(
    ("shape", "held"), [((6, 6, 6), 0), ((6, 6, 12), 0), ((6, 6, 18), 1), ((4, 9, 18), 1)]
)
def test_too_few_patches_hold_none_but_all_can_be_drawn(shape, held):
    sampler = PatchSampler([numbered(shape)], 6, 0.2)
    assert len(list(sampler.held_out())) == held
    assert drawn(sampler, 1)[0].values.shape == (6, 6, 6)


def test_the_mask_restricts_both():
    mask = np.zeros((12, 12, 60), bool)
    mask[:, :, :30] = True
    sampler = PatchSampler([numbered((12, 12, 60), mask)], 6, 0.2)
    starts = {int(p.where.split(", ")[-1].split()[0]) for p in [*sampler.held_out(), *drawn(sampler)]}
    assert starts == {0, 6, 12, 18, 24}
    assert len(list(sampler.held_out())) == 4  # of 2 · 2 · 5


def test_without_a_share_nothing_is_held():
    sampler = PatchSampler([numbered((20, 20, 20))], 6)
    assert list(sampler.held_out()) == []
    assert len({p.where for p in drawn(sampler, 50)}) > 40
