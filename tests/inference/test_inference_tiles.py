"""Tiles cover, agree with one block over everything, and shrink when memory runs out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core import InputError, Interrupted, Normalization, SilentProgress
from vitreous.inference import parse_memory, plan_tiles, predict_tiled, tiles_of
from vitreous.networks import UNet3d

PLAIN = Normalization(0.0, 1.0, -100.0, 100.0)
SHAPES = st.tuples(*[st.integers(1, 23)] * 3)


def noise(shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class Listener(SilentProgress):
    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(1, 30), st.integers(0, 9), st.integers(1, 6))
def test_identity_returns_the_input(shape, tile, margin, stride):
    data = noise(shape)
    constants = Normalization(0.3, 2.0, -100.0, 100.0)
    result = predict_tiled(
        lambda block, t: block,
        data,
        constants,
        tile=tile,
        margin=margin,
        stride=stride,
        progress=SilentProgress(),
    )
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, data, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.integers(1, 30), st.integers(0, 9), st.integers(1, 6))
def test_every_voxel_is_written_once_by_blocks_of_whole_strides(shape, tile, margin, stride):
    written = np.zeros(shape, int)
    for t in tiles_of(shape, tile=tile, margin=margin, stride=stride):
        written[t.core] += 1
        for axis in range(3):
            assert t.shape[axis] % stride == 0
            assert t.start[axis] % stride == 0
            stop = t.start[axis] + t.shape[axis]
            assert t.core[axis].start - t.start[axis] == t.inner[axis].start
            assert t.start[axis] == 0 or t.inner[axis].start >= margin
            assert stop >= shape[axis] or stop - t.core[axis].stop >= margin
            assert t.start[axis] >= 0
            assert stop < shape[axis] + stride
            length = t.core[axis].stop - t.core[axis].start
            assert t.inner[axis].stop - t.inner[axis].start == length
    assert (written == 1).all()


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("shape", [(20, 26, 11), (9, 40, 13)])
def test_tiles_give_what_one_block_over_everything_gives(levels, shape):
    torch.manual_seed(1)
    network = UNet3d(width=4, levels=levels).eval()
    for parameter in network.parameters():  # larger than at initialization, so that far voxels count
        parameter.data.mul_(2)
    data = noise(shape)

    def predict(tile, margin=network.receptive_radius):
        def predictor(block, _):
            with torch.no_grad():
                return network(block[None, None])[0, 0]

        options = {"tile": tile, "margin": margin, "stride": network.stride, "progress": SilentProgress()}
        return predict_tiled(predictor, data, PLAIN, **options)

    margin = -(-network.receptive_radius // network.stride) * network.stride
    whole, tiled = predict(120), predict(2 * margin + 2 * network.stride)
    scale = np.abs(whole).max()
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * scale)
    seams = predict(3 * network.stride, margin=0)
    assert np.abs(seams - whole).max() > 1e-3 * scale  # the margin is what makes it so


OUT_OF_MEMORY = [
    lambda: torch.OutOfMemoryError("CUDA out of memory"),
    lambda: RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    ),
    MemoryError,
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_out_of_memory_goes_on_with_smaller_tiles(error):
    data, listener, seen = noise((30, 33, 20)), Listener(), []

    def predictor(block, tile):
        seen.append(tile.core)
        if max(block.shape) > 10 and len(seen) > 1:
            raise error()
        return block

    result = predict_tiled(predictor, data, PLAIN, tile=32, margin=2, stride=2, progress=listener)
    np.testing.assert_array_equal(result, data)
    assert len(listener.warnings) == 2
    assert "16³" in listener.warnings[0]
    assert "8³" in listener.warnings[1]


def test_what_is_done_is_not_done_again_after_running_out_of_memory():
    seen = []

    def predictor(block, tile):
        if tile.core[0].start >= 16 and max(block.shape) > 8:
            raise MemoryError
        seen.append(tile.core[0])
        return block

    data = noise((32, 4, 4))
    result = predict_tiled(predictor, data, PLAIN, tile=16, margin=0, stride=2, progress=SilentProgress())
    np.testing.assert_array_equal(result, data)
    assert seen == [slice(0, 16), slice(16, 24), slice(24, 32)]


def test_no_memory_for_the_smallest_tile_is_one_line():
    def predictor(block, tile):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    with pytest.raises(InputError, match="smallest tile") as caught:
        predict_tiled(
            predictor, noise((20, 20, 20)), PLAIN, tile=160, margin=3, stride=2, progress=SilentProgress()
        )
    assert "\n" not in str(caught.value)


def test_other_errors_are_not_hidden():
    def predictor(block, tile):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        predict_tiled(
            predictor, noise((8, 8, 8)), PLAIN, tile=8, margin=0, stride=1, progress=SilentProgress()
        )


def test_a_wish_to_stop_is_heard_between_tiles():
    class Impatient(SilentProgress):
        def should_stop(self):
            return True

    with pytest.raises(Interrupted):
        predict_tiled(
            lambda b, t: b, noise((8, 8, 8)), PLAIN, tile=8, margin=0, stride=1, progress=Impatient()
        )


PLAN = {"bytes_per_voxel": 500.0, "margin": 18, "stride": 4, "input_bytes": 0}


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(*[st.integers(8, 600)] * 3), st.integers(10**6, 10**11), st.integers(0, 10**10), st.booleans()
)
def test_a_plan_never_exceeds_the_limit_and_never_shrinks_with_it(shape, limit, more, host):
    try:
        plan = plan_tiles(shape, limit_bytes=limit, host=host, **PLAN)
    except InputError:
        return
    assert plan.peak_bytes <= limit
    larger = plan_tiles(shape, limit_bytes=limit + more, host=host, **PLAN)
    assert larger.tile >= plan.tile
    assert larger.peak_bytes >= plan.peak_bytes
    assert plan.tile % 4 == 0
    assert next(tiles_of(shape, tile=plan.tile, margin=18, stride=4)).shape[0] <= plan.tile


def test_a_limit_below_everything_says_what_is_needed():
    with pytest.raises(InputError, match=r"needs at least (\d\.\d) GB and 0\.1 GB") as caught:
        plan_tiles((100, 100, 100), limit_bytes=10**8, **PLAN)
    needed = float(str(caught.value).split("at least ")[1].split()[0])
    assert plan_tiles((100, 100, 100), limit_bytes=int((needed + 0.06) * 1e9), **PLAN).tile > 36


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("500 MB", 5 * 10**8),
        ("1.5g", 1.5e9),
        (" 2 TiB ", 2e12),
        ("1000000", 10**6),
        (".5G", 5e8),
    ],
)
def test_parse_memory(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "GB", "8 apples", "-1GB", "1e9", "8GB8", "nan", "8,5GB"])
def test_parse_memory_refuses(text):
    with pytest.raises(InputError, match="--max-memory"):
        parse_memory(text)
