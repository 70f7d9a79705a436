"""Blocks that overlap by half: without seams, of any size, and noise of the same strength everywhere."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from vitreous.core import Interrupted, SilentProgress, read_block
from vitreous.inference import blend_tiles, blended_slabs


def white(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@limits(max_examples=20, deadline=None)
@given(st.tuples(*(st.integers(1, 41),) * 3), st.sampled_from([4, 8, 16]))
def test_an_identity_gives_the_volume_back_whatever_its_size(shape, tile):
    volume = white(shape)
    blended = blend_tiles(
        shape, tile, lambda t: torch.from_numpy(read_block(volume, t.start, t.shape)), SilentProgress()
    )
    np.testing.assert_allclose(blended, volume, atol=1e-6)


def blended_noise(equal_variance):
    generator = torch.Generator().manual_seed(0)
    fields = [
        blend_tiles(
            (24, 24, 24),
            8,
            lambda t: torch.randn(t.shape, generator=generator),
            SilentProgress(),
            equal_variance=equal_variance,
        )
        for _ in range(200)
    ]
    return np.stack(fields).var(axis=0)


def test_noise_keeps_its_variance_everywhere():
    """200 draws: the variance of a voxel has a standard error of 0.1, its mean over planes of 0.004."""
    variance = blended_noise(True)
    for axis in range(3):
        planes = variance.mean(axis=tuple(a for a in range(3) if a != axis))
        assert np.abs(planes - 1).max() < 0.03


def test_a_mean_of_blocks_would_weaken_noise_between_their_centres():
    planes = blended_noise(False).mean(axis=(1, 2))
    assert planes.min() < 0.7


def test_a_wish_to_stop_is_heard():
    class Stopping(SilentProgress):
        def should_stop(self):
            return True

    with pytest.raises(Interrupted):
        blend_tiles((8, 8, 8), 4, lambda t: torch.zeros(t.shape), Stopping())


def test_slabs_are_the_volume_and_may_begin_anywhere():
    volume = white((2, 23, 9, 11))

    def block_of(t):
        return torch.from_numpy(np.stack([read_block(v, t.start, t.shape) for v in volume]))

    slabs = list(blended_slabs(volume.shape[1:], 8, block_of, SilentProgress()))
    assert [p.start for p, _ in slabs] == list(range(0, 23, 4))
    np.testing.assert_allclose(np.concatenate([s for _, s in slabs], axis=1), volume, atol=1e-6)
    late = list(blended_slabs(volume.shape[1:], 8, block_of, SilentProgress(), first_plane=12))
    assert [p.start for p, _ in late] == [12, 16, 20]
    for (_, again), (_, before) in zip(late, slabs[3:], strict=True):
        np.testing.assert_array_equal(again, before)
