"""The grand model and its labels agree exactly, and everything can be rebuilt from its poses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from vitreous.core import Poses, Template
from vitreous.simulate import Contents, Filaments, Gold, Particles, Sheets, Vesicles, pack
from vitreous.simulate.canvas import LABEL_SHARE, SOLID_SHARE, Canvas, Piece
from vitreous.simulate.grand_model import GrandModel
from vitreous.simulate.helices import ACTIN, MICROTUBULE
from vitreous.simulate.rotation import make_turnable, turn

SPACING = 12.0
SLAB = (6, 58)


def lump(name, radius, seed):
    """A small asymmetric template of a few blobs, 3 V at its peak."""
    rng = np.random.default_rng(seed)
    side = 2 * (radius + 4) + 1
    density = np.zeros((side,) * 3)
    spots = rng.normal(size=(12, 3))
    spots *= radius * rng.uniform(0.3, 1, size=(12, 1)) / np.linalg.norm(spots, axis=1, keepdims=True)
    np.add.at(density, tuple((spots.round().astype(int) + side // 2).T), 1.0)
    density = gaussian_filter(density, 1.2)
    density *= 3 / density.max()
    density[density < 0.01] = 0
    return Template(name, density.astype(np.float32), SPACING)


TEMPLATES = (lump("small", 2, 0), lump("middle", 4, 1), lump("large", 7, 2))


def contents(**changes):
    return Contents(
        **{
            "particles": tuple(Particles(t, n) for t, n in zip(TEMPLATES, (40, 25, 10), strict=True)),
            "vesicles": Vesicles(2, (110.0, 160.0)),
            "sheets": Sheets(1),
            "filaments": (Filaments(MICROTUBULE, 1), Filaments(ACTIN, 3)),
            "gold": Gold(3, 80.0),
            "slab_voxels": SLAB,
        }
        | changes
    )


@pytest.fixture(scope="module")
def model():
    return pack((64, 96, 104), SPACING, contents(), np.random.default_rng(5))


def solids_from_poses(model, share):
    """(instance, slices, mask) of every particle, rebuilt from its pose alone."""
    turnables = {t.name: make_turnable(t) for t in TEMPLATES}
    for i in range(len(model.poses)):
        turnable = turnables[model.poses.names[i]]
        position = model.poses.positions_angstrom[i] / SPACING
        centre = np.round(position)
        density = turn(turnable, model.poses.rotations[i], position - centre)
        there = np.argwhere(density >= share * turnable.high)
        low, high = there.min(axis=0), there.max(axis=0) + 1
        start = centre.astype(int) - turnable.side // 2
        cut = tuple(slice(a, b) for a, b in zip(start + low, start + high, strict=True))
        mask = density[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] >= share * turnable.high
        yield int(model.poses.instances[i]), cut, mask


def test_everything_asked_for_is_there(model):
    assert not model.shortfalls
    assert sum(t.placed for t in model.tallies) == len(model.instance_classes) == 85
    assert model.class_names == (
        "small",
        "middle",
        "large",
        "membrane",
        "vesicle",
        "actin",
        "microtubule",
        "gold",
    )
    assert {n: model.poses.names.count(n) for n in set(model.poses.names)} == {
        "small": 40,
        "middle": 25,
        "large": 10,
    }
    assert model.other_poses.names == ("vesicle",) * 2 + ("gold",) * 3
    assert model.density.dtype == np.float32
    assert (model.instance_mask.dtype, model.class_mask.dtype) == (np.int32, np.int16)


def test_class_of_every_voxel_is_the_class_of_its_instance(model):
    present = np.unique(model.instance_mask)
    np.testing.assert_array_equal(present, np.arange(len(model.instance_classes) + 1))
    for instance in present[1:]:
        assert set(model.class_mask[model.instance_mask == instance]) == {
            model.instance_classes[instance - 1]
        }
    assert not model.class_mask[model.instance_mask == 0].any()
    for poses in (model.poses, model.other_poses):
        for name, instance in zip(poses.names, poses.instances, strict=True):
            assert model.class_names[model.instance_classes[instance - 1] - 1] == name


def test_the_density_reaches_each_instance_s_threshold_all_over_it(model):
    thresholds = np.concatenate([[0], model.instance_thresholds_volt]).astype(np.float32)
    labelled = model.instance_mask > 0
    assert (model.density[labelled] >= thresholds[model.instance_mask[labelled]]).all()
    assert (model.instance_thresholds_volt > 0.1).all()
    particles = model.instance_thresholds_volt[model.poses.instances - 1]
    assert (particles >= LABEL_SHARE * 3).all()


def test_nothing_reaches_outside_the_slab_or_outside_the_occupancy(model):
    for labels in (model.instance_mask, model.density, model.occupancy):
        assert not labels[: SLAB[0]].any()
        assert not labels[SLAB[1] :].any()
    assert model.occupancy[model.instance_mask > 0].all()
    for _, cut, mask in solids_from_poses(model, SOLID_SHARE):
        assert all(0 <= c.start < c.stop <= n for c, n in zip(cut, model.density.shape, strict=True))
        assert SLAB[0] <= cut[0].start
        assert cut[0].stop <= SLAB[1]
        assert mask.any()


def test_no_two_particles_share_a_voxel_and_poses_rebuild_the_masks_exactly(model):
    times = np.zeros(model.density.shape, int)
    for _, cut, mask in solids_from_poses(model, SOLID_SHARE):
        times[cut] += mask
    assert times.max() == 1
    particles = model.class_mask <= len(TEMPLATES)
    assert model.occupancy[times > 0].all()
    assert (model.instance_mask[(times > 0) & ~particles] == 0).all()
    for instance, cut, mask in solids_from_poses(model, LABEL_SHARE):
        np.testing.assert_array_equal(model.instance_mask[cut] == instance, mask)
        assert (model.instance_mask == instance).sum() == mask.sum()


def test_same_seed_same_bytes_other_seed_other_bytes():
    def packed(seed):
        return pack((48, 64, 64), SPACING, contents(slab_voxels=None), np.random.default_rng(seed))

    first, again, other = packed(1), packed(1), packed(2)
    for name in ("density", "instance_mask", "occupancy", "instance_classes"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert first.poses.positions_angstrom.tobytes() == again.poses.positions_angstrom.tobytes()
    assert first.density.tobytes() != other.density.tobytes()


def test_where_two_meet_the_first_keeps_its_voxels_and_the_higher_density_counts():
    canvas = Canvas.empty((1, 1, 5))
    for corner, volt in ((-1, 2.0), (1, 1.0)):  # the first one is cut off at the box
        row = np.full((1, 1, 4), volt, np.float32)
        canvas.lay(Piece.of_density(row), (0, 0, corner), canvas.begin(1))
    np.testing.assert_array_equal(canvas.instance_mask[0, 0], [1, 1, 1, 2, 2])
    np.testing.assert_array_equal(canvas.density[0, 0], [2, 2, 2, 1, 1])
    assert canvas.thresholds_volt == [2.0, 1.0]


@settings(max_examples=12, deadline=None)
@given(
    shape=st.tuples(*[st.integers(9, 50)] * 3),
    tolerance=st.integers(0, 30),
    gap=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_the_invariants_hold_for_any_box(shape, tolerance, gap, seed):
    wanted = contents(
        slab_voxels=None,
        overlap_tolerance_voxels=tolerance,
        gap_voxels=gap,
        vesicles=Vesicles(1, (60.0, 90.0)),
    )
    model = pack(shape, SPACING, wanted, np.random.default_rng(seed))
    labelled = model.instance_mask > 0
    assert model.density.shape == shape
    assert (
        model.density[labelled] >= model.instance_thresholds_volt[model.instance_mask[labelled] - 1]
    ).all()
    assert (model.instance_classes[model.instance_mask[labelled] - 1] == model.class_mask[labelled]).all()
    assert model.occupancy[labelled].all()
    assert np.isfinite(model.density).all()
    taken = np.zeros(shape, int)
    for _, cut, mask in solids_from_poses(model, SOLID_SHARE):
        assert all(0 <= c.start < c.stop <= n for c, n in zip(cut, shape, strict=True))
        assert (taken[cut][mask] > 0).sum() <= tolerance
        taken[cut] += mask


def test_arrays_that_do_not_belong_together_are_refused():
    arrays = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 3), np.int32), np.zeros((2, 2, 2), bool)
    nobody = Poses(np.zeros((0, 3, 3)), np.zeros((0, 3)), ())
    none = np.zeros(0, np.int16), np.zeros(0, np.float32)
    with pytest.raises(ValueError, match="same shape"):
        GrandModel(*arrays, *none, (), nobody, nobody, (), 10.0)
