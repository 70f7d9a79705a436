"""The wedge that particles are searched within."""

import numpy as np
import pytest

from vitreous.core import InputError, measure_voxels
from vitreous.metrics import band_correlation
from vitreous.simulate import ImagingSettings, TiltScheme, image, wedge_filtered, weighted_back_projection
from vitreous.workflows.search_template import open_template, wedge_of

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


def test_a_template_with_a_defocus_is_what_a_tomogram_of_it_shows():
    """All tilts and no noise: the weak phase of TRiC, back-projected; details of 500 to 60 Å."""
    side, spacing, defocus = 32, 10.0, 4.0
    template = open_template("phantom:tric", spacing)
    plain = template.box(side)
    tilts = TiltScheme(lowest_deg=-90, highest_deg=87, step_deg=3)
    settings = ImagingSettings(tilts=tilts, defocus_um=defocus, radiation_damage=False)
    series = image(plain.numpy(), spacing, settings, seed=0)
    shown = -weighted_back_projection(series.noise_free, series.tilt_angles_deg, side)

    def alike(box):
        return band_correlation(box.numpy(), shown, (0.02, 0.17))

    right = alike(template.box(side, defocus))
    assert right > 0.99
    assert alike(plain) < 0.9
    assert alike(template.box(side, 1.0)) < right - 0.01
