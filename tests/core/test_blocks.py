"""Reading blocks beyond the edge: numpy's reflection is the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core import inside_mask, read_block

AXIS = st.tuples(st.integers(1, 7), st.integers(-25, 25), st.integers(1, 40))  # side, start, count
AXES = st.lists(AXIS, min_size=3, max_size=3)


def numbers(shape):
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def padded(data, starts, counts):
    """The same block cut from a volume that numpy has padded far enough."""
    before = [max(0, -s) for s in starts]
    after = [max(0, s + n - side) for s, n, side in zip(starts, counts, data.shape, strict=True)]
    wide = data
    for axis, pads in enumerate(zip(before, after, strict=True)):
        widths = [pads if i == axis else (0, 0) for i in range(3)]
        wide = np.pad(wide, widths, mode="edge" if data.shape[axis] == 1 else "reflect")
    return wide[tuple(slice(s + b, s + b + n) for s, b, n in zip(starts, before, counts, strict=True))]


@settings(max_examples=200, deadline=None)
@given(axes=AXES)
def test_blocks_equal_numpys_reflection(axes):
    sides, starts, counts = zip(*axes, strict=True)
    data = numbers(sides)
    block = read_block(data, starts, counts)
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block, padded(data, starts, counts))


@settings(max_examples=100, deadline=None)
@given(axes=AXES)
def test_the_inside_mask_marks_the_voxels_that_were_read_and_not_reflected(axes):
    sides, starts, counts = zip(*axes, strict=True)
    inside = inside_mask(starts, counts, sides)
    assert inside.shape == counts
    grids = np.meshgrid(*(np.arange(s, s + n) for s, n in zip(starts, counts, strict=True)), indexing="ij")
    expected = np.all([(g >= 0) & (g < side) for g, side in zip(grids, sides, strict=True)], axis=0)
    np.testing.assert_array_equal(inside, expected)
    flat = np.ravel_multi_index([g[expected] for g in grids], sides)
    np.testing.assert_array_equal(read_block(numbers(sides), starts, counts)[expected], flat)


@pytest.mark.parametrize("shape", [(36, 40, 40), (1, 5, 6)])
def test_a_block_is_a_copy(shape):
    data = np.zeros(shape, np.float32)
    for start, count in (((0, 0, 0), shape), ((0, 1, 1), (1, 2, 3)), ((-1, -2, 0), (4, 4, 4))):
        block = read_block(data, start, count)
        block += 1
        assert not np.shares_memory(block, data)
        assert block.flags.writeable
    assert (data == 0).all()


def test_only_the_needed_part_of_a_memory_map_is_read(tmp_path):
    np.save(tmp_path / "v.npy", numbers((6, 7, 8)))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    block = read_block(mapped, (4, 5, 6), (4, 4, 4))
    assert type(block) is np.ndarray
    np.testing.assert_array_equal(block, padded(numbers((6, 7, 8)), (4, 5, 6), (4, 4, 4)))


def test_ranks_must_agree():
    with pytest.raises(ValueError, match="zip"):
        read_block(np.zeros((4, 4, 4)), (0, 0), (2, 2))
