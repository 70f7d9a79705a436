"""Crowded boxes: the occupancy asked for, the same for the same seed, in any shape, as named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core import InputError
from vitreous.simulate import ACTIN, SHREC_STRUCTURES, Filaments, crowd, find_complex

SHAPE = (40, 48, 56)
SMALL = ("rubisco", "hsp90", "apoferritin")


@pytest.mark.parametrize(
    ("structures", "shape", "occupancy"),
    [(SMALL, (64, 64, 64), 0.1), (SMALL, (64, 64, 64), 0.2), (SHREC_STRUCTURES, (120, 120, 120), 0.2)],
)
def test_the_occupancy_asked_for_is_reached_by_as_many_of_each(structures, shape, occupancy):
    """Within 10 %: counts are whole numbers, and orientations differ in the voxels they exclude."""
    box = crowd(shape, occupancy=occupancy, seed=0, structures=structures)
    assert box.shortfalls == ()
    assert box.occupancy.mean() == pytest.approx(occupancy, rel=0.1)
    assert len(box.tallies) == len(structures)
    assert len({tally.placed for tally in box.tallies}) == 1


def test_more_than_fits_is_counted():
    box = crowd(SHAPE, occupancy=0.9, seed=0, structures=SMALL)
    assert 0.25 < box.occupancy.mean() < 0.8
    assert box.shortfalls


def test_same_seed_same_bytes_other_seed_other_box():
    first, again, other = (crowd(SHAPE, occupancy=0.1, seed=s, structures=SMALL) for s in (3, 3, 4))
    assert first.density.tobytes() == again.density.tobytes()
    np.testing.assert_array_equal(first.instance_mask, again.instance_mask)
    np.testing.assert_array_equal(first.poses.rotations, again.poses.rotations)
    assert np.corrcoef(first.density.ravel(), other.density.ravel())[0, 1] < 0.3


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(*[st.integers(24, 48)] * 3),
    occupancy=st.floats(0.05, 0.3),
    sheets=st.integers(0, 1),
    seed=st.integers(0, 2**31),
)
def test_whatever_the_shape_density_lies_where_the_box_is_occupied(shape, occupancy, sheets, seed):
    box = crowd(shape, occupancy=occupancy, seed=seed, structures=SMALL, sheets=sheets)
    assert box.density.shape == box.instance_mask.shape == box.occupancy.shape == shape
    assert box.density.dtype == np.float32
    assert np.isfinite(box.density).all()
    assert box.occupancy[box.instance_mask > 0].all()
    if box.occupancy.any():
        assert box.density[box.occupancy].mean() > 10 * np.abs(box.density[~box.occupancy]).mean()
    membrane = box.class_mask == box.class_names.index("membrane") + 1
    assert membrane.any() == bool(sheets)


def test_names_classes_and_spacing():
    box = crowd(SHAPE, occupancy=0.1, seed=0, structures=SMALL, sheets=1)
    assert box.class_names[:3] == tuple(f"phantom:{name}" for name in SMALL)
    assert set(box.poses.names) == set(box.class_names[:3])
    # A copy holds its mass at any spacing: the sum of its contrast in V Å³, within 2 %.
    contents = []
    for spacing in (8.0, 10.0):
        box = crowd(SHAPE, occupancy=0.1, seed=0, structures=("hsp90",), voxel_spacing_angstrom=spacing)
        assert box.voxel_spacing_angstrom == spacing
        contents.append(box.density.sum(dtype=float) * spacing**3 / len(box.poses.names))
    assert contents[0] == pytest.approx(contents[1], rel=0.02)


def test_the_structures_of_shrec_are_thirteen_different_complexes():
    assert len({find_complex(name).name for name in SHREC_STRUCTURES}) == 13


@pytest.mark.parametrize(
    "wrong",
    [{"structures": ("nobody",)}, {"structures": ("hsp90", "hsp90")}, {"occupancy": 0}, {"occupancy": 1.5}],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError):
        crowd(SHAPE, **({"occupancy": 0.1, "seed": 0, "structures": SMALL} | wrong))


def test_vesicles_and_filaments_come_on_top_of_the_particles():
    plain = crowd(SHAPE, occupancy=0.1, seed=0, structures=SMALL)
    box = crowd(SHAPE, occupancy=0.1, seed=0, structures=SMALL, filaments=[Filaments(ACTIN, 1, 90.0)])
    actin = box.class_names.index("actin") + 1
    assert (box.class_mask == actin).any()
    assert not (plain.class_mask == actin).any()
