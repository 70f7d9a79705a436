"""The wedge that particles are searched within."""

import numpy as np
import pytest

from vitreous.core import InputError, measure_voxels
from vitreous.simulate import wedge_filtered
from vitreous.workflows.search_template import wedge_of

GIVEN = (-60.0, 60.0)


@pytest.mark.parametrize(("axis", "wedge"), [(1, True), (2, True), (1, False)])
def test_a_tilt_range_that_is_given_lies_about_the_axis_that_the_noise_shows(axis, wedge):
    """About y where it shows none."""
    noise = np.random.default_rng(4).normal(size=(64, 64, 64)).astype(np.float32)
    if wedge:
        noise = wedge_filtered(noise, (-50.0, 50.0))
    volume = np.ascontiguousarray(noise if axis == 1 else noise.transpose(0, 2, 1))
    constants = measure_voxels(volume).normalization
    found = wedge_of(volume, constants, None, GIVEN)
    assert (found.tilt_range_deg, found.tilt_axis) == (GIVEN, axis)
    if not wedge:
        with pytest.raises(InputError, match="no missing wedge"):
            wedge_of(volume, constants, None, None)
